import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from structlat_jax.envs import ENVIRONMENTS, point_robot
from structlat_jax.train import rollout

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
    np.testing.assert_array_equal(jax.vmap(ENV.goal)(TASKS), TASKS.goal)


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
    assert 12.7 < np.mean(returns) < 13.1
    assert 11.0 < np.min(returns) < np.max(returns) < 16.0


def test_oracle_return_at_the_first_anchor_by_hand():
    """Nine steps to distance 0.1, eleven at the goal; 0.2 away is paid too, after eight."""
    task = task_at(1.0, 0.0)
    distances = np.abs(1.0 - np.minimum(0.1 * np.arange(1, 21), 1.0))
    paid = np.sum((1.0 - distances)[8:])
    got = float(ENV.oracle_return(task))
    # In float32 the distance after eight steps falls on either side of the radius.
    assert min(abs(got - paid), abs(got - paid - 0.8)) < 1e-4


def test_oracle_beats_every_constant_heading():
    tasks = jax.tree.map(lambda x: x[:200], TASKS)
    headings = rollout.random_headings(ENV, jax.random.key(0), (64,))

    def earned(task, heading):
        act = lambda obs, noise: heading  # noqa: E731
        t = rollout.episode(ENV, act, task, jax.random.key(0), jnp.zeros((ENV.horizon, 2)))
        return jnp.sum(t.reward)

    over_headings = jax.vmap(earned, in_axes=(None, 0))
    returns = jax.jit(jax.vmap(over_headings, in_axes=(0, None)))(tasks, headings)
    oracle = np.asarray(jax.vmap(ENV.oracle_return)(tasks))
    assert np.max(returns) > 1.0  # some headings do cross the goal
    assert np.all(np.max(returns, axis=1) < oracle)


def test_random_headings_run_at_full_speed_in_all_directions():
    headings = np.asarray(rollout.random_headings(ENV, jax.random.key(0), (2000,)))
    np.testing.assert_allclose(np.max(np.abs(headings), axis=-1), 1.0, rtol=1e-6)
    quadrant = (headings[:, 0] > 0) * 2 + (headings[:, 1] > 0)
    assert np.min(np.bincount(quadrant, minlength=4)) > 400


def test_episode_runs_to_the_horizon_from_the_origin():
    env = point_robot.make(horizon=7)
    act = lambda obs, noise: jnp.tanh(noise)  # noqa: E731
    noise = jax.random.normal(jax.random.key(0), (7, 2))
    t = jax.device_get(rollout.episode(env, act, task_at(0.0, 1.0), jax.random.key(1), noise))
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


def test_registry_has_the_environment():
    env = ENVIRONMENTS["point_robot"]()
    assert (env.obs_dim, env.action_dim, env.horizon) == (2, 2, 20)
