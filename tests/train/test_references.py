"""What returns are held against, and returns that are below zero everywhere."""

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import HORIZON, ORACLE, config, dense, following_z, learned, line, quick_compile, setup

from structlat_jax.train.evaluate import references
from structlat_jax.train.setup import assemble

TASKS = jnp.array([1.0, -1.0])
KEY = jax.random.key(2)


@cache
def untrained():
    return following_z(learned().agent)


@cache
def found(name):
    own = setup(name)
    with quick_compile():
        return jax.jit(lambda params: references(own, params, TASKS, KEY))(untrained())


def reward(name, position, task):
    distance = abs(position - (5.0 * task if name == "dense" else task))
    if name == "dense":
        return -distance
    return 1.0 - distance if distance <= 0.6 else 0.0


@pytest.mark.parametrize("name", ["line", "ending", "dense"])
def test_the_floor_is_what_an_untrained_policy_returns(name):
    """By hand: one z from the prior per task and repeat, and the mode of the policy."""
    repeats = setup().structure.eval_repeats
    z = setup().space.sample_prior(jax.random.split(KEY)[0], (2, repeats))
    expected = np.zeros(2)
    for i, repeat in np.ndindex(2, repeats):
        position, task = 0.0, float(TASKS[i])
        for _ in range(HORIZON):
            position += 0.5 * np.tanh(z[i, repeat, -1])
            expected[i] += reward(name, position, task) / repeats
            if name == "ending" and abs(position) > 0.9:
                break
    np.testing.assert_allclose(found(name).floor, expected, atol=1e-4)
    assert np.ptp(expected) > 1e-3


def test_the_oracle_is_there_where_somebody_knows_it():
    np.testing.assert_allclose(found("line").oracle, [ORACLE, ORACLE])
    assert found("ending").oracle is None
    assert found("dense").oracle is None


def test_oracle_of_the_line_is_the_best_policy():
    position, total = jnp.zeros(1), 0.0
    for action in (1.0, 1.0, 0.0, 0.0):
        out = line().step(position, jnp.array([action]), jnp.float32(1.0))
        position, total = out.state, total + float(out.reward)
    assert total == pytest.approx(ORACLE)


def test_an_oracle_may_return_any_number():
    """Whole numbers too, which become the type of all returns."""
    env = dataclasses.replace(dense(), oracle_return=lambda task: jnp.where(task > 0, -3, -7))
    own = dataclasses.replace(setup("dense"), env=env)
    got = references(own, untrained(), TASKS, KEY).oracle
    assert got.dtype == jnp.float32
    np.testing.assert_array_equal(got, [-3.0, -7.0])


def test_references_follow_the_number_of_repeats():
    own = assemble(dataclasses.replace(setup(), config=config(eval_repeats=5)))
    with quick_compile():
        five = jax.jit(lambda params: references(own, params, TASKS, KEY).floor)(untrained())
    assert five.shape == (2,)
    assert not np.allclose(five, found("line").floor)
