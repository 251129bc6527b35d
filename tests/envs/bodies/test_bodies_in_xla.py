"""The engine in XLA: the same tasks, observations and rewards as that in C."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("mujoco.mjx")

from bodies import standard

from structlat_jax.envs import make

STEPS = 50
TASKS = 100

TOLERANCE = {"median": 1e-4, "99 %": 1e-2, "all": 0.5}
"""Of an observation after a step from the same state, in its units (m, m/s, rad, rad/s) and in the
reward's. Velocities reach 10 and more, and a foot that touches the ground a step of the engine
sooner is another velocity, which is why a few differ by more than rounding does."""


def play(env, tasks, actions):
    """States before each step ``[T, STEPS]``, observations, rewards and ends behind it."""

    def episode(task, key, given):
        def advance(state, action):
            out = env.step(state, action, task)
            return out.state, (state, out.obs, out.reward, out.done)

        return jax.lax.scan(advance, env.reset(key, task), given)[1]

    keys = jax.random.split(jax.random.key(5), TASKS)
    return jax.device_get(jax.jit(jax.vmap(episode))(tasks, keys, actions))


def again(env, tasks, states, actions):
    """Each step of these, from the same state: observations and rewards."""

    def episode(task, own, given):
        def advance(_, both):
            out = env.step(both[0], both[1], task)
            return None, (out.obs, out.reward)

        return jax.lax.scan(advance, None, (own, given))[1]

    return jax.device_get(jax.jit(jax.vmap(episode))(tasks, states, actions))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cheetah_vel_mix", "hopper_body_mix"])
def test_both_engines_agree(name):
    """At each of 50 steps of 100 tasks. Not only at their end: two runs of one engine, rounding
    apart at first, are metres apart by then."""
    one, other = make(name, backend="mujoco"), make(name, backend="mjx")
    key = jax.random.key(3)
    tasks = [jax.jit(env.sample_tasks, static_argnums=1)(key, TASKS) for env in (one, other)]
    for mine, its in zip(*(jax.tree.leaves(x._replace(body=None)) for x in tasks), strict=True):
        np.testing.assert_array_equal(mine, its)
    actions = 0.5 * jax.random.normal(jax.random.key(4), (TASKS, STEPS, one.action_dim))
    states, obs, reward, done = play(one, tasks[0], actions)
    its_obs, its_reward = again(other, tasks[1], states, actions)
    alive = np.cumsum(done, axis=1) == 0
    assert alive.mean() > 0.3
    apart = np.maximum(np.abs(obs - its_obs).max(axis=-1), np.abs(reward - its_reward))[alive]
    found = dict(zip(TOLERANCE, np.quantile(apart, [0.5, 0.99, 1.0]), strict=True))
    assert all(found[share] < TOLERANCE[share] for share in TOLERANCE), found


@pytest.mark.slow
def test_a_step_calls_nobody():
    """Whatever the tasks carry: what differs between bodies came with them."""
    env = make("hopper_body_mix", backend="mjx")
    task = standard(env)
    state = jax.eval_shape(env.reset, jax.random.key(0), task)
    text = str(jax.make_jaxpr(env.step)(state, jnp.zeros(env.action_dim), task))
    assert "callback" not in text
    assert {"body_mass", "body_invweight0", "geom_size"} < set(task.body)
