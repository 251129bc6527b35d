"""What untrained agents are given that act on a belief."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import HORIZON, config, line, paid, quick_compile

from structlat_jax.inference import belief
from structlat_jax.inference.base import Learned
from structlat_jax.train import evaluate
from structlat_jax.train.learn import init
from structlat_jax.train.setup import make_setup

TASKS = jnp.array([1.0, -1.0])
SIZES = {"updates_per_step": 4, "trial_episodes": 4, "adapt_episodes": 2, "latent": "dir:1x3"}


@functools.cache
def made(algorithm):
    setup = make_setup(config(algorithm=algorithm, **SIZES), line())
    with quick_compile():
        return setup, jax.jit(lambda key: init(setup, key))(jax.random.key(0)).params


def test_a_belief_that_nothing_was_seen():
    setup, params = made("pearl-belief")
    found = evaluate._unseen(setup, params, TASKS[0])
    np.testing.assert_array_equal(found, belief.describe(setup.space, jnp.zeros(6)))
    np.testing.assert_allclose(found[:3], 1 / 3, rtol=1e-5)


def test_who_is_told_the_task_is_told_it():
    setup, params = made("oracle")
    given = [evaluate._unseen(setup, params, task) for task in TASKS]
    assert np.any(given[0] != given[1])


def test_parameters_that_have_not_been_adapted():
    """The floor of MAML is that of the policy that it starts from, not of one that is all zero."""
    setup, params = made("maml")
    layers = {**params.policy["net"]["params"], "bias_head": jnp.ones((1,)) * 3.0}
    params = params._replace(policy={**params.policy, "net": {"params": layers}})
    with quick_compile():
        floor = jax.jit(lambda p: evaluate.references(setup, p, TASKS, jax.random.key(1)))(params)
    place, action = 0.0, []
    for _ in range(HORIZON):
        obs = jnp.array([place])
        given = evaluate._unseen(setup, params, TASKS[0])
        step = float(setup.algorithm.act(params, obs, given, None)[0])
        place += 0.5 * step
        action.append(step)
    expected = [0.0, 0.0]
    place = 0.0
    for step in action:
        place += 0.5 * step
        for i, task in enumerate(TASKS):
            expected[i] += float(paid(abs(place - float(task))))
    assert min(action) > 0.9
    np.testing.assert_allclose(floor.floor, expected, rtol=1e-4)


@pytest.mark.parametrize("algorithm", ["varibad", "rl2"])
def test_a_memory_that_is_fresh(algorithm):
    setup, params = made(algorithm)
    found = evaluate._unseen(setup, params, TASKS[0])
    fresh = setup.inference.init(Learned(params, ()), None, None)
    expected = setup.inference.condition(Learned(params, ()), fresh)
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (setup.given,)
