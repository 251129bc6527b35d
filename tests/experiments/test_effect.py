"""What each part of z does, for an agent of which it is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import HORIZON, config, following_z, line, quick_compile

from experiments import effect
from structlat_jax.agent import Agent
from structlat_jax.train.setup import make_setup


def agent_of(latent):
    """An agent on the line whose action is the hyperbolic tangent of the last number of z."""
    setup = make_setup(config(latent=latent), line())
    params = following_z(setup.networks.init(jax.random.key(0)))
    drawn = setup.space.sample_prior(jax.random.key(1), (4,))
    hypotheses = (drawn, jnp.zeros((4, 1)))
    env = setup.env
    return Agent(setup.config, setup.space, setup.networks, params, *hypotheses, env.horizon), env


@pytest.fixture(autouse=True)
def quickly():
    with quick_compile():
        yield


@pytest.mark.parametrize(
    ("latent", "names", "starts", "stops"),
    [
        ("gau:1", ["gau:1"], [0], [1]),
        ("gau:2", ["gau:2", "gau:2, variable 1", "gau:2, variable 2"], [0, 0, 1], [2, 1, 2]),
        ("cat:1x3,gau:1,cat:1x3", ["cat:1x3#1", "gau:1", "cat:1x3#2"], [0, 3, 4], [3, 4, 7]),
        (
            "gau:1,dir:2x3",
            ["gau:1", "dir:2x3", "dir:2x3, variable 1", "dir:2x3, variable 2"],
            [0, 1, 1, 4],
            [1, 7, 4, 7],
        ),
    ],
)
def test_parts(latent, names, starts, stops):
    parts = effect.parts_of(config(latent=latent).latent_space())
    assert [part.name for part in parts] == names
    assert [part.start for part in parts] == starts
    assert [part.stop for part in parts] == stops


def test_a_path_is_that_of_an_episode_with_its_z():
    agent, env = agent_of("cat:1x2,gau:1")
    z = np.array([[1.0, 0.0, 0.3], [0.0, 1.0, -1.0]])
    paths = effect.roller(agent, env)(agent.params, z)
    expected = 0.5 * np.tanh(z[:, -1:]) * np.arange(HORIZON + 1)
    np.testing.assert_allclose(paths[..., 0], expected, rtol=1e-5)


def test_the_part_that_decides_has_all_of_the_variance():
    agent, env = agent_of("cat:1x2,gau:2")
    parts = effect.parts_of(agent.space)
    assert [p.name for p in parts] == ["cat:1x2", "gau:2", "gau:2, variable 1", "gau:2, variable 2"]
    found = effect.shares(agent, effect.roller(agent, env), parts, draws=512)
    assert set(found) == set(effect.MEASURES)
    for measure in found.values():
        np.testing.assert_allclose(measure.first_order[[1, 3]], 1.0, atol=1e-5)
        np.testing.assert_allclose(measure.total[[1, 3]], 1.0, atol=0.2)
        np.testing.assert_allclose(measure.first_order[[0, 2]], 0.0, atol=0.15)
        np.testing.assert_allclose(measure.total[[0, 2]], 0.0, atol=1e-5)


def test_a_sweep_moves_one_variable_and_leaves_the_others():
    agent, env = agent_of("cat:1x3,dir:1x3,gau:2")
    seen = []
    roll = effect.roller(agent, env)

    def recording(params, z):
        seen.append(np.array(z))
        return roll(params, z)

    sweeps = effect.sweeps(agent, recording)
    third = 1.0 / 3.0
    rest = np.array([1.0, 0.0, 0.0, third, third, third, 0.0, 0.0])
    columns = [slice(0, 3), slice(3, 6), slice(6, 7), slice(7, 8)]
    assert len(sweeps) == len(seen) == len(columns)
    for one, z, swept in zip(sweeps, seen, columns, strict=True):
        others = np.ones(8, bool)
        others[swept] = False
        np.testing.assert_allclose(z[:, others] - rest[others], 0.0, atol=1e-6)
        np.testing.assert_allclose(z[:, swept].reshape(np.shape(one.values)), one.values)
    ends = sweeps[-1].paths[:, -1, 0]
    np.testing.assert_allclose(ends, 0.5 * HORIZON * np.tanh(sweeps[-1].values), rtol=1e-5)
    np.testing.assert_allclose(sweeps[2].paths, 0.0, atol=1e-6)


@pytest.mark.parametrize(("classes", "pairs"), [(2, 1), (4, 6), (8, 8)])
def test_weights_go_from_class_to_class(classes, pairs):
    agent, env = agent_of(f"dir:1x{classes},gau:1")
    weights = effect.sweeps(agent, effect.roller(agent, env))[0].values
    np.testing.assert_array_equal(weights[:classes], np.eye(classes))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert len(np.unique(weights.round(6), axis=0)) == len(weights) == classes + 7 * pairs
    assert np.all((weights[classes:] > 0).sum(axis=1) == 2)
