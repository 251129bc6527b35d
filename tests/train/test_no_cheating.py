"""What evaluation may not know and training may not see, tried on the programs themselves."""

import jax
import jax.numpy as jnp
import numpy as np
from tiny import (
    assert_same,
    config,
    evaluator,
    one_seed,
    programs,
    quick_compile,
    setup,
    train,
)

from structlat_jax.train import parallel
from structlat_jax.train.collect import collect


def evaluation_of(state, seed=0, eval_round=5):
    made, hyper = programs(1)
    numbers = parallel.seed_numbers(made, seed)
    return evaluator()(hyper, state, numbers, eval_round)


def test_evaluation_does_not_read_the_replay():
    state, _ = train(1, 0, 2)
    poisoned = state._replace(
        replay=jax.tree.map(lambda x: jnp.full_like(x, 77), state.replay),
        moments=jax.tree.map(jnp.zeros_like, state.moments),
        inference_moments=jax.tree.map(jnp.ones_like, state.inference_moments),
        updates=state.updates + 5,
    )
    assert_same(evaluation_of(poisoned), evaluation_of(state))


def test_evaluation_would_see_other_parameters_and_tasks():
    """The counterpart: what the test above compares is not constant."""
    state, _ = train(1, 0, 2)
    found = evaluation_of(state)
    params = jax.tree.map(lambda x: x + 0.5, state.params)
    assert np.any(evaluation_of(state._replace(params=params)).path != found.path)
    own = jax.tree.map(lambda x: x + 0.5, state.inference_params)
    assert np.any(evaluation_of(state._replace(inference_params=own)).belief != found.belief)
    other = state._replace(test_tasks=0.0 * state.test_tasks)  # where the robot starts
    assert np.any(evaluation_of(other).returns != found.returns)


def test_evaluation_does_not_use_the_training_key():
    """Nor does what it draws change with how far training is, but for the round's number."""
    state, _ = train(1, 0, 1)
    key = jax.random.wrap_key_data(jax.random.key_data(state.key) + 1)
    assert_same(evaluation_of(state._replace(key=key)), evaluation_of(state))
    later = evaluation_of(state, eval_round=6)
    assert np.all(later.z[..., -1] != evaluation_of(state).z[..., -1])


def test_evaluation_changes_nothing():
    state, _ = train(1, 0, 1)
    before = jax.tree.map(jnp.copy, state)
    evaluation_of(state)
    assert_same(state, before)


def test_training_never_sees_a_test_task():
    made, hyper = programs(1)
    outcomes = []
    for value in (None, jnp.nan):
        state, _ = train(1, 3, 1)
        if value is not None:
            state = state._replace(test_tasks=jnp.full_like(state.test_tasks, value))
        outcomes.append(made.step(hyper, state)[0])
    assert_same(outcomes[0]._replace(test_tasks=outcomes[1].test_tasks), outcomes[1])


def test_training_would_see_other_training_tasks():
    made, hyper = programs(1)
    state, _ = train(1, 3, 1)
    ours = made.step(hyper, jax.tree.map(jnp.copy, state))[0]
    theirs = made.step(hyper, state._replace(train_tasks=state.train_tasks + 9.0))[0]
    assert np.any(ours.replay.rows != theirs.replay.rows)


def test_collecting_does_not_see_the_dense_reward():
    """Actions are the same whatever it says: only the critics learn from it."""
    state = one_seed(train(1, 3, 1)[0])
    # In a packed transition the shaped reward stands behind the own one.
    rows = state.replay.rows.at[..., setup().layout.reward_column + 1].set(1e6)
    act = jax.jit(
        lambda s: collect(setup(), config().hyper, s, jax.random.key(1))[0].transitions.action
    )
    with quick_compile():
        ours = act(state)
        theirs = act(state._replace(replay=state.replay._replace(rows=rows)))
    np.testing.assert_array_equal(ours, theirs)
