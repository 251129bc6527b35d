"""A grid whose goal is a mixture of places: what a choice does, what pays, and that the oracle is
exact."""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structlat_jax.envs import EnvError, grid_mix, make
from structlat_jax.envs.grid_mix import GridTask

STAY, EAST, NORTH, WEST, SOUTH = np.eye(5, dtype=np.float32)
SMALL = {"reach": 1, "horizon": 4}


def task(goal, quarters=0):
    return GridTask(jnp.ones(3) / 3, jnp.array(goal, jnp.float32), jnp.int32(quarters))


def walk(env, one, moves):
    """Cells and rewards of choices, one after the other."""
    state, cells, rewards = env.reset(jax.random.key(0), one), [], []
    for move in moves:
        out = env.step(state, move, one)
        state = out.state
        cells.append(tuple(np.asarray(state)))
        rewards.append(float(out.reward))
    return cells, rewards


def test_the_four_sides_and_the_rim():
    env = make("grid_mix", reach=2)
    cells, _ = walk(env, task([2.0, 2.0]), [EAST, NORTH, NORTH, NORTH, WEST, SOUTH, STAY])
    assert cells == [(1, 0), (1, 1), (1, 2), (1, 2), (0, 2), (0, 1), (0, 1)]


@pytest.mark.parametrize("quarters", range(4))
def test_a_turned_compass(quarters):
    """Each quarter turns where all choices lead by a right angle to the left."""
    env = make("grid_mix", compass=True)
    (cell,), _ = walk(env, task([2.0, 2.0], quarters), [EAST])
    angle = quarters * np.pi / 2
    np.testing.assert_allclose(cell, [np.cos(angle), np.sin(angle)], atol=1e-6)


def test_what_is_paid_and_shaped():
    env = make("grid_mix")
    _, rewards = walk(env, task([1.0, 0.0]), [NORTH, EAST, SOUTH, STAY, WEST])
    assert rewards == [0, 0, 1, 1, 0]
    out = env.step(jnp.zeros(2), NORTH, task([1.0, 0.0]))
    np.testing.assert_allclose(out.train_reward, -2 / 3, rtol=1e-6)
    np.testing.assert_allclose(out.obs, [0, 1 / 3], rtol=1e-6)


@cache
def returns_of_all_ways():
    """The best that any of all ``5^4`` ways returns, for every goal and compass."""
    env = grid_mix.make(**SMALL, compass=True)
    ways = np.array(list(itertools.product(range(5), repeat=env.horizon)))
    moves = jnp.asarray(np.eye(5, dtype=np.float32)[ways])

    def total(one, way):
        def advance(state, move):
            out = env.step(state, move, one)
            return out.state, out.reward

        return jnp.sum(jax.lax.scan(advance, jnp.zeros(2), way)[1])

    cells = list(itertools.product((-1.0, 0.0, 1.0), repeat=2))
    tasks = [task(cell, quarters) for cell in cells for quarters in range(4)]
    every = jax.tree.map(lambda *x: jnp.stack(x), *tasks)
    best = jax.jit(jax.vmap(lambda one: jnp.max(jax.vmap(lambda w: total(one, w))(moves))))(every)
    return np.asarray(best), np.asarray(jax.vmap(env.oracle_return)(every))


def test_the_oracle_is_the_best_of_all_ways():
    best, oracle = returns_of_all_ways()
    np.testing.assert_array_equal(oracle, best)


def test_a_goal_that_cannot_be_reached_in_time_pays_nothing():
    env = grid_mix.make(reach=3, horizon=2)
    assert float(env.oracle_return(task([3.0, 0.0]))) == 0.0
    assert float(env.oracle_return(task([2.0, 0.0]))) == 1.0


@cache
def tasks():
    run = jax.jit(grid_mix.make(compass=True).sample_tasks, static_argnums=1)
    return jax.device_get(run(jax.random.key(0), 2000))


def test_tasks_are_cells_nearest_to_mixtures():
    found = tasks()
    angles = np.arange(3) * 2 * np.pi / 3
    mixed = found.weights @ (3 * np.stack([np.cos(angles), np.sin(angles)], axis=-1))
    assert np.max(np.abs(found.goal - mixed)) <= 0.5 + 1e-5
    np.testing.assert_allclose(np.bincount(found.quarters) / 2000, 1 / 4, atol=0.04)
    assert not grid_mix.make().sample_tasks(jax.random.key(0), 9).quarters.any()


def test_factors_name_the_mixture_and_the_compass_where_there_is_one():
    one = task([1.0, 0.0], 2)
    assert set(grid_mix.make().factors(one)) == {"mixture"}
    np.testing.assert_array_equal(grid_mix.make(compass=True).factors(one)["compass"], [0, 0, 1, 0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reach": 0}, "reach must be a whole number of at least 1"),
        ({"places": 1}, "places must be a whole number of at least 2"),
        ({"concentration": 0}, "concentration must be above 0"),
        ({"compass": 1}, "compass must be true or false, not 1"),
        ({"horizon": 2.5}, "horizon must be a whole number of at least 1"),
    ],
)
def test_options_that_are_not_allowed(options, words):
    with pytest.raises(EnvError, match=words):
        make("grid_mix", **options)
