"""What each part of z does, for an agent of which it is known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import HORIZON, config, following_z, line, quick_compile

from structlat_jax.agent import make_agent
from structlat_jax.envs.base import Plane, Step
from structlat_jax.inference.base import Learned
from structlat_jax.report import effect
from structlat_jax.report.parts import parts_of, shown_blocks
from structlat_jax.report.plane import traverse
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import make_setup

PLANE = Plane(project=lambda obs: np.concatenate([obs, 0 * obs], axis=-1))
"""The line, as a plane."""


def agent_of(latent, env=None):
    """An agent on the line whose action is the hyperbolic tangent of the last number of z."""
    setup = make_setup(config(latent=latent), env or line())
    params, own = jax.jit(lambda key: init_params(setup, key))(jax.random.key(0))
    return make_agent(setup, Learned(following_z(params), own)), setup.env


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
    parts = parts_of(config(latent=latent).latent_space())
    assert [part.name for part in parts] == names
    assert [part.start for part in parts] == starts
    assert [part.stop for part in parts] == stops


def test_a_path_is_that_of_an_episode_with_its_z():
    agent, env = agent_of("cat:1x2,gau:1")
    z = np.array([[1.0, 0.0, 0.3], [0.0, 1.0, -1.0]])
    paths = effect.roller(agent, env)(agent.learned, z)
    expected = 0.5 * np.tanh(z[:, -1:]) * np.arange(HORIZON + 1)
    np.testing.assert_allclose(paths[..., 0], expected, rtol=1e-5)


def test_shown_blocks():
    found = shown_blocks(config(latent="cat:1x3,gau:2,dir:2x4").latent_space())
    assert [tuple(block) for block in found] == [
        ("cat:1x3", "simplex", 1, 3),
        ("gau:2", "real", 2, 1),
        ("dir:2x4", "simplex", 2, 4),
    ]


def ending(env, position):
    """The same environment, whose episodes end beyond a position."""

    def step(state, action, task):
        found = env.step(state, action, task)
        return found._replace(done=jnp.float32(jnp.abs(found.state[0]) > position))

    return dataclasses.replace(env, step=step)


def test_after_the_end_the_last_observation_is_repeated():
    agent, env = agent_of("gau:1", ending(line(), 0.7))
    seen = effect.roller(agent, env)(agent.learned, np.array([[9.0], [0.2], [-9.0]]))[..., 0]
    np.testing.assert_allclose(seen[0], [0.0, 0.5, 1.0, 1.0, 1.0], rtol=1e-5)
    np.testing.assert_allclose(seen[1], 0.5 * np.tanh(0.2) * np.arange(HORIZON + 1), rtol=1e-5)
    np.testing.assert_allclose(seen[2], [0.0, -0.5, -1.0, -1.0, -1.0], rtol=1e-5)


def constant_beside(env):
    """The same environment with a number of another size and one that never changes beside."""

    def observe(state):
        return jnp.concatenate([state, 1e6 * state, jnp.ones(1)])

    def step(state, action, task):
        found = env.step(state, action, task)
        return Step(found.state, observe(found.state), *found[2:])

    return dataclasses.replace(env, obs_dim=3, observe=observe, step=step)


def test_the_last_observation_counts_each_number_by_its_spread():
    agent, env = agent_of("gau:2", constant_beside(line()))
    roll = effect.roller(agent, env)
    measure = effect.last_observation(agent, roll, 256)
    z = np.asarray(agent.space.sample_prior(jax.random.key(5), (512,)))
    values = measure(roll(agent.learned, z))
    np.testing.assert_allclose(values[:, :2].std(axis=0), 1.0, atol=0.1)
    np.testing.assert_array_equal(values[:, 2], 0.0)
    (found,) = effect.shares(agent, roll, parts_of(agent.space), {"end": measure}, 256).values()
    np.testing.assert_allclose(found.first_order, [1.0, 0.0, 1.0], atol=0.2)


@pytest.mark.parametrize(
    ("horizon", "draws"), [(1, 8192), (20, 8192), (21, 4096), (200, 819), (9999, 512)]
)
def test_long_episodes_are_drawn_less_often(horizon, draws):
    assert effect.draws_for(dataclasses.replace(line(), horizon=horizon)) == draws


def test_the_part_that_decides_has_all_of_the_variance():
    agent, env = agent_of("cat:1x2,gau:2")
    parts = parts_of(agent.space)
    assert [p.name for p in parts] == ["cat:1x2", "gau:2", "gau:2, variable 1", "gau:2, variable 2"]
    measures = traverse.measures(PLANE)
    found = effect.shares(agent, effect.roller(agent, env), parts, measures, draws=512)
    assert set(found) == set(traverse.MEASURES)
    for measure in found.values():
        np.testing.assert_allclose(measure.first_order[[1, 3]], 1.0, atol=1e-5)
        np.testing.assert_allclose(measure.total[[1, 3]], 1.0, atol=0.2)
        np.testing.assert_allclose(measure.first_order[[0, 2]], 0.0, atol=0.15)
        np.testing.assert_allclose(measure.total[[0, 2]], 0.0, atol=1e-5)


def test_a_traversal_moves_one_variable_and_leaves_the_others():
    agent, env = agent_of("cat:1x3,dir:1x3,gau:2")
    seen = []
    roll = effect.roller(agent, env)

    def recording(params, z):
        seen.append(np.array(z))
        return roll(params, z)

    traversals = traverse.traversals(agent, recording, PLANE)
    third = 1.0 / 3.0
    rest = np.array([1.0, 0.0, 0.0, third, third, third, 0.0, 0.0])
    columns = [slice(0, 3), slice(3, 6), slice(6, 7), slice(7, 8)]
    assert len(traversals) == len(seen) == len(columns)
    for one, z, swept in zip(traversals, seen, columns, strict=True):
        others = np.ones(8, bool)
        others[swept] = False
        np.testing.assert_allclose(z[:, others] - rest[others], 0.0, atol=1e-6)
        np.testing.assert_allclose(z[:, swept].reshape(np.shape(one.values)), one.values)
    ends = traversals[-1].paths[:, -1, 0]
    np.testing.assert_allclose(ends, 0.5 * HORIZON * np.tanh(traversals[-1].values), rtol=1e-5)
    np.testing.assert_allclose(traversals[2].paths, 0.0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "pairs"), [(2, 1), (4, 6), (8, 8)])
def test_weights_go_from_class_to_class(classes, pairs):
    agent, env = agent_of(f"dir:1x{classes},gau:1")
    weights = traverse.traversals(agent, effect.roller(agent, env), PLANE)[0].values
    np.testing.assert_array_equal(weights[:classes], np.eye(classes))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert len(np.unique(weights.round(6), axis=0)) == len(weights) == classes + 7 * pairs
    assert np.all((weights[classes:] > 0).sum(axis=1) == 2)
