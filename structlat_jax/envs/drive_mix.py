"""A body that is paid for a mixture of going east, going north and saving its strength.

The three base rewards are the two components of its velocity, and minus the squared action; a task
is a mixture of them, ``w ~ Dir(c, c, c)``. An actuator's gain per axis (its logarithm), normal with
mean 0, is the task's style. Observed is the velocity; rewards are dense and of either sign.
"""

from typing import NamedTuple

import jax.numpy as jnp

from structlat_jax.envs import body, given
from structlat_jax.envs.base import Env, Step
from structlat_jax.shapes import Array


class DriveTask(NamedTuple):
    """One task.

    Attributes:
      weights: Of east, north and rest, on the simplex, ``[..., 3]``.
      gain: Logarithms of the actuator's gains, ``[..., 2]``.
    """

    weights: Array
    gain: Array


def make(
    concentration: float = 0.2,
    gain: float = 0.3,
    friction: float = 0.3,
    horizon: int = 30,
) -> Env:
    """Makes the environment.

    Args:
      concentration: Of the symmetric Dirichlet that mixes the base rewards, above 0.
      gain: Standard deviation of the logarithm of the actuator's gain on each axis; 0 for none.
      friction: Share of the velocity that is lost per step, above 0 and at most 1.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if a number is outside its range.
    """
    given.require_whole(1, horizon=horizon)
    given.require_positive(concentration=concentration)
    given.require_not_negative(gain=gain)
    keep, horizon = body.keep_of(friction), int(horizon)

    def sample_tasks(key, n):
        return DriveTask(*body.mixture_and_style(key, n, 3, concentration, gain))

    def step(state, action, task):
        action = jnp.clip(action, -1.0, 1.0)
        velocity = keep * state + _FORCE * jnp.exp(task.gain) * action
        gained = task.weights[:2] @ velocity - _effort(task.weights) * jnp.sum(action**2)
        return Step(velocity, velocity, gained, gained, jnp.zeros(()))

    def oracle_return(task):
        """An action adds its share to the velocities of all later steps, so that a return is a sum
        over actions a of ``slope * a - effort * a^2``, each greatest at ``slope / (2 effort)``."""
        later = jnp.cumsum(keep ** jnp.arange(horizon))[::-1, None]
        best = best_action(later, task)
        return jnp.sum(_slope(later, task) * best - _effort(task.weights) * best**2)

    def factors(task):
        return {"mixture": task.weights, **({"gain": task.gain} if gain else {})}

    return body.env(
        "drive_mix",
        horizon,
        sample_tasks=sample_tasks,
        step=step,
        oracle_return=oracle_return,
        factors=factors,
    )


def best_action(later: Array, task: DriveTask) -> Array:
    """The action ``[..., 2]`` that pays most in all, one axis at a time.

    Args:
      later: How much of a velocity gained now is travelled until the end, ``[..., 1]`` in steps.
      task: One.
    """
    return jnp.clip(_slope(later, task) / (2.0 * _effort(task.weights)), -1.0, 1.0)


def _slope(later: Array, task: DriveTask) -> Array:
    return later * task.weights[:2] * _FORCE * jnp.exp(task.gain)


def _effort(weights: Array) -> Array:
    return _EFFORT + weights[2]


_FORCE = 0.3
"""Metres per second that a full action adds per step and axis at a gain of 1."""

_EFFORT = 0.1
"""What an action costs in every task: without it, who is paid for nothing but speed would not need
to know how much."""
