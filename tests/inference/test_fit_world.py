"""Fitting the world model: to which batches, what depends on it, and what it knows afterwards.

The policy of the tests that train it goes where z points, so that every place of the line is the
destination of some z.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import (
    HORIZON,
    RADIUS,
    assert_same,
    config,
    flat,
    following_z,
    go_on,
    line,
    mixture_log_density,
    mode_of,
    one_seed,
    quick_compile,
    setup,
    train,
)

from structlat_jax.data import batches
from structlat_jax.inference import world_model
from structlat_jax.inference.additive import infer_contexts
from structlat_jax.nets import optim
from structlat_jax.shapes import Transition
from structlat_jax.train.learn import init_params

MODEL = world_model.make(setup().structure.world_width, 1, 1)


@pytest.mark.slow
def test_a_fit_is_that_many_updates_at_latents_of_fresh_batches():
    own, state = setup(), one_seed(train(1, 0, 2)[0])
    hyper = config(lr=0.02, lr_end=0.5, lr_decay_start=0.0, lr_decay_end=1.0).hyper
    sampler = batches.sampler(own, hyper, batches.view(own, hyper, state.replay))
    fit = jax.jit(lambda state, key: own.inference.fit(hyper, state, sampler, key))
    key_draws, key_z = jax.random.split(jax.random.key(3))
    keys = jax.random.split(key_draws, 2)
    noises = own.space.noise(key_z, (2, 2, 2))  # updates, draws and tasks of the tiny configuration
    params, moments, found = state.inference_params, state.inference_moments, []
    act = mode_of(own.networks, state.params.policy)

    @jax.jit
    def one(params, moments, key, noise):
        batch = sampler.make(sampler.draw(key))
        context = (batch.context.features, batch.context.owners, batch.context.length)
        posterior = infer_contexts(own.networks, own.space, state.params.encoder, *context)
        z = jnp.stack([own.space.transform(posterior, eps) for eps in noise])
        given = (act, batch.transitions, jnp.zeros((2, 1)), z, HORIZON, 0.01)
        return world_model.update(MODEL, params, moments, *given)

    with quick_compile():
        after, metrics = fit(state, jax.random.key(3))
        for key, noise in zip(keys, noises, strict=True):
            params, moments, parts = one(params, moments, key, noise)
            found.append(parts)
    np.testing.assert_allclose(flat(after.inference_params), flat(params), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(flat(after.inference_moments), flat(moments), rtol=1e-3, atol=1e-5)
    assert list(metrics) == ["world_dynamics", "world_reward"]
    np.testing.assert_allclose(list(metrics.values()), np.mean(found, axis=0), rtol=1e-3)
    own = {"inference_params": None, "inference_moments": None}
    assert_same(after._replace(**own), state._replace(**own))


@pytest.mark.slow
def test_a_meta_step_fits_it():
    before, (after, metrics) = train(1, 0, 0)[0], train(1, 0, 1)
    for name in ("world_dynamics", "world_reward"):
        assert metrics[0][name].shape == (1,)
        assert np.isfinite(metrics[0][name])
    for name in ("dynamics", "reward"):
        ours, its = (flat(state.inference_params[name]) for state in (after, before))
        assert 0 < np.max(np.abs(ours - its)) < 0.1
    assert not np.any(flat(before.inference_moments))
    counts = [x for x in jax.tree.leaves(after.inference_moments) if x.dtype == jnp.int32]
    assert [int(x[0]) for x in counts] == [setup().structure.world_updates]


def test_nothing_else_depends_on_it():
    """The same bits, but for its own, after two meta-steps with another world model."""
    ours, our_metrics = go_on(1, train(1, 0, 1)[0], 2)
    other = train(1, 0, 1)[0]
    changed = jax.tree.map(lambda x: 1.5 * x + 0.1, other.inference_params)
    its, its_metrics = go_on(1, other._replace(inference_params=changed), 2)
    assert_same(elsewhere(ours), elsewhere(its))
    assert not np.any(np.isclose(flat(ours.inference_params), flat(its.inference_params)))
    for one, same in zip(our_metrics, its_metrics, strict=True):
        assert one.keys() == same.keys()
        for name in one:
            assert (one[name].tolist() == same[name].tolist()) != name.startswith("world_")


def elsewhere(state):
    return state._replace(inference_params={}, inference_moments=())


def test_without_one_a_fit_changes_nothing():
    own = setup(inference="amortised")
    state = object()
    assert own.inference.fit(config().hyper, state, None, jax.random.key(0)) == (state, {})
    assert own.inference.moments(own.inference.zeros()) == ()


OWN = setup(latent="gau:1", world_width=16)
WIDE = world_model.make(16, 1, 1)
TRAINING = np.array([-1.6, -0.8, 0.8, 1.6], np.float32)
BETWEEN = np.array([-1.2, 0.0, 0.3, 1.1], np.float32)


def latents_of(places):
    """The z ``[T, 1]`` whose episodes end there."""
    return np.arctanh(places / (0.5 * HORIZON))[:, None]


def transitions_of(goals, obs, action):
    """Of tasks with these goals ``[T]``: obs and action ``[T, B, 1]``."""
    steps = jax.vmap(jax.vmap(line().step, in_axes=(0, 0, None)))
    out = steps(obs, action, jnp.asarray(goals))
    return Transition(obs, action, out.reward, out.train_reward, out.obs, out.done)


@pytest.fixture(scope="module")
def trained():
    """A world model that has seen the goals of `TRAINING`, the agent's policy, and the losses along
    the way."""
    z = latents_of(TRAINING)[None]
    agent, fresh = jax.jit(lambda key: init_params(OWN, key))(jax.random.key(0))
    act = mode_of(OWN.networks, following_z(agent).policy)

    def body(carry, inputs):
        key, lr = inputs
        key_obs, key_action = jax.random.split(key)
        obs = jax.random.uniform(key_obs, (4, 64, 1), minval=-2.5, maxval=2.5)
        action = jax.random.uniform(key_action, (4, 64, 1), minval=-1.0)
        seen = transitions_of(TRAINING, obs, action)
        given = (act, seen, jnp.zeros((4, 1)), z, HORIZON, lr)
        params, moments, losses = world_model.update(WIDE, *carry, *given)
        return (params, moments), losses

    inputs = jax.random.split(jax.random.key(1), 1500), jnp.linspace(0.01, 0.0, 1500)
    run = jax.jit(lambda carry: jax.lax.scan(body, carry, inputs))
    (params, _), losses = run((fresh, optim.init(fresh)))
    return params, act, jax.tree.map(np.asarray, losses)


def test_it_learns_how_the_world_moves(trained):
    params, _, losses = trained
    assert losses.dynamics[:3].mean() > 0.05
    assert losses.dynamics[-50:].mean() < 1e-4
    obs, action = np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-1, 1, 5))
    obs, action = (x.reshape(-1, 1).astype(np.float32) for x in (obs, action))
    got = WIDE.next_obs(params, obs, action)
    np.testing.assert_allclose(got, obs + 0.5 * action, atol=0.05)


def destinations_of(trained, places):
    params, act, _ = trained
    z = latents_of(places)
    run = jax.jit(lambda p: world_model.imagine(WIDE, p, act, jnp.zeros(1), z, HORIZON).destination)
    return run(params)


def test_it_knows_where_latents_lead_seen_or_between(trained):
    places = np.concatenate([TRAINING, BETWEEN])
    np.testing.assert_allclose(destinations_of(trained, places)[:, 0], places, atol=0.1)


@pytest.fixture(scope="module")
def judged(trained):
    """Of the goals ``[8]``, seen and in between: transitions ``[8, B]`` and the predictions."""
    goals = np.concatenate([TRAINING, BETWEEN])
    rng = np.random.default_rng(2)
    obs = rng.uniform(-2.5, 2.5, (8, 400, 1)).astype(np.float32)
    seen = transitions_of(goals, obs, rng.uniform(-1, 1, (8, 400, 1)).astype(np.float32))
    destinations = destinations_of(trained, goals)[:, None]

    @jax.jit
    def run(params):
        given = (params, seen.obs, seen.action, destinations)
        density = world_model.reward_log_density(WIDE, *given, seen.reward)
        return WIDE.reward(*given), density

    predicted, density = run(trained[0])
    distance = np.abs(seen.next_obs[..., 0] - goals[:, None])
    return jax.device_get((distance, seen.reward, predicted, density))


def test_it_learns_what_is_paid_also_at_places_between_those_of_training(judged):
    distance, _, (logit, mean, _), _ = judged
    inside, outside = distance < RADIUS - 0.15, distance > RADIUS + 0.15
    assert np.all(np.sum(inside, axis=1) > 20)
    for goal in range(8):
        assert np.mean(logit[goal][inside[goal]] > 0) > 0.98
        assert np.mean(logit[goal][outside[goal]] < 0) > 0.98
        error = np.abs(mean - (1.0 - distance))[goal][inside[goal]]
        assert np.mean(error) < 0.1


def test_its_densities_tell_places_apart(judged):
    """Better than any prediction that ignores the task, on tasks it saw and on others."""
    _, rewards, _, density = judged
    share, some = np.mean(rewards != 0), rewards[rewards != 0]
    logit = np.log(share / (1 - share))
    ignorant = mixture_log_density(rewards, logit, some.mean(), np.log(some.std()))
    assert np.all(density.mean(axis=1) > ignorant.mean(axis=1) + 0.3)
