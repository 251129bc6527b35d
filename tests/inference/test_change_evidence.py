"""Hypotheses weighed by how observations change, and by no more than so many steps of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structlat_jax.inference import hypotheses
from structlat_jax.inference.hypotheses import Hypotheses, Reader
from structlat_jax.shapes import Transition

READINGS = jnp.array([[-1.0], [0.0], [0.5], [2.0]])


def change_log_density(params, obs, action, reading, next_obs):
    """Of a task that adds its reading to every observation."""
    return -0.5 * jnp.sum((next_obs - obs - params * reading) ** 2, axis=-1)


def reward_log_density(params, obs, action, reading, reward):
    return -jnp.abs(reward - reading[..., 0])


READER = Reader(
    imagine=None,
    read=None,
    log_density=reward_log_density,
    expected_return=None,
    change_log_density=change_log_density,
)
PARAMS = 1.5


def fresh():
    nothing = jnp.zeros(4)
    return Hypotheses(READINGS, READINGS, nothing, READINGS, nothing, jnp.zeros(()))


def episode(seed, steps=6):
    keys = jax.random.split(jax.random.key(seed), 3)
    obs, change = jax.random.normal(keys[0], (2, steps, 1))
    reward = jax.random.normal(keys[1], (steps,))
    return Transition(obs, obs, reward, reward, obs + change, jnp.zeros(steps))


@jax.jit
def update(before, seen, length, weight, most):
    return hypotheses.update(READER, PARAMS, before, seen, length, weight, most)


def by_hand(episodes, lengths, weight, most):
    """Rewards to a power, and the changes of all steps together to another."""
    paid, changes = np.zeros(4), np.zeros(4)
    for seen, length in zip(episodes, lengths, strict=True):
        for i, reading in enumerate(np.asarray(READINGS)[:, 0]):
            reward, change = (
                np.asarray(x)[:length] for x in (seen.reward, seen.next_obs - seen.obs)
            )
            paid[i] -= np.abs(reward - reading).sum()
            changes[i] -= 0.5 * ((change - PARAMS * reading) ** 2).sum()
    return weight * paid + changes * most / (most + sum(lengths))


@pytest.mark.parametrize("most", [0.5, 5.0, 1e9])
@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_episode_by_episode_as_all_together(most, weight):
    episodes, lengths, belief = [episode(seed) for seed in range(3)], [6, 2, 5], fresh()
    for count, (seen, length) in enumerate(zip(episodes, lengths, strict=True), 1):
        belief = update(belief, seen, length, weight, most)
        expected = by_hand(episodes[:count], lengths[:count], weight, most)
        np.testing.assert_allclose(belief.log_weights, expected, rtol=1e-4, atol=1e-5)
    assert int(belief.steps) == sum(lengths)
    assert np.ptp(belief.log_weights) > 0.1


def test_no_steps_leave_rewards_alone():
    seen = episode(3)
    found = update(fresh(), seen, 6, 1.0, 0.0).log_weights
    np.testing.assert_allclose(found, by_hand([seen], [6], 1.0, 1e-30), rtol=1e-5)


def test_an_episode_that_did_not_happen_says_nothing():
    belief = update(fresh(), episode(3), 4, 1.0, 5.0)
    spoiled = jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), episode(4))
    after = update(belief, spoiled, 0, 1.0, 5.0)
    np.testing.assert_array_equal(after.log_weights, belief.log_weights)
    np.testing.assert_array_equal(
        update(fresh(), spoiled, 0, 1.0, 0.0).log_weights, np.zeros(4)
    )  # neither seen anything, nor would it count
