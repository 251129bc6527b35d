"""Controllers by hand of the families whose tasks are mixtures; see `worth`.

Each is made with the options of its environment, and is a function of the observation
``[obs_dim]``, the number of the step and what the task is taken to be: an action ``[action_dim]``.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from structlat_jax.envs import Env, drive_mix, point_mix, speed_mix, spread
from structlat_jax.shapes import Array, Task, make_key

Controller = Callable[[Array, Array, Task], Array]


def episode(
    env: Env, task: Task, act: Callable[[Array, Array], Array]
) -> tuple[Float[Array, " H"], Float[Array, "H obs_dim"]]:
    """An episode of ``act`` on the observation and the number of the step, by the environment's own
    step; its start is always the same.

    Returns:
      Rewards ``[H]``, and the observations ``[H, obs_dim]`` that they were paid for.
    """

    def advance(state, number):
        step = env.step(state, act(env.observe(state), number), task)
        return step.state, (step.reward, step.obs)

    start = env.reset(make_key(0), task)
    return jax.lax.scan(advance, start, jnp.arange(env.horizon))[1]


def to_the_goal(**options: Any) -> Controller:
    """Goes to where the goal is taken to be, as straight as the styles are as they are taken."""
    step_size = _option(point_mix.make, "step_size", options)

    def act(obs, step, task):
        del step
        wanted = task.goal - obs - task.drift
        if obs.shape[0] > 1:
            wanted = point_mix.turned(wanted, -task.rotation)
        return jnp.clip(wanted / (step_size * jnp.exp(task.gain)), -1.0, 1.0)

    return act


def at_the_mean_speed(**options: Any) -> Controller:
    """Takes up the mixture's mean velocity and holds it."""
    keep = 1.0 - _option(speed_mix.make, "friction", options)
    bases = spread.on_sphere(_option(speed_mix.make, "targets", options), 2)

    def act(obs, step, task):
        del step
        wanted = task.weights @ bases - keep * obs - task.push
        return jnp.clip(wanted / speed_mix.FORCE, -1.0, 1.0)

    return act


def as_far_as_it_pays(**options: Any) -> Controller:
    """The best action of each step, which does not depend on the velocity."""
    keep = 1.0 - _option(drive_mix.make, "friction", options)
    horizon = _option(drive_mix.make, "horizon", options)

    def act(obs, step, task):
        del obs
        left = horizon - step
        later = (1.0 - keep**left) / (1.0 - keep)
        return drive_mix.best_action(later, task)

    return act


def _option(make: Callable[..., Any], name: str, options: Mapping[str, Any]) -> Any:
    return options.get(name, inspect.signature(make).parameters[name].default)


CONTROLLERS: Mapping[str, Callable[..., Controller]] = {
    "triangle": to_the_goal,
    "tetrahedron": to_the_goal,
    "point_mix": to_the_goal,
    "speed_mix": at_the_mean_speed,
    "drive_mix": as_far_as_it_pays,
}
