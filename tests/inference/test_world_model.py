"""The world model: its destinations and densities by hand, and what a step of it may touch."""

from functools import cache

import by_hand
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate
from tiny import HORIZON, assert_same, exact_model, following_z, mixture_log_density, mode_of, setup
from tiny import learned as fresh

from structlat_jax.inference import world_model
from structlat_jax.nets import optim
from structlat_jax.shapes import Transition

OBS, ACTION, LATENT, K, T, B = 2, 1, 3, 2, 3, 4
MODEL = world_model.make(6, OBS, ACTION)
START = np.array([0.3, -0.2], np.float32)
STARTS = np.array([[0.3, -0.2], [0.1, 0.9], [-1.0, 0.4]], np.float32)  # one of each task
LR = 1e-2
WAY = np.array([[0.4, -0.7, 0.2]], np.float32), np.array([[-0.9, 0.5]], np.float32)


def act(obs, z):
    """A policy that looks at both; anything will do."""
    return jnp.tanh(obs @ WAY[1].T + z @ WAY[0].T)


@cache
def params(seed=0):
    """Random parameters of the right shapes, biases included."""
    rng, shapes = np.random.default_rng(seed), jax.eval_shape(MODEL.zeros)
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


def test_dynamics_add_a_network_and_a_linear_map_of_observation_and_action():
    obs, action = normal(6, OBS), normal(6, ACTION)
    moved = by_hand.mlp(params()["dynamics"], np.concatenate([obs, action], -1))
    got = jax.jit(MODEL.next_obs)(params(), obs, action)
    np.testing.assert_allclose(got, obs + moved, rtol=1e-3, atol=1e-4)
    assert np.max(np.abs(moved)) > 0.1


def test_rewards_are_a_network_of_action_and_displacement():
    """Every destination ``[5, 1]`` with each of the transitions ``[7]``."""
    obs, action, destination = normal(7, OBS), normal(7, ACTION), normal(5, 1, OBS)
    got = np.stack(jax.jit(MODEL.reward)(params(), obs, action, destination), -1)
    given = (np.broadcast_to(action, (5, 7, ACTION)), destination - obs)
    expected = by_hand.mlp(params()["reward"], np.concatenate(given, -1))
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
    one = MODEL.reward(params(), obs[2], action[2], destination[3, 0])
    np.testing.assert_allclose(one, expected[3, 2], rtol=1e-3, atol=1e-4)


def test_it_has_a_width_of_its_own_and_starts_as_zeros():
    zeros = world_model.make(9, OBS, ACTION).zeros()
    assert not any(np.any(x) for x in jax.tree.leaves(zeros))
    widths = {
        name: [p["params"][f"bias_{i}"].size for i in range(len(p["params"]) // 2 - 1)]
        for name, p in zeros.items()
    }
    assert widths == {"dynamics": [9], "reward": [9, 9]}


@jax.jit
def imagine(params, obs, z):
    return world_model.imagine(MODEL, params, act, obs, z, HORIZON)


def destination(params, obs, z):
    return imagine(params, obs, z).destination


def test_an_outcome_is_where_what_acts_ends():
    z = normal(5, LATENT)
    got = destination(params(), START, z)
    for i in range(5):
        obs = START
        for _ in range(HORIZON):
            obs = MODEL.next_obs(params(), obs, act(obs, z[i]))
        np.testing.assert_allclose(got[i], obs, rtol=1e-4, atol=1e-5)
    assert np.min(np.std(got, axis=0)) > 5e-3


@pytest.mark.parametrize("lead", [(), (1,), (2, 3)])
def test_destinations_of_many_latents_are_those_of_each(lead):
    z = normal(*lead, LATENT)
    got = destination(params(), START, z)
    assert got.shape == (*lead, OBS)
    alone = [destination(params(), START, one) for one in z.reshape(-1, LATENT)]
    np.testing.assert_allclose(got.reshape(-1, OBS), alone, rtol=1e-4, atol=1e-5)


def test_each_task_may_start_somewhere_else():
    z = normal(K, T, LATENT)
    got = destination(params(), STARTS, z)
    for i in range(T):
        np.testing.assert_allclose(
            got[:, i], destination(params(), STARTS[i], z[:, i]), rtol=1e-4, atol=1e-5
        )


def test_destinations_of_an_exact_model_are_those_of_the_environment():
    own = setup()
    z = normal(7, own.space.dim)
    mode = mode_of(own.networks, following_z(fresh().agent).policy)
    start = jnp.array([0.25])
    got = world_model.imagine(exact_model(own), {}, mode, start, z, HORIZON).destination
    np.testing.assert_allclose(got, 0.25 + 0.5 * HORIZON * np.tanh(z[:, -1:]), atol=1e-5)


def test_an_imagined_episode_is_what_leads_to_its_outcome():
    z = normal(2, 3, LATENT)
    got = imagine(params(), START, z)
    assert got.obs.shape == (2, 3, HORIZON, OBS)
    assert got.action.shape == (2, 3, HORIZON, ACTION)
    np.testing.assert_array_equal(got.obs[..., 0, :], np.broadcast_to(START, (2, 3, OBS)))
    np.testing.assert_allclose(got.action, act(got.obs, z[..., None, :]), rtol=1e-4, atol=1e-5)
    after = MODEL.next_obs(params(), got.obs, got.action)
    np.testing.assert_allclose(after[..., :-1, :], got.obs[..., 1:, :], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after[..., -1, :], got.destination, rtol=1e-4, atol=1e-5)


def test_an_expected_return_is_the_sum_of_expected_rewards():
    imagined = world_model.Imagined(normal(3, 4, OBS), normal(3, 4, ACTION), None)
    tasks = normal(2, OBS)
    got = world_model.expected_return(MODEL, params(), imagined, tasks)
    assert got.shape == (3, 2)
    for n in range(3):
        for m in range(2):
            step = (imagined.obs[n], imagined.action[n], tasks[m])
            logit, mean, _ = MODEL.reward(params(), *step)
            expected = np.sum(np.asarray(mean) / (1.0 + np.exp(-np.asarray(logit))))
            assert got[n, m] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert np.ptp(got) > 0.05


class Stub(world_model.WorldModel):
    """Its prediction is the parameters themselves: a logit, a mean, a log deviation."""

    def reward(self, params, obs, action, destination):
        return params


@jax.jit
def log_density(world, reward):
    unread = (jnp.zeros(OBS), jnp.zeros(ACTION), jnp.zeros(OBS))
    return world_model.reward_log_density(Stub(**vars(MODEL)), world, *unread, reward)


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
    t, destinations = transitions(), normal(T, OBS)
    density = lambda *x: world_model.reward_log_density(MODEL, params(), *x)  # noqa: E731
    got = jax.jit(density)(t.obs, t.action, destinations[:, None], t.reward)
    assert got.shape == (T, B)
    for i in range(T):
        for j in range(B):
            one = [t.obs[i, j], t.action[i, j], destinations[i]]
            expected = mixture_log_density(t.reward[i, j], *MODEL.reward(params(), *one))
            np.testing.assert_allclose(got[i, j], expected, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(density(*one, t.reward[i, j]), expected, rtol=1e-3)


@jax.jit
def loss(world, transitions, destinations):
    """Value, parts and gradients."""
    run = lambda world: world_model.loss(world, MODEL, transitions, destinations)  # noqa: E731
    (value, parts), grads = jax.value_and_grad(run, has_aux=True)(world)
    return value, parts, grads


@pytest.mark.parametrize("draws", [1, K])
def test_loss_is_an_error_and_a_negative_log_likelihood(draws):
    """A task's rewards are explained together, by the draws of its latent in turn."""
    t, world, destinations = transitions(), params(), normal(draws, T, OBS)
    value, parts, _ = loss(world, t, destinations)
    surprises, errors = [], []
    for i in range(T):
        likelihoods = [
            np.exp(mixture_log_density(t.reward[i], *MODEL.reward(world, *given)).sum())
            for given in [(t.obs[i], t.action[i], destinations[k, i]) for k in range(draws)]
        ]
        surprises.append(-np.log(np.mean(likelihoods)) / B)  # per transition
        errors.append(MODEL.next_obs(world, t.obs[i], t.action[i]) - t.next_obs[i])
    squared = np.square(errors).sum(axis=-1)  # over the axes of the observation
    np.testing.assert_allclose(parts.dynamics, squared.mean(), rtol=1e-4)
    np.testing.assert_allclose(parts.reward, np.mean(surprises), rtol=1e-3)
    np.testing.assert_allclose(value, squared.mean() + np.mean(surprises), rtol=1e-3)


def test_each_part_trains_its_own_network():
    t, world, destinations = transitions(), params(), normal(K, T, OBS)
    _, _, grads = loss(world, t, destinations)
    _, _, elsewhere = loss(world, t._replace(next_obs=t.next_obs + 1.0), destinations)
    _, _, paying = loss(world, t._replace(reward=t.reward + 1.0), destinations)
    assert_same(grads["reward"], elsewhere["reward"])
    assert_same(grads["dynamics"], paying["dynamics"])
    for name, other in (("dynamics", elsewhere), ("reward", paying)):
        kernels = (x[name]["params"]["kernel_head"] for x in (grads, other))
        assert not np.allclose(*kernels)


@jax.jit
def update(params, moments, z):
    given = (act, transitions(), STARTS, z, HORIZON, LR)
    return world_model.update(MODEL, params, moments, *given)


def test_a_step_descends_the_loss_at_the_destinations_of_the_latents():
    """Adam's first step has the sign of the gradient, not through the destinations."""
    z, before = normal(K, T, LATENT), params()
    after, moments, parts = update(before, optim.init(before), z)
    _, expected, grads = loss(before, transitions(), destination(before, STARTS, z))
    np.testing.assert_allclose(parts, expected, rtol=1e-4)
    for new, old, grad in zip(*map(jax.tree.leaves, (after, before, grads)), strict=True):
        large = np.abs(grad) > 1e-4
        assert large.any()
        moved = np.asarray(new - old)
        np.testing.assert_allclose(moved[large], -LR * np.sign(grad[large]), rtol=1e-2)
    assert all(np.any(np.asarray(x)) for x in jax.tree.leaves(moments))


def test_a_second_step_goes_on_with_the_moments():
    z, before = normal(K, T, LATENT), params()
    once, moments, _ = update(before, optim.init(before), z)
    twice, _, _ = update(once, moments, z)
    gradient = loss(once, transitions(), destination(once, STARTS, z))[2]
    expected, _ = optim.adam(once, gradient, moments, jnp.float32(LR))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), twice, expected)
