"""Small faults of what learns, infers, acts and evaluates; see `faults`."""

UPDATE = {
    "algos/pearl_sac.py": [
        ("context.owners * context.failed]", "context.owners]"),
        ("owners, context.length))", "owners, 1 + 0 * context.length))"),
        ("c.reward_scale * t.train_reward", "c.reward_scale * t.reward"),
        ("(1.0 - t.done)", "(1.0 + t.done)"),
        ("c.discount * v_t", "v_t"),
        ("return q_tm1 - jax.lax.stop_gradient(target)", "return q_tm1 - target"),
        ("jnp.sum(jnp.mean(error**2, axis=(1, 2)))", "jnp.mean(error**2)"),
        ("error**2, axis=(1, 2)", "jnp.abs(error), axis=(1, 2)"),
        ("bellman + c.kl_weight * jnp.sum(kl)", "bellman - c.kl_weight * jnp.sum(kl)"),
        ("c.kl_weight * jnp.sum(kl)", "c.kl_weight * jnp.mean(kl)"),
        ("loss += c.silent_weight", "loss -= c.silent_weight"),
        ("jnp.min(networks.q(q, obs", "jnp.max(networks.q(q, obs"),
        ("c.mean_reg * jnp.mean(mean**2)", "c.std_reg * jnp.mean(mean**2)"),
        ("c.entropy_weight * log_pi - min_q) + reg", "c.entropy_weight * log_pi + min_q) + reg"),
        ("c.entropy_weight * log_pi - min_q) + reg", "-c.entropy_weight * log_pi - min_q) + reg"),
        (
            "grad_encoder, optimisers.encoder, c.encoder_lr",
            "grad_encoder, optimisers.encoder, c.lr",
        ),
        ("params.q), params, actor,", "params.q), params._replace(target_v=params.v), actor,"),
        ("batch, jax.lax.stop_gradient(aux.z), c)", "batch, aux.z * 0.0, c)"),
        (
            "params.policy, q, networks, batch, z, c",
            "params.policy, params.q, networks, batch, z, c",
        ),
        ("min_q - c.entropy_weight * log_pi)\n", "min_q + c.entropy_weight * log_pi)\n"),
        (
            "incremental_update(v, params.target_v, c.tau)",
            "incremental_update(params.v, params.target_v, c.tau)",
        ),
        ("params.target_v, c.tau)", "params.target_v, 1.0 - c.tau)"),
        ("entropy = -jnp.mean(log_pi)", "entropy = jnp.mean(log_pi)"),
    ],
    "inference/additive.py": [
        ("reward_scale * context.reward[", "reward_scale * context.train_reward["),
        ("reward_scale * context.reward[", "context.reward["),
        ("[context.next_obs] if next_obs else []", "[context.next_obs] if not next_obs else []"),
        ("space.combine(evidence, mask)", "space.combine(evidence)"),
        (
            "space.combine(evidence, within(length, evidence.shape[-2]))",
            "space.combine(evidence)",
        ),
        ("jnp.matmul(owners, of_episodes", "jnp.matmul(owners * 0 + 1, of_episodes"),
        ("return total + space.combine(", "return space.combine("),
        (
            "space.combine(evidence, within(length, seen.reward.shape[-1]))",
            "space.combine(evidence)",
        ),
        (
            "features = context_features(seen, hyper.c",
            "features = context_features(seen, 0 * hyper.c",
        ),
        ("choice[1], hard=True)", "choice[1])"),
    ],
}

DATA = {
    "data/replay.py": [
        ("jnp.stack([t.reward, t.train_reward", "jnp.stack([t.train_reward, t.reward"),
        (
            "at = replay.written % replay.rows.shape[1]",
            "at = replay.written % (replay.rows.shape[1] - 1)",
        ),
        ("written=replay.written + 1", "written=replay.written"),
        ("length.at[:, at].set(block.length)", "length.at[:, at].set(1 + 0 * block.length)"),
        ("success.at[:, at].set(block.success)", "success.at[:, at].set(0 * block.success)"),
        ("[:, block, :episodes]", "[:, block, -episodes:]"),
        ("(age < replay.written)[:, None]", "(age >= 0)[:, None]"),
        ("(lengths == 0) | (lengths == horizon)", "(lengths == lengths)"),
        ("among = pick(draws, ends[:, -1:])", "among = pick(draws, ends[:, -1:] - 1)"),
        ('side="right"', 'side="left"'),
        ("jnp.where(episode > 0, before, 0)", "before"),
        ("return episode * horizon + among", "return episode + among"),
        ("flat[tasks[:, None], places]", "flat[0 * tasks[:, None], places]"),
        (
            "jnp.minimum(jnp.floor(scaled).astype(jnp.int32), count - 1)",
            "jnp.minimum(jnp.ceil(scaled).astype(jnp.int32), count - 1)",
        ),
    ],
    "data/contexts.py": [
        ("blocks), self.window)", "blocks), blocks)"),
        ("(replay.written - 1 - pick(", "(replay.written - pick("),
        ("for_kind < explore_share", "for_kind > explore_share"),
        ("best = jnp.argmax(returns", "best = jnp.argmin(returns"),
        ("first = slots == (ends", "first = slots != (ends"),
        ("self.most + 1 - self.fewest\n        return self.f", "self.most\n        return self.f"),
        ("(slots < ends[:, None])", "(slots <= ends[:, None])"),
        ("jnp.sum(slots >= ends[:, None]", "jnp.sum(slots > ends[:, None]"),
        ("replay.success[where] == 0", "replay.success[where] != 0"),
        ("replay.length[where]", "0 * replay.length[where] + rows.shape[1]"),
        ("jnp.sum(for_rank < for_rank", "jnp.sum(for_rank <= for_rank"),
    ],
    "data/batches.py": [
        ("starts = places[:, :1] // horizon * horizon", "starts = places[:, :1]"),
        ("-hyper.task_focus * jnp.log", "hyper.task_focus * jnp.log"),
        ("s.context_window, s.prior_episodes)", "s.context_window, 99)"),
        ("seen.log_weights + draws.tasks", "draws.tasks"),
    ],
}

EVALUATION = {
    "train/evaluate.py": [
        (
            "jax.random.split(key, (count, s.eval_repeats))",
            "jnp.broadcast_to(key, (count, s.eval_repeats))",
        ),
        ("adaptation.returns[..., -1]", "adaptation.returns[..., 0]"),
        (
            "_replace(encoder=paper.returns)",
            "_replace(encoder=own.returns if not amortised else None)",
        ),
        ("index < s.eval_prior_episodes", "index < 0"),
        ("index < s.eval_prior_episodes", "index <= s.eval_prior_episodes"),
        (
            "learned, hyper, belief, seen.transitions, seen.length)",
            "learned, hyper, belief, seen.transitions, 4)",
        ),
        ("inference.note(belief), env.reset", "belief, env.reset"),
        ("env.horizon - begin", "env.horizon"),
        ("latents[0], note)", "latents[-1], note)"),
        ("obs, left = env.observe(state)", "obs, left = env.observe(env.reset(reset_key, task))"),
        ("lambda x, part=part: x[part]", "lambda x: x[0]"),
        (
            "returns=jnp.sum(seen.transitions.reward, axis=-1)",
            "returns=jnp.sum(seen.transitions.train_reward, axis=-1)",
        ),
        ("success=None if env.success is None else seen.success", "success=seen.success"),
        ("jnp.mean(floor, axis=1)", "jnp.max(floor, axis=1)"),
        ("return jnp.sum(seen.transitions.reward)\n", "return seen.transitions.reward[-1]\n"),
        ("if not beside", "if beside"),
    ],
}

CHOICE = {
    "train/choose.py": [
        ("np.argmax(returns, axis=1)", "np.argmin(returns, axis=1)"),
        ("each.returns[:, :, : setup", "each.returns[:, :, setup"),
        ("each.returns[:, paper]", "found.returns"),
        ("key, repeat=repeat)\n        return", "key)\n        return"),
    ],
    "train/repeats.py": [
        ("wide(eval_round), wide(repeat)", "wide(eval_round), wide(0)"),
        ("axis=3), *done", "axis=3), *done[:1]"),
    ],
    "inference/chosen.py": [
        ("return belief._replace(each=switch(belief.chosen, learn, belief.each))", "return belief"),
        ("if one is own else {}", "if one is not own else {}"),
        ("return one.prior(each[i], choices[i])", "return one.prior(each[i], choices[0])"),
        ("if name != _SELECTED}", "if name == _SELECTED}"),
    ],
    "algos/known_tasks.py": [
        ("return own - mean", "return own"),
        ("- jnp.log(known.count)", "+ jnp.log(known.count)"),
        ('jax.lax.stop_gradient(params["truth"])', 'params["truth"]'),
    ],
    "inference/informed.py": [("(truth - own.mean)", "truth")],
}

TRAINING = {
    "train/rollout.py": [
        ("lambda x: jnp.where(ended, 0.0, x), t)", "lambda x: x, t)"),
        ("ended | (done > 0)", "done > 0"),
        ("(done > 0) & ~jnp.isfinite(out.obs)", "(done > 2) & ~jnp.isfinite(out.obs)"),
        ("1 + jnp.argmax(stops)", "jnp.argmax(stops)"),
        ("jnp.where(before, 0, length)", "length"),
        ("jnp.max(jnp.where(within(length, each.shape[0]), each, 0.0))", "jnp.max(each)"),
        ("jnp.max(jnp.stack([p.success for p in parts]))", "parts[0].success"),
        ("sum(p.length for p in parts)", "parts[0].length"),
        ("seen.length[..., None])", "seen.length[..., None] - 1)"),
    ],
    "train/collect.py": [
        ("z = z.at[:, last:].set(", "z = z.at[:, :0].set("),
        ("jnp.where(explore, exploring, action)", "action"),
        ("jnp.arange(shape[1]) >= first", "jnp.arange(shape[1]) > first"),
        (
            "same = jnp.full((s.posterior_episodes,), task)",
            "same = jnp.full((s.posterior_episodes,), 0)",
        ),
    ],
    "train/learn.py": [
        ("coefficients(hyper, updates)", "coefficients(hyper, 0 * updates)"),
        ("before + bad, 0)", "bad, 0)"),
        ("{**means, **fitted}", "means"),
        ("return state._replace(key=key_next), {**learned", "return state, {**learned"),
        ("bad.at[-1].set(bad[-1] | ~", "bad.at[-1].set(bad[-1] & ~"),
        ("order[s.train_tasks :]", "order[: s.test_tasks]"),
    ],
    "train/explore.py": [
        ("_allowed(env, direction)", "_allowed(env, 0.5 * direction)"),
        ("minval=-1.0, maxval=1.0", "maxval=1.0"),
        ("(1.0 - _KEEP**2) ** 0.5", "(1.0 - _KEEP)"),
    ],
}

BELIEF = {
    "nets/optim.py": [("lambda p, d: p - lr * d", "lambda p, d: p + lr * d")],
    "inference/imagined.py": [("length=horizon", "length=horizon - 1")],
    "inference/sparse.py": [
        ("(apart * jnp.exp(-log_std))", "(apart * jnp.exp(log_std))"),
        ("** 2 - log_std", "** 2 + log_std"),
        ("jax.nn.log_sigmoid(-logit))", "jax.nn.log_sigmoid(logit))"),
        ("reward != 0, paid", "reward == 0, paid"),
    ],
    "inference/world_model.py": [
        ("jax.nn.sigmoid(logit) * mean", "jax.nn.sigmoid(-logit) * mean"),
        ("jnp.sum(each, axis=-1), axis=0", "jnp.mean(each, axis=-1), axis=0"),
        ("- jnp.log(destinations.shape[0])", "- 0.0"),
        ("return obs + self.dynamics", "return self.dynamics"),
        ("ahead = destination - obs", "ahead = destination + obs"),
    ],
    "inference/hypotheses.py": [
        (
            "z, destination = z[order], destination[order]",
            "z, destination = z[order], destination",
        ),
        ("evidence_weight * total", "total"),
        ("* most / jnp.maximum", "/ jnp.maximum"),
        ("leads = jnp.mean(grouped, axis=1)", "leads = grouped[:, 0]"),
        ("(hypotheses.z - mean(hypotheses)) ** 2", "hypotheses.z**2"),
        ("reshape(groups, -1), axis=1)", "reshape(-1, groups), axis=0)"),
        ("log_density, 0.0)", "log_density, log_density)"),
        ("log_weights=hypotheses.log_weights + gain", "log_weights=hypotheses.log_weights - gain"),
        ("jnp.where(condition, 0.0", "jnp.where(~condition, 0.0"),
        ("cumulative <= position", "cumulative >= position"),
        ("(order + within).reshape", "order.reshape"),
        ("+ jnp.arange(draws) / draws", "+ jnp.arange(draws)"),
        ("axis = jnp.argmax(jnp.ptp", "axis = jnp.argmin(jnp.ptp"),
        ("argmax(jnp.mean(returns, axis=1))", "argmin(jnp.mean(returns, axis=1))"),
        ("jnp.mean(returns, axis=1)", "jnp.mean(returns, axis=0)"),
    ],
    "inference/bayes.py": [
        ("belief.hypotheses, jnp.bool_(True)", "belief.hypotheses, jnp.bool_(False)"),
        ("(hyper.evidence_weight, hyper", "(1.0, hyper"),
        ('s.choice == "thompson"', 's.choice == "greedy"'),
        ("categorical(key, drawn.log_weights)", "categorical(key, 0 * drawn.log_weights)"),
        ("hyper.lr * step_size_share(hyper, state.updates)", "hyper.lr"),
        ("jax.random.split(key_draws, s.world_updates)", "jax.random.split(key_draws, 1)"),
    ],
}

ENVIRONMENTS = {
    "envs/spec.py": [
        (' or self.name.endswith(".py")', ""),
        ('name.strip().replace("-", "_")', "name.strip()"),
        ("and math.isfinite(value)", ""),
        ("if name in found:", "if False:"),
    ],
    "envs/registry.py": [
        ("if wanted.is_code:", "if False:"),
        ("if name in BUILT_IN:\n        return BUILT_IN[name]", "pass"),
        ("wanted.widths and wanted.widths != found", "False"),
        ("{**dict(wanted.options), **options}", "options"),
        ('sys.path.remove("")', "pass"),
        ("    require_env(name, env)\n", ""),
    ],
    "envs/point_robot.py": [
        (
            "(task.goal - state) / step_size, -1.0, 1.0)",
            "task.goal / jnp.max(jnp.abs(task.goal)), -1.0, 1.0)",
        ),
        ("1.0 - distance, 0.0)", "1.0, 0.0)"),
        ("jnp.clip(action, -1.0, 1.0)\n", "action\n"),
        ("success=lambda t, task: t.reward != 0", "success=lambda t, task: t.reward == 0"),
    ],
    "envs/base.py": [
        ("return first[0][:, 0]", "return first[0][:, -1]"),
        ("if env.label is not None:", "if False:"),
    ],
    "envs/legacy.py": [("{} if tuple(angles) == default else", "{} if True else")],
}

BELIEF_TESTS = (
    "tests/nets/test_optim.py",
    "tests/inference",
    "tests/train/test_evaluate_hypotheses.py",
    "tests/train/test_ending.py",
    "tests/test_agent.py",
)
EVALUATION_TESTS = (
    "tests/train/test_evaluate.py",
    "tests/train/test_references.py",
    "tests/train/test_ending.py",
    "tests/train/test_structure_options.py",
)
CHOICE_TESTS = (
    "tests/inference/test_chosen.py",
    "tests/train/test_parallel_evaluation.py",
    "tests/algos/test_known_tasks.py",
    "tests/algos/test_by_task.py",
)
TRAINING_TESTS = (
    "tests/train/test_ending.py",
    "tests/train/test_collect.py",
    "tests/train/test_learn.py",
    "tests/train/test_records.py",
)
