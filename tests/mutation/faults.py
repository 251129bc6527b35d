"""Small faults, each a text that occurs once in a file and what stands there instead."""

LATENTS = {
    "latents/categorical.py": [
        ("_LOG_PROBABILITY_FLOOR = -30.0", "_LOG_PROBABILITY_FLOOR = -3.0"),
        ("scale = natural.scale_of_raw(options.precision)", "scale = 1.0"),
        ("log_softmax(scale * split(raw), axis=-1)", "log_softmax(scale * split(raw), axis=-2)"),
        ("log_softmax(scale * split(raw)", "log_softmax(-scale * split(raw)"),
        ("jnp.maximum(log_probabilities", "jnp.minimum(log_probabilities"),
        ("log_softmax(split(total), axis=-1)", "log_softmax(split(total), axis=-2)"),
        ("jnp.all(total == 0, axis=-1)", "jnp.any(total == 0, axis=-1)"),
        ("(q.logits + split(gumbel)) / options", "(q.logits - split(gumbel)) / options"),
        ("/ options.temperature", "* options.temperature"),
        ("argmax(q.logits + split(gumbel), axis=-1)", "argmax(q.logits, axis=-1)"),
        (
            "randint(key, (*shape, variables), 0, classes)",
            "randint(key, (*shape, variables), 0, 1)",
        ),
        ("kl_divergence(uniform), axis=-1)", "kl_divergence(uniform), axis=-1) / variables"),
        ("flat(jnp.exp(q.logits))", "flat(q.logits)"),
    ],
    "latents/dirichlet.py": [
        ("prior_variance = 1.0 / options.alpha", "prior_variance = options.alpha"),
        ("jnp.sqrt(q.variance) * split(eps)", "q.variance * split(eps)"),
        ("softmax(q.mean + jnp.sqrt", "softmax(q.mean - 0.0 * jnp.sqrt"),
        ("* split(eps), axis=-1)", "* split(eps), axis=-2)"),
        ("jnp.full((classes,), options.alpha)", "jnp.ones((classes,))"),
        ("q.mean, q.variance, options.bridge)", "q.mean, q.variance)"),
        ('if options.kl == "exact"', 'if options.kl == "bridge"'),
        (
            "jnp.where(q.empty, 0.0, jnp.sum(per_variable, axis=-1))",
            "jnp.sum(per_variable, axis=-1)",
        ),
        ("jnp.sum(per_variable, axis=-1)", "jnp.mean(per_variable, axis=-1)"),
        ("alpha / jnp.sum(alpha, axis=-1, keepdims=True)", "alpha"),
    ],
    "latents/divergence.py": [
        ("_SHIFT = 8", "_SHIFT = 1"),
        ("series_r = (1 / 12 - (1 / 360", "series_r = (1 / 12 + (1 / 360"),
        ("(1 / 120 - 1 / 252", "(1 / 120 + 1 / 25"),
        (
            "(low + _SHIFT - 0.5) * log_high - (low - 0.5)",
            "(low + _SHIFT - 0.5) * log_high - (low + 0.5)",
        ),
        ("t_small = low * (", "t_small = 2 * low * ("),
        ("classes * math.lgamma(alpha) - math", "classes * math.lgamma(alpha) + math"),
        (
            "0.5 * (jnp.sum(log_alpha, axis=-1) - log_alpha0)",
            "0.5 * (jnp.sum(log_alpha, axis=-1) + log_alpha0)",
        ),
        ("- 0.5 * (classes - 1) * (1.0", "- 0.5 * classes * (1.0"),
        ("+ (r0 - jnp.sum(r, axis=-1))", "+ (r0 - jnp.sum(t, axis=-1))"),
        ("+ (t0 - jnp.sum(t, axis=-1))", "- (t0 - jnp.sum(t, axis=-1))"),
        ("- prior * jnp.sum(expected_log, axis=-1)", "+ prior * jnp.sum(expected_log, axis=-1)"),
        (
            "shift = jax.random.uniform(key, (*mean.shape[:-1], 1, classes)",
            "shift = jax.random.uniform(key, (1, classes)",
        ),
        ("centre + offset, centre - offset", "centre + offset, centre + offset"),
        ("offset = jnp.sqrt(variance)", "offset = variance"),
        (
            "(classes - 1) * math.log(2 * math.pi * math.e)",
            "classes * math.log(2 * math.pi * math.e)",
        ),
        ("logsumexp(-log_variance, axis=-1)", "logsumexp(log_variance, axis=-1)"),
        ("log_beta(prior, classes) - 0.5", "log_beta(prior, classes) + 0.5"),
        ("prior * classes * expectation", "prior * expectation"),
    ],
    "latents/gaussian.py": [
        ("moments_from_total(total, 1.0,", "moments_from_total(total, 2.0,"),
        ("q.mean + jnp.sqrt(q.variance) * eps", "q.mean - jnp.sqrt(q.variance) * 0.0 * eps"),
        ("Normal(q.mean, jnp.sqrt(q.variance))", "Normal(q.mean, q.variance)"),
        ("kl_divergence(distrax.Normal(0.0, 1.0))", "kl_divergence(distrax.Normal(0.0, 2.0))"),
    ],
    "latents/laplace_bridge.py": [
        ("_LOG_ALPHA_MAX = 69.0", "_LOG_ALPHA_MAX = 9.0"),
        ("mu = log_alpha - jnp.mean(log_alpha", "mu = log_alpha + jnp.mean(log_alpha"),
        (
            "inverse * (1.0 - 2.0 / classes) + total / classes**2",
            "inverse * (1.0 - 2.0 / classes) + total / classes",
        ),
        ('if form == "projected"', 'if form == "corrected"'),
        ("keepdims=True) / classes**2\n    sign", "keepdims=True) / classes\n    sign"),
        ('-1.0 if form == "printed" else 1.0', '1.0 if form == "printed" else -1.0'),
        ("logsumexp(-mu, axis=-1", "logsumexp(mu, axis=-1"),
        ("- 2.0 * math.log(classes)", "- math.log(classes)"),
        ("if classes > 2:", "if classes > 3:"),
        ("exponent - jnp.log(var)", "exponent + jnp.log(var)"),
    ],
    "latents/natural.py": [
        ("VARIANCE_FLOOR = 1e-7", "VARIANCE_FLOOR = 1e-2"),
        ("FAINT = 0.02", "FAINT = 0.2"),
        ('FAINT if precision == "exp"', 'FAINT if precision == "softplus"'),
        ("_LOG_PRECISION_SHIFT = 2.0", "_LOG_PRECISION_SHIFT = -2.0"),
        ("(-13.8, 16.1)", "(-1.0, 1.0)"),
        ("tau, tau * mean], axis=-1", "tau, mean], axis=-1"),
        ("tau = tau + 1.0 / prior_variance", "tau = tau + prior_variance"),
        ("jnp.where(unseen, 1.0, tau)", "tau"),
        ("jnp.where(unseen, prior_variance, 1.0 / safe)", "1.0 / safe"),
        ("jnp.all(unseen, axis=-1)", "jnp.any(~unseen, axis=-1)"),
    ],
    "latents/space.py": [
        ("jnp.sum(evidence, axis=-2)\n", "jnp.mean(evidence, axis=-2)\n"),
        ("jnp.where(mask[..., None] > 0, evidence, 0.0)", "mask[..., None] * evidence"),
        ("mask[..., None] > 0", "mask[..., None] < 1"),
        ("block.transform_hard if hard else", "block.transform if hard else"),
        ("jnp.where(empty[..., None], prior, drawn)", "drawn"),
        ("empty[..., None], prior, drawn", "empty[..., None], drawn, prior"),
        (
            "jax.random.split(key, len(self.blocks))\n        values",
            "[key] * len(self.blocks)\n        values",
        ),
        (
            "keys = jax.random.split(key, len(self.blocks))\n        pairs",
            "keys = [key] * len(self.blocks)\n        pairs",
        ),
    ],
}

UPDATE = {
    "sac.py": [
        ("batch.owners * batch.silent]", "batch.owners]"),
        ("c.reward_scale * t.train_reward", "c.reward_scale * t.reward"),
        ("(1.0 - t.done)", "(1.0 + t.done)"),
        ("c.discount * v_t", "v_t"),
        ("error = q_tm1 - jax.lax.stop_gradient(target)", "error = q_tm1 - target"),
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
        ("(params.encoder, params.q), params.target_v", "(params.encoder, params.q), params.v"),
        ("z = jax.lax.stop_gradient(aux.z)", "z = aux.z * 0.0"),
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
        ("entropy=-jnp.mean(log_pi)", "entropy=jnp.mean(log_pi)"),
    ],
    "inference.py": [
        ("reward_scale * context.reward[", "reward_scale * context.train_reward["),
        ("reward_scale * context.reward[", "context.reward["),
        ("[context.next_obs] if next_obs else []", "[context.next_obs] if not next_obs else []"),
        ("space.combine(evidence, mask)", "space.combine(evidence)"),
        ("owners, space.combine(evidence), prec", "owners * 0 + 1, space.combine(evidence), prec"),
    ],
    "replay.py": [
        ("jnp.stack([t.reward, t.train_reward", "jnp.stack([t.train_reward, t.reward"),
        (
            "at = replay.written % replay.rows.shape[1]",
            "at = replay.written % (replay.rows.shape[1] - 1)",
        ),
        ("Replay(rows, replay.written + 1)", "Replay(rows, replay.written)"),
        (
            "[..., layout.reward_column] != 0, axis=-1)[:, block]",
            "[..., layout.reward_column] == 0, axis=-1)[:, block]",
        ),
        ("jnp.minimum(replay.written, blocks) * episodes", "blocks * episodes"),
        ("flat[tasks[:, None], pick", "flat[0 * tasks[:, None], pick"),
        (
            "jnp.minimum(jnp.floor(scaled).astype(jnp.int32), count - 1)",
            "jnp.minimum(jnp.ceil(scaled).astype(jnp.int32), count - 1)",
        ),
    ],
    "contexts.py": [
        ("blocks), self.window)", "blocks), blocks)"),
        ("(replay.written - 1 - pick(", "(replay.written - pick("),
        ("for_kind < explore_share", "for_kind > explore_share"),
        ("best = jnp.argmax(returns", "best = jnp.argmin(returns"),
        ("first = slots == (ends", "first = slots != (ends"),
        ("self.most + 1 - self.fewest\n        return self.f", "self.most\n        return self.f"),
        ("(slots < ends[:, None])", "(slots <= ends[:, None])"),
        ("jnp.sum(slots >= ends[:, None]", "jnp.sum(slots > ends[:, None]"),
        ("reward_column] == 0, axis", "reward_column] != 0, axis"),
        ("jnp.sum(for_rank < for_rank", "jnp.sum(for_rank <= for_rank"),
    ],
}

EVALUATION = {
    "evaluate.py": [
        (
            "jax.random.split(key, (count, s.eval_repeats))",
            "jnp.broadcast_to(key, (count, s.eval_repeats))",
        ),
        ("adaptation.returns[..., -1]", "adaptation.returns[..., 0]"),
        ("own._replace(amortised=amortised.returns)", "own"),
        ("by_prior, prior_z, space", "~by_prior, prior_z, space"),
        ("return total + _evidence(", "return _evidence("),
        ("space.posterior(total), noise, hard=True)", "space.posterior(total), noise)"),
        ("by_prior = index < s.eval_prior_episodes", "by_prior = index < 0"),
        ("by_prior = index < s", "by_prior = index <= s"),
        ("cond(\n            by_prior,", "cond(\n            ~by_prior,"),
        ("update(networks, params, belief", "update(networks, params, prior"),
        ("return after, total + _evidence", "return after, total - _evidence"),
        ("protocol.say(before)", "protocol.say(belief)"),
        ("left = env.horizon - begin", "left = env.horizon"),
        ("(seen, latents[0]", "(seen, latents[-1]"),
        (
            "by_prior, env.observe(state), left",
            "by_prior, env.observe(env.reset(reset_key, task)), left",
        ),
        ("lambda x, part=part: x[part]", "lambda x: x[0]"),
        (
            "jnp.tanh(setup.networks.policy(params.policy, obs, z)[0])",
            "setup.networks.policy(params.policy, obs, z)[0]",
        ),
        ("seen, hyper.context_reward_scale,", "seen, 1.0,"),
        ("jnp.sum(seen.reward, axis=-1)", "jnp.sum(seen.train_reward, axis=-1)"),
        ("[seen.obs[:, :1], seen.next_obs]", "[seen.obs[:, :1], seen.obs]"),
    ],
}

BELIEF = {
    "optim.py": [("lambda p, d: p - lr * d", "lambda p, d: p + lr * d")],
    "world_model.py": [
        (
            "jnp.tanh(networks.policy(params.policy, obs, z)[0])",
            "networks.policy(params.policy, obs, z)[0]",
        ),
        ("length=horizon", "length=horizon - 1"),
        ("jax.nn.sigmoid(logit) * mean", "jax.nn.sigmoid(-logit) * mean"),
        ("(reward - mean) * jnp.exp(-log_std)", "(reward - mean) * jnp.exp(log_std)"),
        ("-0.5 * standard**2 - log_std", "-0.5 * standard**2 + log_std"),
        ("jax.nn.log_sigmoid(-logit))", "jax.nn.log_sigmoid(logit))"),
        ("reward != 0, jax.nn", "reward == 0, jax.nn"),
        ("jnp.sum(each, axis=-1), axis=0", "jnp.mean(each, axis=-1), axis=0"),
        ("- jnp.log(outcomes.shape[0])", "- 0.0"),
        ("return params._replace(world=world), moments, parts", "return params, moments, parts"),
    ],
    "hypotheses.py": [
        ("return Hypotheses(z[order], outcome[order]", "return Hypotheses(z[order], outcome"),
        ("evidence_weight * jnp.sum", "jnp.sum"),
        ("log_weights=hypotheses.log_weights + gain", "log_weights=hypotheses.log_weights - gain"),
        ("jnp.where(condition, 0.0", "jnp.where(~condition, 0.0"),
        ("cumulative <= position", "cumulative >= position"),
        ("(order + within).reshape", "order.reshape"),
        ("+ jnp.arange(draws) / draws", "+ jnp.arange(draws)"),
        ("axis = jnp.argmax(jnp.ptp", "axis = jnp.argmin(jnp.ptp"),
        ("argmax(jnp.mean(returns, axis=1))", "argmin(jnp.mean(returns, axis=1))"),
        ("jnp.mean(returns, axis=1)", "jnp.mean(returns, axis=0)"),
    ],
}

TESTS = (
    (
        BELIEF,
        (
            "tests/test_optim.py",
            "tests/test_world_model.py",
            "tests/test_hypotheses.py",
            "tests/test_evaluate_hypotheses.py",
        ),
    ),
    (LATENTS, ("tests/latents", "tests/test_inference.py")),
    (UPDATE, ("tests/test_inference.py", "tests/test_sac.py")),
    (EVALUATION, ("tests/test_evaluate.py", "tests/test_evaluate_hypotheses.py")),
)
"""Which tests are to notice which faults; the others are not asked, to save time."""

EXTRA = {"sac.py": ("tests/test_sac_parity.py",)}

FIRST = {
    "latents/categorical.py": ("tests/latents/test_families.py",),
    "latents/dirichlet.py": ("tests/latents/test_families.py",),
    "latents/divergence.py": ("tests/latents/test_divergence.py",),
    "latents/gaussian.py": ("tests/latents/test_families.py",),
    "latents/laplace_bridge.py": ("tests/latents/test_laplace_bridge.py",),
    "latents/natural.py": ("tests/latents/test_families.py",),
    "latents/space.py": ("tests/latents/test_space.py",),
    "hypotheses.py": ("tests/test_hypotheses.py",),
    "replay.py": ("tests/test_replay.py",),
    "contexts.py": ("tests/test_contexts.py",),
    "sac.py": ("tests/test_sac.py",),
    "world_model.py": ("tests/test_world_model.py",),
}
"""The test file that is likeliest to notice, asked before the others to save time."""

FAULTS = [
    (file, old, new, (*FIRST.get(file, ()), *tests, *EXTRA.get(file, ())))
    for group, tests in TESTS
    for file, faults in group.items()
    for old, new in faults
]
"""File, what it has, what it gets, and the tests that are to notice."""
