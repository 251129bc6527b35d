"""Small faults in the loop around meta-steps, in what is imagined within one, and in reports."""

RUNS = {
    "run/starts.py": [
        ("if s.starts > 1 and each < plan.steps else 0", "if s.starts > 1 else 0"),
        ("* (plan.config.structure.starts - 1)", "* plan.config.structure.starts"),
        ("if done == 0 and start:", "if done == 1 and start:"),
        ("if done == each - 1:", "if done == 0:"),
        ("len(table) // 3)", "len(table))"),
        ("(returned > race.returned) | (start == 0)", "returned > race.returned"),
        ("(returned > race.returned) | (start == 0)", "(returned >= race.returned)"),
        ("found[list(failures.found(own, seeds))] = -np.inf", "pass"),
        ("best=jax.tree.map(pick, state, race.best)", "best=state"),
        ("np.where(is_new, returned, race.returned)", "returned"),
        ("int(race.chosen[seed]) * each + step", "step"),
        ("first = saved.latest", "first = 0"),
    ],
    "train/learn.py": [
        ("jax.random.fold_in(one, start) for one in own", "one for one in own"),
    ],
}

RUN_TESTS = ("tests/run/test_starts.py",)

IMAGINED = {
    "algos/imagined_tasks.py": [
        ("there.change - told(z).change", "there.change"),
        ("if moves else seen", "if True else seen"),
        ("t._replace(train_reward=there.shaped)", "t"),
        ("told(other)", "told(z)"),
        ("paid < jax.nn.sigmoid(p.paid)", "paid > jax.nn.sigmoid(p.paid)"),
    ],
    "algos/by_task.py": [
        ("scale, t, fixed, batch.imagined.z)", "scale, t, batch.imagined.z, fixed)"),
        ("own if static.changes else z", "z"),
        ("own if static.changes else z", "own"),
        ("block_of == 0, fixed, fixed + c.change", "block_of < 0, fixed, fixed + c.change"),
        ("if not static.changes:", "if False:"),
        ("jnp.where(said, kl, 0.0)", "kl"),
        ("posterior, z, said)", "posterior, z)"),
        ("return fit._replace(change=blind.change), error", "return fit, error"),
        ("held = jax.lax.stop_gradient(trained)", "held = trained"),
    ],
}

IMAGINED_TESTS = ("tests/algos/test_imagined_tasks.py", "tests/algos/test_by_task.py")

TOLD = {
    "algos/portable.py": [
        ("if SEEN[0] in layers:", "if False:"),
        ("kernel[: len(mean)] /= ", "kernel[: len(mean)] *= "),
        ('bias_0"]) - mean @ kernel', 'bias_0"]) + mean @ kernel'),
    ],
    "train/evaluate.py": [
        ("latent = _unseen(setup, untrained, task)", "latent = jnp.zeros(setup.given)"),
        ("    belief = inference.told(belief, task)\n    return", "    pass\n    return"),
    ],
    "train/setup.py": [
        ("config.structure.eval_draws > env.horizon", "config.structure.eval_draws > 1e9"),
        ("if not 0.0 < target < most:", "if not 0.0 < target:"),
        ("inference, encoder, described)", "inference, encoder, True)"),
    ],
}

TOLD_TESTS = (
    "tests/algos/test_portable.py",
    "tests/train/test_unseen.py",
    "tests/train/test_refused_setups.py",
)

JOINED = {
    "report/joined.py": [
        ("sorted(runs, key=_first)", "list(runs)"),
        ("if name == AXES", "if False"),
        ("weights=counts", "weights=None"),
        ("if run.finite.any()]", "]"),
        ("begins < ended", "begins > 1e9"),
        ("begins > ended", "begins > 1e9"),
        ("(one.config, one.env) != (later.config, later.env)", "False"),
        ("weights=[r.seeds for r in runs]", "weights=None"),
    ],
    "report/comparison.py": [
        ("run.returns()[run.finite]", "run.returns()"),
        ("value if np.isfinite(value) else None for", "value for"),
    ],
}

JOINED_TESTS = ("tests/report/test_joined.py", "tests/experiments/test_compare_cli.py")
