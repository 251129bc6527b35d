"""Explorers: shapes, ranges, and what is particular to each."""

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError
from tiny import config, line

from structlat_jax.config import Config
from structlat_jax.options import ConfigError
from structlat_jax.train.explore import EXPLORERS
from structlat_jax.train.setup import make_setup

HORIZON, WIDTH = 40, 3
SHAPE = (60, 20)


def own_way(key):
    """An environment's: a ramp with a random start."""
    start = jax.random.uniform(key, (1, WIDTH), minval=-1.0, maxval=0.0)
    return start + jnp.linspace(0.0, 1.0, HORIZON)[:, None]


ENV = dataclasses.replace(line(), horizon=HORIZON, action_dim=WIDTH, explore=own_way)


@cache
def actions(name):
    """Of many episodes, ``[*SHAPE, H, A]``."""
    run = jax.jit(lambda key: EXPLORERS[name](ENV, key, SHAPE))
    return np.asarray(run(jax.random.key(0)))


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_episode_has_actions_of_its_own_within_the_range(name):
    found = actions(name)
    assert found.shape == (*SHAPE, HORIZON, WIDTH)
    assert np.all(np.abs(found) <= 1.0 + 1e-6)
    first = found[:, :, 0].reshape(-1, WIDTH)
    assert len(np.unique(first, axis=0)) == len(first)


def test_the_choices_are_those_of_the_configuration():
    fields = dataclasses.fields(Config().structure)
    (field,) = (one for one in fields if one.name == "explorer")
    assert field.metadata["choices"] == tuple(EXPLORERS)


def test_held_is_one_action_at_full_speed_in_any_direction():
    found = actions("held")
    np.testing.assert_array_equal(found, np.broadcast_to(found[:, :, :1], found.shape))
    np.testing.assert_allclose(np.max(np.abs(found), axis=-1), 1.0, rtol=1e-6)
    signs = (found[:, :, 0] > 0) @ [4, 2, 1]
    shares = np.bincount(signs.ravel(), minlength=8) / signs.size
    np.testing.assert_allclose(shares, 1 / 8, atol=0.03)
    fastest = np.argmax(np.abs(found[:, :, 0]), axis=-1)
    np.testing.assert_allclose(np.bincount(fastest.ravel()) / fastest.size, 1 / 3, atol=0.05)


def test_uniform_is_independent_at_every_step_and_fills_the_box():
    found = actions("uniform").reshape(-1, HORIZON, WIDTH)
    counts = np.histogram(found, bins=10, range=(-1, 1))[0]
    np.testing.assert_allclose(counts / found.size, 0.1, atol=0.005)
    assert abs(correlation(found)) < 0.02


def correlation(found):
    """Between an action and the next."""
    return np.corrcoef(found[:, :-1].ravel(), found[:, 1:].ravel())[0, 1]


def test_smooth_is_stationary_and_goes_on_as_it_went():
    """Before it is squashed: standard normal at every step, a correlation of 0.9 between two."""
    walk = np.arctanh(np.float64(actions("smooth"))).reshape(-1, HORIZON, WIDTH)
    np.testing.assert_allclose(walk.mean(axis=(0, 2)), 0.0, atol=0.1)
    np.testing.assert_allclose(walk.std(axis=(0, 2)), 1.0, atol=0.05)
    assert correlation(walk) == pytest.approx(0.9, abs=0.01)
    noise = walk[:, 1:] - 0.9 * walk[:, :-1]
    assert abs(np.corrcoef(noise[:, 0].ravel(), walk[:, 0].ravel())[0, 1]) < 0.05


CHOICES = dataclasses.replace(ENV, discrete=True)


@pytest.mark.parametrize(("name", "kept"), [("held", 1.0), ("uniform", 1 / 3), ("smooth", 0.79)])
def test_choices_are_one_hot_and_as_likely_and_kept_as_long_as_the_explorer_says(name, kept):
    """A smooth walk of three numbers has the same largest one again in 79 % of the steps: with a
    correlation of 0.9 between steps, by simulation."""
    run = jax.jit(lambda key: EXPLORERS[name](CHOICES, key, SHAPE))
    found = np.asarray(run(jax.random.key(0)))
    assert set(np.unique(found)) == {0.0, 1.0}
    np.testing.assert_array_equal(found.sum(axis=-1), 1.0)
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), 1 / 3, atol=0.03)
    same = np.sum(found[:, :, 1:] * found[:, :, :-1], axis=-1)
    np.testing.assert_allclose(same.mean(), kept, atol=0.02)


def test_own_is_what_the_environment_says():
    found = actions("own")
    expected = found[:, :, :1] + np.linspace(0.0, 1.0, HORIZON)[:, None]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    key = jax.random.split(jax.random.key(0), SHAPE)[3, 5]
    np.testing.assert_allclose(found[3, 5], own_way(key), rtol=1e-6)


def test_own_is_refused_where_the_environment_has_none():
    with pytest.raises(ConfigError) as caught:
        make_setup(config(explorer="own"), line())
    assert caught.value.field == "explorer"
    assert str(caught.value) == (
        "explorer must be held, uniform or smooth, since line has no explore of its own, not 'own'."
    )


def test_own_is_allowed_where_the_environment_has_one():
    ways = dataclasses.replace(line(), explore=lambda key: jnp.zeros((4, 1)))
    assert make_setup(config(explorer="own"), ways).structure.explorer == "own"


def test_a_wrong_shape_raises():
    """What an environment explores with is shorter than its episodes."""
    short = dataclasses.replace(ENV, explore=lambda key: own_way(key)[1:])
    with pytest.raises(TypeCheckError, match="return value"):
        EXPLORERS["own"](short, jax.random.key(0), (2,))
