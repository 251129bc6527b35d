"""One episode as a scan; the caller vmaps over tasks and episodes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.envs import Env
from structlat_jax.types import Array, Key, Task, Transition


def episode(
    env: Env, act: Callable[[Array, Array], Array], task: Task, key: Key, noise: Array
) -> Transition:
    """Runs one episode to its horizon.

    Args:
      env: The environment.
      act: ``(obs [obs_dim], noise [action_dim])`` to an action ``[action_dim]``.
      task: One task.
      key: For the reset.
      noise: One row per step for ``act``, ``[H, action_dim]``; drawn at once, outside the scan.

    Returns:
      Transitions ``[H]``.
    """
    return steps(env, act, task, env.reset(key, task), noise)[1]


def steps(
    env: Env, act: Callable[[Array, Array], Array], task: Task, state: Any, noise: Array
) -> tuple[Any, Transition]:
    """Some steps of an episode from one of its states; see `episode`.

    Returns:
      The state after them, and one transition per row of ``noise``.
    """

    def advance(state, step_noise):
        obs = env.observe(state)
        action = act(obs, step_noise)
        out = env.step(state, action, task)
        t = Transition(obs, action, out.reward, out.train_reward, out.obs, out.done)
        return out.state, t

    return jax.lax.scan(advance, state, noise)


def random_headings(env: Env, key: Key, shape: tuple[int, ...]) -> Array:
    """Directions that explore: uniform on the sphere, at full speed, ``[*shape, action_dim]``.

    Held for a whole episode they cross the space; independent action noise only walks randomly.
    """
    direction = jax.random.normal(key, (*shape, env.action_dim))
    return direction / jnp.max(jnp.abs(direction), axis=-1, keepdims=True)
