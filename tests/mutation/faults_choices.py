"""Small faults of what acts and learns where actions are choices, and of its environments."""

ACTOR_CRITICS = {
    "algos/pearl.py": [
        ("networks, q, soft.target_of(params, noise)", "networks, q, params.v"),
        ("if isinstance(networks, DiscreteNetworks):", "if False:"),
    ],
    "algos/discrete_sac.py": [
        ("jnp.copy, params.q)", "jnp.copy, params.target_v)"),
        ("(jnp.min(q, axis=0)", "(jnp.max(q, axis=0)"),
        ("axis=0) - entropy_weight * log_pi)", "axis=0) + entropy_weight * log_pi)"),
        ("networks.q(params.target_v, t.next_obs", "networks.q(params.q, t.next_obs"),
        ("networks.policy(params.policy, t.next_obs", "networks.policy(params.policy, t.obs"),
        ("c.reward_scale * t.train_reward", "c.reward_scale * t.reward"),
        ("(1.0 - t.done)", "(1.0 + t.done)"),
        ("c.discount * v_t", "v_t"),
        ("return q_tm1 - jax.lax.stop_gradient(target)", "return q_tm1 - target + v_t"),
        ("z[:, None]) * t.action, axis=-1)", "z[:, None]), axis=-1)"),
        ("c.mean_reg * jnp.mean(logits**2)", "c.std_reg * jnp.mean(logits**2)"),
        ("- jnp.mean(value), entropy", "+ jnp.mean(value), entropy"),
        ("entropy = -jnp.mean(", "entropy = jnp.mean("),
        ("incremental_update(q, params.target_v, c.tau)", "incremental_update(q, q, c.tau)"),
        ("params.policy, q, networks", "params.policy, params.q, networks"),
    ],
    "nets/heads.py": [
        ("logits if noise is None else logits + noise", "logits"),
        ("jax.random.gumbel(key, shape) if discrete else", ""),
    ],
}

CHOICES = {
    "train/explore.py": [("choose(action, None) if env.discrete else action", "action")],
    "envs/grid_mix.py": [
        ("jnp.round(weights @ bases)", "weights @ bases"),
        ("jnp.asarray(MOVES)[task.quarters]", "jnp.asarray(MOVES)[0]"),
        ("jnp.where(left == 0, 1.0, 0.0)", "jnp.where(left <= 1, 1.0, 0.0)"),
        ("-left / reach", "left / reach"),
        ("jnp.maximum(away - 1.0, 0.0)", "away"),
        ("4 if compass else 1", "4"),
    ],
}

PITCH = {
    "envs/host/pitch.py": [
        ("moved = shift if team == 0 else -shift", "moved = shift"),
        ("moved if number else 0.0 * shift", "moved"),
        ("np.where(have, weights, -1.0)", "weights"),
        ("for one in scenarios], float) > 0.5", "for one in scenarios], float) > 0.9"),
        ("if reward > 0:", "if reward < 0:"),
        ("self._left -= new", "pass"),
        ('elif seen["ball_owned_team"] == 0 and (', "elif ("),
    ],
    "envs/football.py": [
        ('count == 1 or tasks == "kinds"', "count == 1"),
        ("jnp.arange(n) % count", "0 * jnp.arange(n)"),
        ("if len(set(found)) < len(found):", "if False:"),
        ("pitch.shaped if checkpoints else None", "pitch.shaped"),
    ],
}

ACTOR_TESTS = (
    "tests/algos/test_discrete_sac.py",
    "tests/algos/test_pearl_sac.py",
    "tests/test_agent_choices.py",
)
CHOICES_TESTS = ("tests/train/test_explore.py", "tests/envs/test_grid_mix.py")
PITCH_TESTS = ("tests/envs/host/test_pitch.py",)
