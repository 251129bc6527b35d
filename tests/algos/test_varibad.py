"""VariBAD's bound and its memory, against sums written out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import config, line, quick_compile

from structlat_jax.algos import varibad
from structlat_jax.inference import decoder
from structlat_jax.inference import recurrent as inference
from structlat_jax.nets import recurrent
from structlat_jax.shapes import Transition
from structlat_jax.train import trials
from structlat_jax.train.learn import init
from structlat_jax.train.setup import make_setup

TRIALS, EPISODES = 3, 2
SIZES = {
    "updates_per_step": 2,
    "minibatches": 1,
    "hidden": 3,
    "trial_episodes": EPISODES,
    "task_trials": 1,
    "kept_steps": 2,
}


@functools.cache
def setup(latent):
    return make_setup(config(algorithm="varibad", latent=latent, **SIZES), line())


@functools.cache
def given(latent):
    """A setup, parameters, trials as they are remembered, and their features."""
    own = setup(latent)
    with quick_compile():
        state = init(own, jax.random.key(0))
        tasks = jnp.array([1.0, -1.0, 1.0])
        acted = trials.act(own, own.config.hyper, state.learned, tasks, EPISODES, jax.random.key(1))
    t, valid, last = inference.flat(acted.episodes)
    return own, state.params, varibad.Remembered(t, valid, last), inference.features(t, last, 5.0)


def bound(latent, weight, key=2):
    own, params, seen, features = given(latent)
    model = decoder.make(own.structure.decoder_width, 1, 1, own.space.dim)
    trained = {"encoder": params.encoder, "decoder": params.decoder}
    return varibad.bound(
        *(own.space, model, trained, params.scale, seen, features, weight, jax.random.key(key))
    )


def beliefs(latent):
    """Totals before each step and after the last, ``[M, L + 1, stat]``."""
    own, params, seen, features = given(latent)
    start = jnp.zeros((TRIALS, own.structure.hidden))
    hidden = recurrent.states(params.encoder["net"], start, features, seen.valid)
    return inference.total_of(own.space, params.encoder["head"], hidden)


@pytest.mark.slow
def test_the_kl_is_that_of_each_belief_to_the_one_before_it():
    own = setup("gau:2")
    totals = np.asarray(beliefs("gau:2"), float)
    precision = 1.0 + totals[..., :2]  # the prior is one factor
    mean, variance = totals[..., 2:] / precision, 1.0 / precision
    first = 0.5 * (variance[:, 0] + mean[:, 0] ** 2 - 1.0 - np.log(variance[:, 0])).sum(axis=-1)
    ratio = variance[:, 1:] / variance[:, :-1]
    moved = (mean[:, 1:] - mean[:, :-1]) ** 2 / variance[:, :-1]
    later = 0.5 * (ratio + moved - 1.0 - np.log(ratio)).sum(axis=(1, 2))
    _, terms = bound("gau:2", jnp.float32(0.0))
    np.testing.assert_allclose(terms["learned"], np.mean(first + later), rtol=1e-3)
    last = own.space.kl(own.space.posterior(jnp.float32(totals[:, -1])))
    np.testing.assert_allclose(terms["kl"], np.mean(last, axis=0), rtol=1e-4)


def test_its_weight_is_per_step_of_the_trial_and_of_the_belief():
    """A trial's steps are predicted as a mean, the beliefs weighed as one."""
    steps = given("gau:2")[2].valid.shape[1]
    free, terms = bound("gau:2", jnp.float32(0.0))
    bound_, _ = bound("gau:2", jnp.float32(1.0))
    np.testing.assert_allclose(bound_ - free, terms["learned"] / steps**2, rtol=1e-3, atol=1e-6)


def test_every_belief_is_asked_about_the_whole_trial():
    """With a decoder that does not read z, the loss is the density of all transitions."""
    own, params, seen, features = given("gau:2")
    model = decoder.make(own.structure.decoder_width, 1, 1, own.space.dim)
    blank = jax.tree.map(jnp.zeros_like, params.decoder)
    loss, terms = varibad.bound(
        *(own.space, model, {"encoder": params.encoder, "decoder": blank}, params.scale),
        *(seen, features, jnp.float32(0.0), jax.random.key(3)),
    )
    t = seen.transitions
    density = decoder.log_density(model, blank, params.scale, t, jnp.zeros((*t.reward.shape, 2)))
    expected = -sum(float(jnp.mean(x)) for x in density)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert set(terms) == {
        *("decoder_reward", "decoder_shaped", "decoder_change", "learned", "kl"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("latent", ["dir:1x3", "cat:2x3", "vmf:1", "dir:1x3,gau:2"])
def test_any_latent_space_can_be_believed_in(latent):
    """Finite, and the encoder learns from the prediction alone."""
    own, params, seen, features = given(latent)
    model = decoder.make(own.structure.decoder_width, 1, 1, own.space.dim)

    def loss(trained):
        args = (own.space, model, trained, params.scale, seen, features)
        return varibad.bound(*args, jnp.float32(0.1), jax.random.key(4))[0]

    grads = jax.grad(loss)({"encoder": params.encoder, "decoder": params.decoder})
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(grads))
    assert all(np.any(x) for x in jax.tree.leaves(grads["encoder"]["head"]))


def test_the_memory_is_a_ring_and_gives_back_what_it_was_given():
    own, _, seen, _ = given("gau:2")
    memory = own.algorithm.on_policy.memory()
    t = jax.tree.map(lambda x: jnp.concatenate([x, x[:1]]), seen)  # as many as training tasks
    for number in range(1, 4):
        block = t.transitions._replace(reward=jnp.full_like(t.transitions.reward, number))
        memory = varibad.remember(memory, own.layout, block, t.valid, t.last)
        found = varibad.recall(memory, own.layout, 200, jax.random.key(number))
        numbers = set(np.unique(found.transitions.reward))
        assert numbers == set(range(max(1, number - 1), number + 1))
    np.testing.assert_array_equal(found.last.sum(axis=1), EPISODES)
    assert np.all(found.valid)


def test_long_trials_are_asked_about_evenly_and_short_ones_whole():
    steps = 3 * varibad.ASKED
    at = jnp.broadcast_to(jnp.arange(steps, dtype=jnp.float32), (2, steps))
    t = jax.tree.map(lambda _: at, Transition(*range(6)))
    seen = varibad.Remembered(t, at < 150, at == 9)
    some = varibad.some_steps(seen, jax.random.key(0))
    place = np.asarray(some.transitions.reward)
    assert place.shape == (2, varibad.ASKED)
    np.testing.assert_array_equal(
        place // 3, np.broadcast_to(np.arange(varibad.ASKED), place.shape)
    )
    assert set((place % 3).ravel()) == {0, 1, 2}
    assert (place[0] != place[1]).any()
    np.testing.assert_array_equal(some.valid, place < 150)
    np.testing.assert_array_equal(some.last, place == 9)
    short = jax.tree.map(lambda x: x[:, : varibad.ASKED], seen)
    assert varibad.some_steps(short, jax.random.key(0)) is short
