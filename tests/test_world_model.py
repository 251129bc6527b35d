"""The world model: its outcomes and densities by hand, and what a step of it may touch."""

from functools import cache
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate
from tiny import (
    HORIZON,
    assert_same,
    following_z,
    informed,
    mixture_log_density,
    setup,
)

from structlat_jax.config import Structure
from structlat_jax.inference import world_model
from structlat_jax.nets import optim
from structlat_jax.nets.networks import make_networks
from structlat_jax.types import Transition

OBS, ACTION, LATENT, K, T, B = 2, 1, 3, 2, 3, 4
STRUCTURE = Structure(width=6, depth=1, encoder_width=4, encoder_depth=1, world_width=6)
NETWORKS = make_networks(STRUCTURE, OBS, ACTION, LATENT, 2 * LATENT)
START = np.array([0.3, -0.2], np.float32)
LR = 1e-2


@cache
def params(seed=0):
    """Random parameters of the right shapes, biases included."""
    rng, shapes = np.random.default_rng(seed), jax.eval_shape(NETWORKS.init, jax.random.key(0))
    return jax.tree.map(lambda x: np.float32(0.4 * rng.normal(size=x.shape)), shapes)


def normal(*shape):
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


@cache
def transitions(seed=0):
    """``[T, B]``, about half of them without reward; nothing may look at what is NaN."""
    rng = np.random.default_rng(seed)
    reward = np.maximum(rng.normal(size=(T, B)), 0.0).astype(np.float32)
    assert 0 < np.sum(reward == 0) < reward.size
    unseen = np.full((T, B), np.float32(np.nan))
    obs, next_obs = (rng.normal(size=(T, B, OBS)).astype(np.float32) for _ in range(2))
    action = np.tanh(rng.normal(size=(T, B, ACTION))).astype(np.float32)
    return Transition(obs, action, reward, unseen, next_obs, unseen)


@jax.jit
def outcome(params, obs, z):
    return world_model.outcome(NETWORKS, params, obs, z, HORIZON)


def test_an_outcome_is_where_the_mode_of_the_policy_ends():
    z = normal(5, LATENT)
    got = outcome(params(), START, z)
    for i in range(5):
        obs = START
        for _ in range(HORIZON):
            mean, _ = NETWORKS.policy(params().policy, obs, z[i])
            obs = NETWORKS.next_obs(params().world, obs, np.tanh(mean))
        np.testing.assert_allclose(got[i], obs, rtol=1e-4, atol=1e-5)
    assert np.min(np.std(got, axis=0)) > 5e-3


@pytest.mark.parametrize("lead", [(), (1,), (2, 3)])
def test_outcomes_of_many_latents_are_those_of_each(lead):
    z = normal(*lead, LATENT)
    got = outcome(params(), START, z)
    assert got.shape == (*lead, OBS)
    alone = [outcome(params(), START, one) for one in z.reshape(-1, LATENT)]
    np.testing.assert_allclose(got.reshape(-1, OBS), alone, rtol=1e-4, atol=1e-5)


def test_outcomes_of_an_exact_model_are_those_of_the_environment():
    own = informed(setup())
    known = following_z(jax.jit(own.networks.init)(jax.random.key(0)))
    z = normal(7, own.space.dim)
    got = world_model.outcome(own.networks, known, jnp.array([0.25]), z, HORIZON)
    np.testing.assert_allclose(got, 0.25 + 0.5 * HORIZON * np.tanh(z[:, -1:]), atol=1e-5)


def test_an_imagined_episode_is_what_leads_to_its_outcome():
    z = normal(2, 3, LATENT)
    got = jax.jit(lambda z: world_model.imagine(NETWORKS, params(), START, z, HORIZON))(z)
    assert got.obs.shape == (2, 3, HORIZON, OBS)
    assert got.action.shape == (2, 3, HORIZON, ACTION)
    np.testing.assert_array_equal(got.obs[..., 0, :], np.broadcast_to(START, (2, 3, OBS)))
    mean, _ = NETWORKS.policy(params().policy, got.obs, z[..., None, :])
    np.testing.assert_allclose(got.action, np.tanh(mean), rtol=1e-4, atol=1e-5)
    after = NETWORKS.next_obs(params().world, got.obs, got.action)
    np.testing.assert_allclose(after[..., :-1, :], got.obs[..., 1:, :], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after[..., -1, :], got.outcome, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got.outcome, outcome(params(), START, z), rtol=1e-4, atol=1e-5)


def test_an_expected_return_is_the_sum_of_expected_rewards():
    imagined = world_model.Imagined(normal(3, 4, OBS), normal(3, 4, ACTION), None)
    tasks = normal(2, OBS)
    got = world_model.expected_return(NETWORKS, params().world, imagined, tasks)
    assert got.shape == (3, 2)
    for n in range(3):
        for m in range(2):
            step = (imagined.obs[n], imagined.action[n], tasks[m])
            logit, mean, _ = NETWORKS.reward(params().world, *step)
            expected = np.sum(np.asarray(mean) / (1.0 + np.exp(-np.asarray(logit))))
            assert got[n, m] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert np.ptp(got) > 0.05


STUB = SimpleNamespace(reward=lambda world, obs, action, outcome: world)
"""Networks whose prediction is the parameters themselves: a logit, a mean, a log deviation."""


@jax.jit
def log_density(world, reward):
    return world_model.reward_log_density(STUB, world, None, None, None, reward)


LOGITS = (-1e4, -50.0, -2.0, 0.0, 3.0, 50.0, 1e4)
LOG_STDS = (-1e3, -3.0, -1.0, 0.5, 1.0, 1e3)
REWARDS = (0.0, -0.0, 1e-30, 0.7, -3.0, 1e4)


def extremes():
    """Every combination of the above and of means, ``[n]`` each: logit, mean, log_std, reward."""
    grid = np.meshgrid(LOGITS, (-1.0, 0.0, 1e4), LOG_STDS, REWARDS, indexing="ij")
    return [x.ravel().astype(np.float32) for x in grid]


def test_densities_are_those_of_a_mixture():
    *world, reward = extremes()
    got = log_density(tuple(world), reward)
    np.testing.assert_allclose(got, mixture_log_density(reward, *world), rtol=1e-4, atol=1e-4)


def test_densities_and_their_gradients_are_finite():
    *world, reward = extremes()
    grads = jax.grad(lambda *x: jnp.sum(log_density(*x)), argnums=(0, 1))(tuple(world), reward)
    for grad in jax.tree.leaves(grads):
        assert np.all(np.isfinite(grad))
    (logit, mean, log_std), _ = grads
    silent = reward == 0
    assert not np.any(mean[silent])  # what is not paid says nothing of how much is
    assert not np.any(log_std[silent])
    assert np.all(logit[silent] <= 0)
    assert np.all(logit[~silent] >= 0)


@pytest.mark.parametrize("logit", [-4.0, 0.0, 1.5])
@pytest.mark.parametrize("log_std", [-9.0, -1.0, 0.0, 9.0])
def test_densities_integrate_to_one(logit, log_std):
    """A share of exact zeros and a density; no point of the grid is 0."""
    rewards = np.linspace(-30.0, 30.0, 200_000).astype(np.float32)
    world = tuple(jnp.float32(x) for x in (logit, 0.4, log_std))
    density = np.exp(np.float64(log_density(world, rewards)))
    silent = np.exp(np.float64(log_density(world, jnp.float32(0.0))))
    assert np.all(rewards != 0)
    assert silent == pytest.approx(1 / (1 + np.exp(logit)), rel=1e-5)
    heard = integrate.trapezoid(density, rewards.astype(float))
    assert silent + heard == pytest.approx(1.0, abs=1e-4)


def test_densities_of_many_outcomes_are_those_of_each():
    t, outcomes = transitions(), normal(T, OBS)
    density = lambda *x: world_model.reward_log_density(NETWORKS, params().world, *x)  # noqa: E731
    got = jax.jit(density)(t.obs, t.action, outcomes[:, None], t.reward)
    assert got.shape == (T, B)
    for i in range(T):
        for j in range(B):
            one = [t.obs[i, j], t.action[i, j], outcomes[i]]
            expected = mixture_log_density(t.reward[i, j], *NETWORKS.reward(params().world, *one))
            np.testing.assert_allclose(got[i, j], expected, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(density(*one, t.reward[i, j]), expected, rtol=1e-3)


@jax.jit
def loss(world, transitions, outcomes):
    """Value, parts and gradients."""
    run = lambda world: world_model.loss(world, NETWORKS, transitions, outcomes)  # noqa: E731
    (value, parts), grads = jax.value_and_grad(run, has_aux=True)(world)
    return value, parts, grads


@pytest.mark.parametrize("draws", [1, K])
def test_loss_is_an_error_and_a_negative_log_likelihood(draws):
    """A task's rewards are explained together, by the draws of its latent in turn."""
    t, world, outcomes = transitions(), params().world, normal(draws, T, OBS)
    value, parts, _ = loss(world, t, outcomes)
    surprises, errors = [], []
    for i in range(T):
        likelihoods = [
            np.exp(mixture_log_density(t.reward[i], *NETWORKS.reward(world, *given)).sum())
            for given in [(t.obs[i], t.action[i], outcomes[k, i]) for k in range(draws)]
        ]
        surprises.append(-np.log(np.mean(likelihoods)) / B)  # per transition
        errors.append(NETWORKS.next_obs(world, t.obs[i], t.action[i]) - t.next_obs[i])
    squared = np.square(errors).sum(axis=-1)  # over the axes of the observation
    np.testing.assert_allclose(parts.dynamics, squared.mean(), rtol=1e-4)
    np.testing.assert_allclose(parts.reward, np.mean(surprises), rtol=1e-3)
    np.testing.assert_allclose(value, squared.mean() + np.mean(surprises), rtol=1e-3)


def test_each_part_trains_its_own_network():
    t, world, outcomes = transitions(), params().world, normal(K, T, OBS)
    _, _, grads = loss(world, t, outcomes)
    _, _, elsewhere = loss(world, t._replace(next_obs=t.next_obs + 1.0), outcomes)
    _, _, paying = loss(world, t._replace(reward=t.reward + 1.0), outcomes)
    assert_same(grads["reward"], elsewhere["reward"])
    assert_same(grads["dynamics"], paying["dynamics"])
    for name, other in (("dynamics", elsewhere), ("reward", paying)):
        kernels = (x[name]["params"]["kernel_head"] for x in (grads, other))
        assert not np.allclose(*kernels)


@jax.jit
def update(params, moments, z):
    return world_model.update(NETWORKS, params, moments, transitions(), START, z, HORIZON, LR)


def test_a_step_descends_the_loss_at_the_outcomes_of_the_latents():
    """Adam's first step has the sign of the gradient, which does not pass through the outcomes."""
    z, before = normal(K, T, LATENT), params()
    after, moments, parts = update(before, optim.init(before.world), z)
    _, expected, grads = loss(before.world, transitions(), outcome(before, START, z))
    np.testing.assert_allclose(parts, expected, rtol=1e-4)
    for new, old, grad in zip(
        *map(jax.tree.leaves, (after.world, before.world, grads)), strict=True
    ):
        large = np.abs(grad) > 1e-4
        assert large.any()
        moved = np.asarray(new - old)
        np.testing.assert_allclose(moved[large], -LR * np.sign(grad[large]), rtol=1e-2)
    assert_same(after._replace(world=before.world), before)
    assert all(np.any(np.asarray(x)) for x in jax.tree.leaves(moments))


def test_a_second_step_goes_on_with_the_moments():
    z, before = normal(K, T, LATENT), params()
    once, moments, _ = update(before, optim.init(before.world), z)
    twice, _, _ = update(once, moments, z)
    gradient = loss(once.world, transitions(), outcome(once, START, z))[2]
    expected, _ = optim.adam(once.world, gradient, moments, jnp.float32(LR))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), twice.world, expected)
