"""Gaussian blocks behind the first that say how observations change are told by the encoder."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import config, quick_compile, setup

from structlat_jax.inference.base import Learned
from structlat_jax.shapes import Transition
from structlat_jax.train.learn import init_params

HYPER = config().hyper
STYLE = slice(3, 5)
EVENT = {"latent": "dir:1x3,gau:2,dir:1x2", "posterior": "task"}


@cache
def believed(kind, choice="greedy", **changes):
    """What an inference makes of an episode: what it knew before, and all ways to a z after it."""
    own = setup(**(EVENT | changes), inference=kind, choice=choice)
    obs = jnp.linspace(0.0, 1.0, 4)[:, None]

    @partial(jax.jit)
    def run():
        keys = jax.random.split(jax.random.key(0), 5)
        given = Learned(*init_params(own, keys[0]))
        random = own.inference.randomness(keys[1], 1, 1, 1)
        choice = jax.tree.map(lambda x: x[0, 0], random.choices)
        seen = Transition(
            obs, 0.5 * jnp.ones((4, 1)), obs[:, 0], -obs[:, 0], obs + 0.1, jnp.zeros(4)
        )
        before = own.inference.init(given, keys[2], jnp.zeros(1))
        after = own.inference.update(given, HYPER, before, seen, jnp.int32(4))
        note = own.inference.note(after)
        ways = {
            "choose": own.inference.choose(given, after, jnp.zeros(1), 4, choice),
            "prior": own.inference.prior(after, choice),
            "sample": own.inference.sample(after, keys[3]),
            "greedy": own.inference.greedy(given, after, jnp.zeros(1), 4, keys[4]),
            "mean": note.mean,
        }
        posterior = own.space.posterior(after.total)
        told = own.space.mean(posterior), own.space.deviation(posterior)
        return before.hypotheses.z, ways, note.spread, told

    with quick_compile():
        return jax.tree.map(np.asarray, run())


@pytest.mark.parametrize("choice", ["greedy", "thompson"])
@pytest.mark.parametrize("kind", ["hypotheses", "decoded"])
def test_the_encoder_tells_a_style(kind, choice):
    drawn, ways, spread, (mean, deviation) = believed(kind, choice, later_blocks="changes")
    np.testing.assert_array_equal(drawn[:, STYLE], 0.0)  # the prior's mean
    assert np.ptp(drawn[:, :3], axis=0).min() > 0.1
    assert np.ptp(drawn[:, 5:], axis=0).min() > 0.1
    assert np.abs(mean[STYLE]).max() > 1e-3
    for name, z in ways.items():
        np.testing.assert_allclose(z[STYLE], mean[STYLE], rtol=1e-4, atol=1e-6, err_msg=name)
        if name != "mean":
            others = np.delete(drawn, np.r_[STYLE], axis=1)
            apart = np.abs(others - np.delete(z, np.r_[STYLE])).max(axis=1)
            assert apart.min() < 1e-5, name  # the rest is one of the draws
    np.testing.assert_allclose(spread[STYLE], deviation[STYLE], rtol=1e-4)
    assert np.all(spread[:3] != deviation[:3])


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("decoded", {"later_blocks": "any"}),
        ("explained", {"later_blocks": "changes"}),
        ("hypotheses", {"later_blocks": "changes", "posterior": "context"}),
    ],
)
def test_elsewhere_hypotheses_differ_in_all_of_z(kind, changes):
    drawn, ways, *_ = believed(kind, **changes)
    assert np.ptp(drawn, axis=0).min() > 0.1
    assert np.abs(drawn - ways["sample"]).max(axis=1).min() < 1e-5
