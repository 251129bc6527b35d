"""What seeds side by side are evaluated on: which tasks, with which keys."""

import jax
import jax.numpy as jnp
import numpy as np
from tiny import ORACLE, evaluator, one_seed, programs, quick_compile, setup

from structlat_jax.train import parallel
from structlat_jax.train.evaluate import references

FIRST = 3
SEEDS = 4


def test_evaluation_covers_training_then_test_tasks():
    made, hyper = programs(1)
    numbers = parallel.seed_numbers(made, 5)
    state = made.init(numbers)
    found = evaluator()(hyper, state, numbers, 5)
    s = setup().config.structure
    shape = (1, s.seen_tasks + s.test_tasks, s.eval_repeats, s.eval_episodes)
    assert found.returns.shape == shape
    again = evaluator()(hyper, state, numbers, 5)
    np.testing.assert_array_equal(again.z, found.z)
    other_round = evaluator()(hyper, state, numbers, 6)
    assert not np.array_equal(other_round.z, found.z)


def test_the_first_repeat_alone_is_that_of_all():
    made, hyper = programs(1)
    numbers = parallel.seed_numbers(made, 5)
    state = made.init(numbers)
    every = evaluator()(hyper, state, numbers, 5)
    alone = evaluator()(hyper, state, numbers, 5, repeats=1)
    for one, all_ in zip(jax.tree.leaves(alone), jax.tree.leaves(every), strict=True):
        np.testing.assert_array_equal(one, all_[:, :, :1])
    assert not np.array_equal(every.z[:, :, 0], every.z[:, :, 1])


def test_references_cover_the_same_tasks_with_keys_of_their_own():
    """Each seed its own: its untrained parameters, its tasks."""
    made, _ = programs(SEEDS)
    numbers = parallel.seed_numbers(made, FIRST)
    state = made.init(numbers)
    with quick_compile():
        tasks = (state.train_tasks, state.test_tasks)
        found = made.references(state.params, *tasks, numbers)
        seed = one_seed(state, 2)
        tasks_ = jnp.concatenate([seed.train_tasks, seed.test_tasks])
        key = jax.random.fold_in(parallel.root_keys(numbers[2])[1], 2**32 - 1)
        expected = jax.jit(lambda *x: references(setup(), *x))(seed.params, tasks_, key)
    assert found.floor.shape == found.oracle.shape == (SEEDS, 6)
    np.testing.assert_allclose(found.floor[2], expected.floor, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.oracle, ORACLE)


def test_evaluation_looks_at_the_first_training_tasks_only():
    own = setup(eval_train_tasks=1)
    made = parallel.make_programs(own, 1)
    numbers = parallel.seed_numbers(made, FIRST)
    state = programs(1)[0].init(numbers)
    with quick_compile():
        tasks = (state.train_tasks, state.test_tasks)
        found = made.references(state.params, *tasks, numbers)
        adaptation = made.evaluate(parallel.spread(made, own.config.hyper), state, *[numbers] * 3)
    s = own.structure
    assert found.floor.shape == (1, 1 + s.test_tasks)
    assert adaptation.returns.shape[:4] == (1, 1, 1 + s.test_tasks, 1)
    assert parallel.seen_tasks(own, state.train_tasks, axis=1).tolist() == [
        [float(state.train_tasks[0, 0])]
    ]
