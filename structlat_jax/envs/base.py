"""The interface of an environment: a record of pure functions for one task and one episode.

The caller vmaps over tasks and episodes. A task is a pytree argument of every function, so one
compiled program serves every task.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.types import Array, Key, Task, Transition


class Step(NamedTuple):
    """What one action brings about.

    Attributes:
      state: The environment's next state, a pytree.
      obs: What the agent sees of it, ``[obs_dim]``.
      reward: The task's own reward, a scalar: for the encoder and the evaluation.
      train_reward: The reward of the actor-critic in training, a scalar.
      done: 1.0 if the episode ended for good (never by its time limit), a scalar.
    """

    state: Any
    obs: Array
    reward: Array
    train_reward: Array
    done: Array


@dataclasses.dataclass(frozen=True)
class Plane:
    """How paths are drawn as maps of a plane.

    Attributes:
      project: Observations ``[..., obs_dim]`` to places ``[..., 2]``.
      goal: task to the place that a map marks, ``[2]``; None where there is none.
      radius: Distance from it within which success is paid; 0 draws no disc.
      units: Of both axes, for instance ``m``.
      outline: A line ``[N, 2]`` that every map draws faintly.
    """

    project: Callable[[Any], Any]
    goal: Callable[[Task], Array] | None = None
    radius: float = 0.0
    units: str = ""
    outline: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Env:
    """A distribution of tasks and the dynamics that they share.

    Attributes:
      name: Shown in tables and files.
      obs_dim: Width of an observation.
      action_dim: Width of an action; actions lie in [-1, 1].
      horizon: Steps in an episode.
      sample_tasks: ``(key, n)`` to tasks with leading axis ``[n]``.
      reset: ``(key, task)`` to the initial state.
      observe: state to observation ``[obs_dim]``.
      step: ``(state, action, task)`` to a `Step`.
      oracle_return: task to the return of a controller that knows the task, a scalar.
      success: ``(transition, task)`` to 0 or 1: what "found" and "reached" mean.
      factors: task to named ground truth, a dict of arrays.
      label: task to the number that pictures sort tasks by, a scalar.
      plane: How paths are drawn; None leaves the maps out.
      goal, goal_radius: A short form of `plane`, whose places are the first two numbers of an
        observation.
    """

    name: str
    obs_dim: int
    action_dim: int
    horizon: int
    sample_tasks: Callable[[Key, int], Task]
    reset: Callable[[Key, Task], Any]
    observe: Callable[[Any], Array]
    step: Callable[[Any, Array, Task], Step]
    oracle_return: Callable[[Task], Array] | None = None
    success: Callable[[Transition, Task], Array] | None = None
    factors: Callable[[Task], dict[str, Array]] | None = None
    label: Callable[[Task], Array] | None = None
    plane: Plane | None = None
    goal: Callable[[Task], Array] | None = None
    goal_radius: float = 0.0

    def __post_init__(self):
        if self.plane is None and self.goal is not None:
            short = Plane(lambda obs: obs[..., :2], self.goal, self.goal_radius)
            object.__setattr__(self, "plane", short)


def labels(env: Env, tasks: Task) -> Array:
    """The number of each task that pictures sort by, ``[T]``: the label, else the first number of
    the first factor, else the place in the list."""
    if env.label is not None:
        return jax.vmap(env.label)(tasks)
    count = jax.tree.leaves(tasks)[0].shape[0]
    factors = {} if env.factors is None else jax.vmap(env.factors)(tasks)
    first = next(iter(factors.values()), None)
    return jnp.arange(count) if first is None else jnp.reshape(first, (count, -1))[:, 0]
