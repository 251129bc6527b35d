"""The interface of an environment: a record of pure functions for one task and one episode.

The caller vmaps over tasks and episodes. A task is a pytree argument of every function, so one
compiled program serves every task.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from structlat_jax.types import Array, Key, Task


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
      goal: task to the place that a picture marks, in the first two numbers of an observation's
        units, ``[2]``; None where there is none, and pictures of paths are left out then.
      goal_radius: Distance from it within which a reward is paid, in the same units.
      label: task to the number that pictures sort tasks by, a scalar.
    """

    name: str
    obs_dim: int
    action_dim: int
    horizon: int
    sample_tasks: Callable[[Key, int], Task]
    reset: Callable[[Key, Task], Any]
    observe: Callable[[Any], Array]
    step: Callable[[Any, Array, Task], Step]
    oracle_return: Callable[[Task], Array]
    label: Callable[[Task], Array]
    goal: Callable[[Task], Array] | None = None
    goal_radius: float = 0.0
