"""The decoder: its densities by hand, its scale, and that it learns what z says."""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structlat_jax.inference import decoder
from structlat_jax.inference.imagined import Imagined
from structlat_jax.nets import optim
from structlat_jax.nets.init import initialise
from structlat_jax.nets.mlp import MLP
from structlat_jax.shapes import Transition

OBS, ACTION, LATENT = 2, 1, 3
MODEL = decoder.make(32, OBS, ACTION, LATENT)
SCALE = decoder.Scale(
    change=jnp.array([0.5, -1.0]),
    change_square=jnp.array([0.5, 5.0]),  # variances of 0.25 and 4
    shaped=jnp.float32(-3.0),
    shaped_square=jnp.float32(18.0),  # of 9
    reward=jnp.float32(0.5),  # where it is paid: 2, with a variance of 1
    reward_square=jnp.float32(1.25),
    paid=jnp.float32(0.25),
)


FIXED = decoder.Decoder(MLP(1, 1, 2 * OBS + 5), (OBS, ACTION, LATENT))
OUT = {
    "params": {
        "kernel_0": jnp.zeros((OBS + ACTION + LATENT, 1)),
        "bias_0": jnp.zeros(1),
        "kernel_head": jnp.zeros((1, 9)),
        "bias_head": jnp.array([0.1, 0.2, -0.5, 0.3, 1.0, -1.0, 0.7, 0.4, 2.0]),
    }
}
"""A network that says the same of everything."""


def transition(reward, lead=()):
    return Transition(
        obs=jnp.broadcast_to(jnp.array([1.0, 2.0]), (*lead, 2)),
        action=jnp.full((*lead, 1), 0.3),
        reward=jnp.full(lead, reward),
        train_reward=jnp.full(lead, -1.0),
        next_obs=jnp.broadcast_to(jnp.array([1.7, 0.5]), (*lead, 2)),
        done=jnp.zeros(lead),
    )


def normal(x, mean, log_std):
    return -0.5 * ((x - mean) / math.exp(log_std)) ** 2 - log_std


def test_predictions_are_in_units_of_the_task():
    p = FIXED.predict(OUT, SCALE, jnp.zeros(2), jnp.zeros(1), jnp.zeros(3))
    np.testing.assert_allclose(p.change, [0.5 + 0.5 * 0.1, -1.0 + 2.0 * 0.2], rtol=1e-6)
    np.testing.assert_allclose(p.shaped, -3.0 + 3.0 * 1.0, atol=1e-6)
    np.testing.assert_allclose(p.reward, 2.0 + 1.0 * 0.7, rtol=1e-6)
    np.testing.assert_allclose(p.paid, 2.0)
    np.testing.assert_allclose(p.change_log_std, [-0.5, 0.3], rtol=1e-6)


def test_densities_by_hand():
    found = decoder.log_density(FIXED, OUT, SCALE, transition(3.0), jnp.zeros(3))
    change = normal((0.7 - 0.5) / 0.5, 0.1, -0.5) + normal((-1.5 + 1.0) / 2.0, 0.2, 0.3)
    np.testing.assert_allclose(found.change, change, rtol=1e-5)
    np.testing.assert_allclose(found.shaped, normal((-1.0 + 3.0) / 3.0, 1.0, -1.0), rtol=1e-5)
    paid = -math.log1p(math.exp(-2.0)) + normal(3.0 - 2.0, 0.7, 0.4)
    np.testing.assert_allclose(found.reward, paid, rtol=1e-5)
    unpaid = decoder.log_density(FIXED, OUT, SCALE, transition(0.0), jnp.zeros(3))
    np.testing.assert_allclose(unpaid.reward, -math.log1p(math.exp(2.0)), rtol=1e-5)


def test_an_error_of_changes_by_hand():
    apart = [(0.7 - 0.5) / 0.5 - 0.1, (-1.5 + 1.0) / 2.0 - 0.2]
    found = decoder.change_error(FIXED, OUT, SCALE, transition(3.0), jnp.zeros(3))
    np.testing.assert_allclose(found, 0.5 * sum(x**2 for x in apart), rtol=1e-5)
    many = decoder.change_error(FIXED, OUT, SCALE, transition(3.0, (2, 4)), jnp.zeros((2, 1, 3)))
    np.testing.assert_allclose(many, found, rtol=1e-5)


@cache
def initial():
    """Fresh parameters, drawn by one program."""
    return jax.jit(lambda key: initialise(key, MODEL.zeros(), "he", ()))(jax.random.key(1))


@jax.jit
def log_density(params, scale, t, z):
    return decoder.log_density(MODEL, params, scale, t, z)


predict = jax.jit(MODEL.predict)


@pytest.mark.parametrize("lead", [(4,), (2, 4)])
def test_any_leading_axes(lead):
    z = np.random.default_rng(0).normal(size=(*lead, LATENT)).astype(np.float32)
    found = log_density(initial(), SCALE, transition(1.0, lead), z)
    assert all(x.shape == lead for x in found)
    one = tuple(0 for _ in lead)
    alone = log_density(initial(), SCALE, transition(1.0), z[one])
    for ours, its in zip(found, alone, strict=True):
        assert its.shape == ()
        np.testing.assert_allclose(ours[one], its, rtol=1e-4, atol=1e-5)


def test_the_scale_tends_to_the_moments_of_what_is_seen():
    rng = np.random.default_rng(0)

    def batch(_):
        reward = rng.normal(2.0, 1.0, (3, 64)) * (rng.uniform(size=(3, 64)) < 0.25)
        obs = rng.normal(size=(3, 64, 2))
        return Transition(
            *(obs, np.zeros((3, 64, 1)), reward, rng.normal(-3.0, 3.0, (3, 64))),
            obs + rng.normal([0.5, -1.0], [0.5, 2.0], (3, 64, 2)),
            np.zeros((3, 64)),
        )

    scale, step = decoder.initial_scale(OBS), jax.jit(decoder.track)
    for i in range(800):
        scale = step(scale, jax.tree.map(jnp.float32, batch(i)))
    change, shaped, reward = decoder.spreads(scale)
    np.testing.assert_allclose(change.mean, [0.5, -1.0], atol=0.1)
    np.testing.assert_allclose(change.std, [0.5, 2.0], rtol=0.1)
    np.testing.assert_allclose([shaped.mean, shaped.std], [-3.0, 3.0], rtol=0.1)
    np.testing.assert_allclose([reward.mean, reward.std], [2.0, 1.0], rtol=0.15)
    np.testing.assert_allclose(scale.paid, 0.25, atol=0.03)


def test_what_never_varies_has_a_spread():
    still = decoder.initial_scale(OBS)._replace(
        shaped=jnp.float32(2.0), shaped_square=jnp.float32(4)
    )
    assert all(np.all(x.std > 0) for x in decoder.spreads(still))
    found = decoder.log_density(FIXED, OUT, still, transition(0.0), jnp.zeros(3))
    assert all(np.all(np.isfinite(x)) for x in found)


@cache
def fitted():
    """To rewards and moves that depend on z: ``reward = z_0`` and ``change = z_1 * action``."""
    params, scale = initial(), decoder.initial_scale(OBS)

    def batch(key):
        key_z, key_obs, key_action = jax.random.split(key, 3)
        z = jax.random.normal(key_z, (16, 1, LATENT))
        obs = jax.random.normal(key_obs, (16, 8, OBS))
        action = jax.random.uniform(key_action, (16, 8, ACTION), minval=-1.0, maxval=1.0)
        reward = jnp.broadcast_to(z[..., 0], (16, 8))
        move = jnp.broadcast_to(z[..., 1:2] * action, obs.shape)
        t = Transition(obs, action, reward, 2.0 * reward, obs + move, jnp.zeros((16, 8)))
        return t, z

    def step(carry, key):
        params, moments, scale = carry
        t, z = batch(key)
        scale = decoder.track(scale, t)

        def loss(p):
            return -jnp.mean(sum(decoder.log_density(MODEL, p, scale, t, z)))

        params, moments = optim.adam(params, jax.grad(loss)(params), moments, 3e-3)
        return (params, moments, scale), None

    carry = (params, optim.init(params), scale)
    keys = jax.random.split(jax.random.key(2), 2000)
    params, _, scale = jax.jit(lambda c: jax.lax.scan(step, c, keys)[0])(carry)
    return params, scale, *batch(jax.random.key(3))


def test_it_learns_what_z_says():
    params, scale, t, z = fitted()
    p = predict(params, scale, t.obs, t.action, z)
    for found, expected in ((p.reward, t.reward), (p.shaped, t.train_reward)):
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95
    assert np.corrcoef(p.change.ravel(), (t.next_obs - t.obs).ravel())[0, 1] > 0.95


def test_the_right_z_explains_a_task_better_than_another():
    params, scale, t, z = fitted()
    own = log_density(params, scale, t, z)
    other = log_density(params, scale, t, jnp.roll(z, 1, axis=0))
    for ours, its in zip(own, other, strict=True):
        assert np.mean(ours) > np.mean(its) + 0.1


def test_a_reader_reads_z_and_weighs_what_was_paid_alone():
    params, scale, t, z = fitted()
    reader, own = decoder.reader(MODEL), (params, scale)
    place = jnp.zeros((16, 1, OBS))
    np.testing.assert_array_equal(reader.read(z, place), z)
    found = reader.log_density(own, t.obs, t.action, z, t.reward)
    expected = log_density(params, scale, t, z).reward
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_reader_weighs_changes_only_if_asked():
    params, scale, t, z = fitted()
    given = ((params, scale), t.obs, t.action, z)
    assert decoder.reader(MODEL).change_log_density is None
    reader = decoder.reader(MODEL, changes=True)
    expected = log_density(params, scale, t, z)
    found = reader.change_log_density(*given, t.next_obs)
    np.testing.assert_allclose(found, expected.change, rtol=1e-4, atol=1e-3)
    paid = reader.log_density(*given, t.reward)
    np.testing.assert_allclose(paid, expected.reward, rtol=1e-5)


def test_imagined_episodes_go_where_the_decoder_says():
    params, scale, _, _ = fitted()
    reader, own = decoder.reader(MODEL), (params, scale)
    z = jnp.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])

    def act(obs, z):
        return 0.5 * jnp.ones((*z.shape[:-1], 1)) + 0.1 * obs[..., :1]

    found = reader.imagine(own, act, jnp.array([0.2, -0.1]), z, 3)
    assert found.obs.shape == (2, 3, OBS)
    assert found.action.shape == (2, 3, ACTION)
    for i in range(2):
        obs = jnp.array([0.2, -0.1])
        for step in range(3):
            np.testing.assert_allclose(found.obs[i, step], obs, rtol=1e-4, atol=1e-5)
            action = act(obs, z[i])
            np.testing.assert_allclose(found.action[i, step], action, rtol=1e-4, atol=1e-5)
            obs = obs + predict(params, scale, obs, action, z[i]).change
        np.testing.assert_allclose(found.destination[i], obs, rtol=1e-4, atol=1e-5)
    assert found.destination[0, 0] > 0.5 > -0.5 > found.destination[1, 0]


def test_what_imagined_episodes_pay_depends_on_the_task():
    params, scale, t, _ = fitted()
    reader, own = decoder.reader(MODEL), (params, scale)
    tasks = jnp.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    episodes = Imagined(t.obs[:2], t.action[:2], t.obs[:2, -1])
    found = reader.expected_return(own, episodes, tasks)
    assert found.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            p = predict(params, scale, t.obs[i], t.action[i], tasks[j])
            expected = np.sum(jax.nn.sigmoid(p.paid) * p.reward)
            np.testing.assert_allclose(found[i, j], expected, rtol=1e-4, atol=1e-4)
    assert np.all(found[:, 0] > found[:, 2])
    assert np.all(found[:, 2] > found[:, 1])


def test_the_scale_is_of_what_was_taken():
    """What lies behind an episode's end counts for nothing."""
    keys = jax.random.split(jax.random.key(3), 4)
    shape = (3, 5)
    whole = Transition(
        obs=jax.random.normal(keys[0], (*shape, 2)),
        action=jnp.zeros((*shape, 1)),
        reward=jax.random.normal(keys[1], shape) + 2.0,
        train_reward=jax.random.normal(keys[2], shape) - 4.0,
        next_obs=jax.random.normal(keys[3], (*shape, 2)),
        done=jnp.zeros(shape),
    )
    taken = jnp.arange(5) < jnp.array([5, 2, 1])[:, None]
    rows = jax.tree.map(lambda x: x[taken][None], whole)  # those that were taken, side by side
    blank = jax.tree.map(
        lambda x: jnp.where(taken.reshape(*shape, *[1] * (x.ndim - 2)), x, 0.0), whole
    )
    start = decoder.initial_scale(2)
    expected = decoder.track(start, rows)
    for name, value in decoder.track(start, blank, taken)._asdict().items():
        np.testing.assert_allclose(value, getattr(expected, name), rtol=1e-5, err_msg=name)
    unmasked = decoder.track(start, blank)
    assert abs(float(unmasked.shaped - expected.shaped)) > 1e-3
