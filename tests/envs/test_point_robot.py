"""The point robot by hand: its motion, rewards, tasks and oracle."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from structlat_jax import envs
from structlat_jax.envs import point_robot
from structlat_jax.shapes import Transition
from structlat_jax.train import explore, rollout

ENV = point_robot.make()
step = jax.jit(ENV.step)
TASKS = jax.device_get(jax.jit(ENV.sample_tasks, static_argnums=1)(jax.random.key(0), 4000))


def task_at(x, y):
    return point_robot.PointRobotTask(np.float32([x, y]), np.float32(0.5))


def test_moves_by_a_tenth_of_the_action_on_each_axis():
    """A box, not a disc: a diagonal action moves by 0.14."""
    for action in ([1.0, 1.0], [0.3, -0.7], [0.0, 0.0]):
        out = step(jnp.array([0.2, -0.1]), jnp.array(action), task_at(0.0, 1.0))
        np.testing.assert_allclose(out.state, np.array([0.2, -0.1]) + 0.1 * np.array(action))
        np.testing.assert_array_equal(out.obs, out.state)


def test_actions_are_clipped_to_one():
    out = step(jnp.zeros(2), jnp.array([7.0, -1.5]), task_at(0.0, 1.0))
    np.testing.assert_allclose(out.state, [0.1, -0.1], rtol=1e-6)


@pytest.mark.parametrize(
    ("distance", "sparse"), [(0.0, 1.0), (0.1, 0.9), (0.199, 0.801), (0.201, 0.0), (1.0, 0.0)]
)
def test_sparse_reward_is_paid_within_the_radius_and_dense_everywhere(distance, sparse):
    out = step(jnp.array([0.5 - distance, 0.5]), jnp.zeros(2), task_at(0.5, 0.5))
    np.testing.assert_allclose(out.reward, sparse, atol=1e-6)
    np.testing.assert_allclose(out.train_reward, -distance, atol=1e-6)
    assert out.done == 0.0


def test_reward_is_that_of_the_place_reached():
    out = step(jnp.zeros(2), jnp.array([1.0, 0.0]), task_at(0.3, 0.0))
    np.testing.assert_allclose(out.train_reward, -0.2, atol=1e-6)


def test_goals_lie_on_the_upper_half_circle():
    np.testing.assert_allclose(np.linalg.norm(TASKS.goal, axis=-1), 1.0, rtol=1e-5)
    assert np.min(TASKS.goal[:, 1]) > -1e-6
    angle = np.arctan2(TASKS.goal[:, 1], TASKS.goal[:, 0])
    np.testing.assert_allclose(np.abs(angle), np.pi * np.float64(TASKS.weight), atol=1e-3)
    np.testing.assert_array_equal(jax.vmap(ENV.plane.goal)(TASKS), TASKS.goal)


@pytest.mark.parametrize("concentration", [0.2, 1.0])
def test_weights_are_beta_distributed(concentration):
    env = point_robot.make(concentration=concentration)
    tasks = jax.jit(env.sample_tasks, static_argnums=1)(jax.random.key(1), 4000)
    rng = np.random.default_rng(0)
    # Rounded to float32 as ours are: a fiftieth of Beta(0.2, 0.2) lies within 1e-7 of 1.
    expected = np.float32(stats.beta(concentration, concentration).rvs(20_000, random_state=rng))
    assert stats.ks_2samp(np.asarray(tasks.weight), expected).pvalue > 1e-3


def test_anchors_bound_the_angles():
    anchors = (0.5, 1.25)
    env = point_robot.make(anchors=anchors)
    tasks = jax.device_get(jax.jit(env.sample_tasks, static_argnums=1)(jax.random.key(0), 1000))
    angle = np.arctan2(tasks.goal[:, 1], tasks.goal[:, 0])
    np.testing.assert_allclose(angle, 0.5 + 0.75 * np.asarray(tasks.weight), atol=1e-5)
    assert np.ptp(angle) > 0.7


def test_oracle_earns_the_ceiling_of_the_design():
    returns = np.asarray(jax.jit(jax.vmap(ENV.oracle_return))(TASKS))
    assert 12.8 < np.mean(returns) < 13.1
    assert 11.0 < np.min(returns) < np.max(returns) < 16.0


def test_oracle_return_at_the_first_anchor_by_hand():
    """Nine steps to distance 0.1, eleven at the goal; 0.2 away is paid too, after eight."""
    task = task_at(1.0, 0.0)
    distances = np.abs(1.0 - np.minimum(0.1 * np.arange(1, 21), 1.0))
    paid = np.sum((1.0 - distances)[8:])
    got = float(ENV.oracle_return(task))
    # In float32 the distance after eight steps falls on either side of the radius.
    assert min(abs(got - paid), abs(got - paid - 0.8)) < 1e-4


def returns_of(act, tasks, given):
    """Of each task ``[T]`` with each of what is given ``[N]``, ``[T, N]``."""

    def earned(task, one):
        follow = lambda obs, _: act(obs, task, one)  # noqa: E731
        t = rollout.episode(ENV, follow, task, jax.random.key(0), jnp.arange(ENV.horizon))
        return jnp.sum(t.transitions.reward)

    over_given = jax.vmap(earned, in_axes=(None, 0))
    return np.asarray(jax.jit(jax.vmap(over_given, in_axes=(0, None)))(tasks, given))


def test_oracle_beats_every_held_action():
    tasks = jax.tree.map(lambda x: x[:200], TASKS)
    ways = explore.held(ENV, jax.random.key(0), (64,))[:, 0]
    returns = returns_of(lambda obs, task, way: way, tasks, ways)
    oracle = np.asarray(jax.vmap(ENV.oracle_return)(tasks))
    assert np.max(returns) > 1.0  # some do cross the goal
    assert np.all(np.max(returns, axis=1) < oracle)


def test_no_way_to_the_goal_is_quicker_than_the_oracle():
    """Neither the straight line, nor a curve to its left or its right; 1e-4 for rounding."""
    tasks = jax.tree.map(lambda x: x[:1000], TASKS)

    def act(obs, task, bend):
        ahead = task.goal - obs
        ahead = ahead + bend * jnp.stack([-ahead[1], ahead[0]])
        return ahead / jnp.maximum(jnp.max(jnp.abs(ahead)), 0.1)

    returns = returns_of(act, tasks, jnp.linspace(-0.5, 0.5, 11))
    oracle = np.asarray(jax.vmap(ENV.oracle_return)(tasks))[:, None]
    assert np.all(returns <= oracle + 1e-4)
    straight = returns[:, 5]
    assert straight.mean() < oracle.mean() - 0.03
    assert np.max(oracle[:, 0] - straight) > 0.5


def test_success_is_a_step_that_is_paid():
    for place, expected in (([0.0, 0.85], 1), ([0.0, 0.75], 0)):
        out = step(jnp.array(place), jnp.zeros(2), task_at(0.0, 1.0))
        t = Transition(out.obs, jnp.zeros(2), out.reward, out.train_reward, out.obs, out.done)
        assert ENV.success(t, task_at(0.0, 1.0)) == expected


def test_factors_are_the_mixture_of_the_anchors():
    mixture = np.asarray(jax.vmap(ENV.factors)(TASKS)["mixture"])
    assert mixture.shape == (4000, 2)
    np.testing.assert_allclose(mixture.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(mixture[:, 0], TASKS.weight)
    np.testing.assert_array_equal(envs.labels(ENV, TASKS), TASKS.weight)


def test_its_plane_is_drawn_in_metres_with_the_arc_of_the_goals():
    plane = point_robot.make(anchors=(0.0, 1.0), goal_radius=0.3).plane
    assert (plane.radius, plane.units) == (0.3, "m")
    np.testing.assert_allclose(np.linalg.norm(plane.outline, axis=-1), 1.0)
    np.testing.assert_allclose(plane.outline[[0, -1]], [[1, 0], [np.cos(1), np.sin(1)]])
    obs = np.ones((3, 4, 2))
    np.testing.assert_array_equal(plane.project(obs), obs)


def test_episode_runs_to_the_horizon_from_the_origin():
    env = point_robot.make(horizon=7)
    act = lambda obs, noise: jnp.tanh(noise)  # noqa: E731
    noise = jax.random.normal(jax.random.key(0), (7, 2))
    episode = rollout.episode(env, act, task_at(0.0, 1.0), jax.random.key(1), noise)
    t = jax.device_get(episode.transitions)
    assert int(episode.length) == 7
    assert t.obs.shape == t.next_obs.shape == t.action.shape == (7, 2)
    np.testing.assert_array_equal(t.obs[0], 0.0)
    np.testing.assert_array_equal(t.obs[1:], t.next_obs[:-1])
    np.testing.assert_allclose(t.action, np.tanh(noise), rtol=1e-5)
    np.testing.assert_allclose(t.next_obs, np.cumsum(0.1 * np.tanh(noise), 0), atol=1e-6)
    np.testing.assert_array_equal(t.done, 0.0)
    assert np.all(np.asarray(t.train_reward) < 0)


def test_one_program_serves_many_tasks_and_episodes():
    tasks = jax.tree.map(lambda x: x[:3], TASKS)
    states = jax.random.uniform(jax.random.key(0), (3, 4, 2))
    actions = jax.random.uniform(jax.random.key(1), (3, 4, 2), minval=-1.0)
    episodes = jax.vmap(ENV.step, in_axes=(0, 0, None))
    out = jax.vmap(episodes)(states, actions, tasks)
    assert out.reward.shape == out.train_reward.shape == out.done.shape == (3, 4)
    for i, j in ((0, 1), (2, 3)):
        one = step(states[i, j], actions[i, j], jax.tree.map(lambda x: x[i], tasks))  # noqa: B023
        np.testing.assert_allclose(out.train_reward[i, j], one.train_reward, rtol=1e-6)


@pytest.mark.parametrize("name", ["concentration", "goal_radius", "step_size", "horizon"])
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_options_out_of_range_raise_and_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        point_robot.make(**{name: value})
