"""What seeds side by side are evaluated on: which tasks, with which keys, and how many at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import (
    ORACLE,
    config,
    evaluator,
    following_z,
    learned,
    one_seed,
    programs,
    quick_compile,
    setup,
)

from structlat_jax.train import parallel
from structlat_jax.train.evaluate import evaluate, references

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


def test_training_tasks_come_first_and_only_those_that_are_looked_at():
    made, seen = setup(), setup().config.structure.seen_tasks
    training, test = jnp.arange(seen + 2.0), -1.0 - jnp.arange(3.0)
    tasks = parallel.evaluated_tasks(made, training, test)
    np.testing.assert_array_equal(tasks, [*range(seen), -1, -2, -3])


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


@pytest.mark.parametrize(("at_once", "rounds"), [(2, 2), (3, 1), (99, 1)])
def test_tasks_may_be_gone_through_at_once(at_once, rounds):
    """Whatever does not divide them, and however many there are; those left over are a round of
    their own."""
    fresh = learned()
    tasks, params = jnp.linspace(-1.0, 1.0, 5), fresh._replace(agent=following_z(fresh.agent))

    def run(count, tasks):
        own = setup(eval_at_once=count)
        return evaluate(own, config().hyper, params, tasks, jax.random.key(4))

    results = [run(count, tasks) for count in (1, at_once)]
    np.testing.assert_allclose(*(found.path for found in results), atol=1e-5)
    np.testing.assert_allclose(*(found.returns for found in results), atol=1e-5)
    for count, wanted in ((1, len(tasks)), (at_once, rounds)):
        steps = jax.make_jaxpr(lambda x, n=count: run(n, x).returns)(tasks).eqns
        loops = [one.params["length"] for one in steps if one.primitive.name == "scan"]
        assert loops[0] == wanted
