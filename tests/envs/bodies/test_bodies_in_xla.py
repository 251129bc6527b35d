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

# The engines' contacts differ by some digits of single precision, which a body that walks makes
# more of at every step, a cheetah on its back by a factor of ten every dozen of them: what half of
# the tasks keep to, and what nine in ten of them do, in the units of an observation.
TOLERANCE = {
    "cheetah_vel_mix": (2e-3, 0.3),
    "hopper_body_mix": (2e-3, 0.3),
}


def play(env, tasks, actions):
    """Observations ``[T, STEPS, obs_dim]``, rewards and ends of the same actions."""

    def episode(task, key, given):
        def advance(state, action):
            out = env.step(state, action, task)
            return out.state, (out.obs, out.reward, out.done)

        return jax.lax.scan(advance, env.reset(key, task), given)[1]

    keys = jax.random.split(jax.random.key(5), TASKS)
    return jax.device_get(jax.jit(jax.vmap(episode))(tasks, keys, actions))


@pytest.mark.slow
@pytest.mark.parametrize("name", TOLERANCE)
def test_both_engines_agree(name):
    one, other = make(name, backend="mujoco"), make(name, backend="mjx")
    key = jax.random.key(3)
    tasks = [jax.jit(env.sample_tasks, static_argnums=1)(key, TASKS) for env in (one, other)]
    for mine, its in zip(*(jax.tree.leaves(x._replace(body=None)) for x in tasks), strict=True):
        np.testing.assert_array_equal(mine, its)
    actions = 0.5 * jax.random.normal(jax.random.key(4), (TASKS, STEPS, one.action_dim))
    pairs = zip((one, other), tasks, strict=True)
    found = [play(env, own, actions) for env, own in pairs]
    (obs, reward, done), (its_obs, its_reward, its_done) = found
    ended = np.cumsum(np.maximum(done, its_done), axis=1) > 0
    apart = np.abs(obs - its_obs).max(axis=-1)
    worst = np.where(ended, 0.0, apart).max(axis=1)
    half, most = TOLERANCE[name]
    print(name, "first step", apart[:, 0].max(), "quantiles", np.quantile(worst, [0.5, 0.9, 1.0]))
    assert apart[:, 0].max() < 1e-3
    assert np.quantile(worst, 0.5) < half
    assert np.quantile(worst, 0.9) < most
    paid = np.where(ended, 0.0, np.abs(reward - its_reward)).sum(axis=1)
    assert np.quantile(paid, 0.5) < 10 * half


@pytest.mark.slow
def test_a_step_calls_nobody():
    """Whatever the tasks carry: what differs between bodies came with them."""
    env = make("hopper_body_mix", backend="mjx")
    task = standard(env)
    state = jax.eval_shape(env.reset, jax.random.key(0), task)
    text = str(jax.make_jaxpr(env.step)(state, jnp.zeros(env.action_dim), task))
    assert "callback" not in text
    assert {"body_mass", "body_invweight0", "geom_size"} < set(task.body)
