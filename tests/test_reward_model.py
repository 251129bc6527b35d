"""The reward model: its loss, that it learns, and that nothing of PEARL's depends on it."""

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_sac import ACTION, OBS, SPACE, B, C, T, assert_same, critic, differ, largest, make_batch
from test_sac import NETWORKS as WITH
from test_sac import params as all_params

from structlat_jax import sac

WITHOUT = dataclasses.replace(WITH, reward_net=None)
LR = 1e-2


@cache
def batch():
    """As in the tests of the actor-critic, with the task's own reward."""
    made = make_batch()
    reward = np.random.default_rng(9).uniform(size=(T, B)).astype(np.float32)
    return made._replace(transitions=made.transitions._replace(reward=reward))


@cache
def updated(networks, reward_seed=0, coefficients=C):
    """Parameters, moments and losses after one update of the batch."""
    params = all_params()._replace(reward=all_params(reward_seed).reward)
    if networks is WITHOUT:
        params = params._replace(reward={})

    @jax.jit
    def run(params, batch):
        optimisers = sac.init_optimisers(params)
        return sac.update(networks, SPACE, params, optimisers, batch, coefficients)

    return jax.device_get(run(params, batch()))


def pearls(outcome):
    """All that is not about the reward model."""
    return [part._replace(reward=None) for part in outcome]


def test_pearls_update_has_the_same_bits_without_it():
    assert_same(pearls(updated(WITH)), pearls(updated(WITHOUT)))
    assert_same(pearls(updated(WITH)), pearls(updated(WITH, reward_seed=1)))


def test_without_it_there_is_nothing_to_update():
    params, optimisers, losses = updated(WITHOUT)
    assert params.reward == {}
    assert not jax.tree.leaves(optimisers.reward)
    assert losses.reward == 0.0


@jax.jit
def loss(reward, transitions, z):
    return sac.reward_loss(reward, WITH, transitions, z)


def test_loss_is_the_squared_error_of_the_own_reward():
    reward, t, z = all_params().reward, batch().transitions, batch().latent_noise
    error = [
        [float(WITH.reward(reward, t.obs[i, j], t.action[i, j], z[i])) - t.reward[i, j]]
        for i in range(T)
        for j in range(B)
    ]
    assert float(loss(reward, t, z)) == pytest.approx(np.mean(np.square(error)), rel=1e-4)
    silent = t._replace(train_reward=t.train_reward * np.nan, next_obs=t.next_obs * np.nan)
    assert_same(loss(reward, silent, z), loss(reward, t, z))


def test_the_update_fits_it_at_the_latents_of_the_critics():
    """Adam's first step moves the parameters by the step size of the actor-critic."""
    (_, aux), _ = critic(all_params(), batch())
    params, _, losses = updated(WITH)
    expected = loss(all_params().reward, batch().transitions, aux.z)
    np.testing.assert_allclose(losses.reward, expected, rtol=1e-4)
    assert differ(params.reward, all_params().reward)
    moved = jax.tree.map(lambda a, b: a - b, params.reward, all_params().reward)
    np.testing.assert_allclose(largest(moved), LR, rtol=1e-2)


@jax.jit
def train():
    """Losses along many updates in a world whose own reward is the first observation in one task
    and minus that in the other, so that only z tells what is paid."""

    def body(carry, key):
        key_obs, key_action = jax.random.split(key)
        obs = jax.random.normal(key_obs, (2, 32, OBS))
        action = jax.random.uniform(key_action, (2, 32, ACTION), minval=-1.0)
        zeros = jnp.zeros((2, 32))
        reward = jnp.array([[1.0], [-1.0]]) * obs[..., 0]
        t = batch().transitions._replace(
            obs=obs, action=action, reward=reward, train_reward=zeros, next_obs=obs, done=zeros
        )
        made = make_batch(tasks=2)
        apart = jnp.array([[1.5], [-1.5]]) * jnp.ones((2, SPACE.dim))
        made = made._replace(transitions=t, latent_noise=apart, action_noise=action)
        c = C._replace(encoder_lr=0.0)  # z stays where it is
        params, optimisers, losses = sac.update(WITH, SPACE, *carry, made, c)
        return (params, optimisers), losses.reward

    start = all_params(), sac.init_optimisers(all_params())
    return jax.lax.scan(body, start, jax.random.split(jax.random.key(0), 400))[1]


def test_it_learns_what_a_task_pays():
    """Without z, the best prediction is 0, and its error 1."""
    losses = np.asarray(train())
    assert losses[:10].mean() > 0.8
    assert losses[-50:].mean() < 0.1
