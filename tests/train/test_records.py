"""Records that a test defines: an inference, an algorithm and experience of one's own."""

import dataclasses
from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import assert_same, config, line, quick_compile, setup

from structlat_jax.algos.base import Algorithm
from structlat_jax.inference import additive
from structlat_jax.nets import optim
from structlat_jax.shapes import Episodes
from structlat_jax.train.collect import collect
from structlat_jax.train.evaluate import evaluate
from structlat_jax.train.learn import init, learn, meta_step
from structlat_jax.train.setup import assemble, make_setup

HYPER = config().hyper


def counting_inference(own):
    """The encoder's posterior, and a number of its own that counts its fits."""

    def fit(hyper, state, sampler, key):
        seen = jnp.mean(sampler.make(sampler.draw(key)).transitions.reward)
        fits = state.inference_params["fits"] + 1.0
        metrics = {"fits": fits, "mean_reward": seen, "rate": hyper.lr}
        return state._replace(inference_params={"fits": fits}), metrics

    return dataclasses.replace(
        additive.make(own.networks, own.space, own.structure.next_obs_in_context),
        name="counting",
        zeros=lambda: {"fits": jnp.zeros(())},
        fit=fit,
    )


def steering():
    """An algorithm with one number per axis of the action: it always acts alike, and learns to act
    as in the transitions that were paid most."""

    def act(params, obs, z, noise):
        mode = jnp.broadcast_to(jnp.tanh(params["bias_way"]), (*obs.shape[:-1], 1))
        return mode if noise is None else jnp.clip(mode + noise, -1.0, 1.0)

    def loss(params, batch):
        t = batch.transitions
        error = jnp.tanh(params["bias_way"]) - t.action
        return jnp.mean(jnp.exp(t.reward)[..., None] * error**2)

    def update(params, moments, batch, rate):
        value, grads = jax.value_and_grad(loss)(params, batch)
        params, moments = optim.adam(params, grads, moments, rate)
        return params, moments, {"error": value, "rate": rate}

    return Algorithm(
        name="steering",
        zeros=lambda: {"bias_way": jnp.zeros(1)},
        small_heads=(),
        start=lambda params: jax.tree.map(lambda x: x + 0.5, params),
        moments=optim.init,
        act=act,
        coefficients=lambda hyper, updates: hyper.lr * (1.0 + updates),
        posterior=None,
        own_posterior=None,
        update=update,
    )


@cache
def own_inference():
    return assemble(setup(), inference=counting_inference(setup()))


@cache
def own_algorithm():
    """Its parameters are no `AgentParams`: nothing that asks for an encoder's is switched on."""
    made = make_setup(config(posterior_episodes=0, eval_encoder=False), line())
    return dataclasses.replace(made, algorithm=steering(), inference=blind(made))


def blind(own):
    """An inference that sees nothing, for an algorithm without an encoder."""
    return dataclasses.replace(own.encoder, update=lambda learned, hyper, total, seen, n: total)


@cache
def program(own):
    """Init, and a meta-step, each compiled once."""
    step = chex.assert_max_traces(lambda state: meta_step(own, HYPER, state), n=1)
    return jax.jit(lambda key: init(own, key)), jax.jit(step)


def run(own, steps):
    begin, step = program(own)
    with quick_compile():
        state, metrics = begin(jax.random.key(0)), []
        for _ in range(steps):
            state, one = step(state)
            metrics.append(jax.device_get(one))
    return state, metrics


@pytest.mark.slow
def test_the_metrics_of_an_inference_are_those_of_a_meta_step():
    state, metrics = run(own_inference(), 3)
    assert [float(one["fits"]) for one in metrics] == [1.0, 2.0, 3.0]
    assert float(state.inference_params["fits"]) == 3.0
    assert metrics[0]["rate"] == np.float32(HYPER.lr)
    layout = setup().layout
    assert np.isfinite(metrics[-1]["mean_reward"])
    assert np.any(layout.unpack(state.replay.rows).reward)
    assert not any(name.startswith("world_") for name in metrics[0])
    assert {"q", "v", "policy", "kl gau:1"} <= set(metrics[0])


def test_the_metrics_of_an_algorithm_are_those_of_a_meta_step():
    own = own_algorithm()
    updates = own.structure.updates_per_step
    state, metrics = run(own, 2)
    collected = {f"collected_{kind}_return" for kind in ("prior", "explore")}  # no posterior ones
    assert set(metrics[0]) == {"error", "rate", "not_finite_at", *collected}
    for i, one in enumerate(metrics):  # means over the updates, each with its own coefficients
        numbers = np.arange(i * updates, (i + 1) * updates)
        assert one["rate"] == pytest.approx(HYPER.lr * (1.0 + numbers).mean(), rel=1e-5)
        assert np.isfinite(one["error"])
    assert int(state.updates) == 2 * updates
    assert abs(float(state.params["bias_way"][0]) - 0.5) > 1e-3


def test_an_algorithm_of_ones_own_is_evaluated():
    """It walks in one direction, whatever the task and z are."""
    own = own_algorithm()
    state, _ = run(own, 2)
    with quick_compile():
        found = jax.jit(lambda s, k: evaluate(own, HYPER, s.learned, s.test_tasks, k))(
            state, jax.random.key(1)
        )
    way = np.tanh(float(state.params["bias_way"][0]))
    expected = 0.5 * way * np.arange(own.env.horizon + 1)
    np.testing.assert_allclose(found.path[..., 0] - expected, 0.0, atol=1e-5)
    assert found.encoder is None


def by_hand(state, collecting, learning):
    """What `meta_step` is made of."""
    key_next, key_collect, *keys = jax.random.split(state.key, 4)
    block, collected = collecting(state, key_collect)
    assert isinstance(block, Episodes)
    state, learned = learning(state, block, tuple(keys))
    return state._replace(key=key_next), {**learned, **collected}


@cache
def parts():
    """`collect` and `learn`, each compiled once."""
    own = own_inference()
    collecting = jax.jit(lambda state, key: collect(own, HYPER, state, key))
    return collecting, jax.jit(lambda state, block, keys: learn(own, HYPER, state, block, keys))


@pytest.mark.slow
def test_a_meta_step_is_learn_after_collect():
    """Bit for bit, as three programs."""
    begin, step = program(own_inference())
    with quick_compile():
        ours = theirs = begin(jax.random.key(0))
        for _ in range(2):
            ours, our_metrics = step(ours)
            theirs, their_metrics = by_hand(theirs, *parts())
    assert_same(ours, theirs)
    assert_same(our_metrics, their_metrics)


def test_experience_may_come_from_elsewhere():
    """Episodes that nobody collected are learned from like any other, and lie in the replay."""
    own = own_inference()
    collecting, learning = parts()
    state, _ = run(own, 1)
    block = jax.eval_shape(collecting, state, state.key)[0]
    rng = np.random.default_rng(0)
    block = jax.tree.map(lambda x: jnp.asarray(rng.uniform(size=x.shape), x.dtype), block)
    block = block._replace(length=jnp.full_like(block.length, own.env.horizon))
    with quick_compile():
        after, metrics = learning(state, block, tuple(jax.random.split(jax.random.key(4))))
    held = own.layout.unpack(after.replay.rows[:, 1])
    jax.tree.map(np.testing.assert_array_equal, held, block.transitions)
    assert int(after.replay.written) == 2
    assert int(after.updates) == 2 * own.structure.updates_per_step
    assert not any(name.startswith("collected_") for name in metrics)
    np.testing.assert_array_equal(jax.random.key_data(after.key), jax.random.key_data(state.key))
