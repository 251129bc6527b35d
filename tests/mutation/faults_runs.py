"""Small faults in the loop around meta-steps, and in what is imagined within one."""

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
        ("own if parts.changes else z", "z"),
        ("own if parts.changes else z", "own"),
        ("block_of == 0, fixed, fixed + c.change", "block_of < 0, fixed, fixed + c.change"),
        ("if not parts.changes:", "if False:"),
        ("return fit._replace(change=blind.change), error", "return fit, error"),
        ("held = jax.lax.stop_gradient(trained)", "held = trained"),
    ],
}

IMAGINED_TESTS = ("tests/algos/test_imagined_tasks.py", "tests/algos/test_by_task.py")
