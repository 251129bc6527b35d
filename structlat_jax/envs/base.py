"""The interface of an environment: a record of pure functions for one task and one episode.

The caller vmaps over tasks and episodes. A task is a pytree argument of every function, so one
compiled program serves every task.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.envs.host.base import HostEnv
from structlat_jax.shapes import Array, Key, Task, Transition


class Step(NamedTuple):
    """What one action brings about.

    Attributes:
      state: The environment's next state, a pytree.
      obs: What the agent sees of it, ``[obs_dim]``.
      reward: The task's own reward, a scalar: for the encoder and the evaluation.
      train_reward: The reward of the actor-critic in training, a scalar; the same as ``reward``
        unless the task has a shaped one.
      done: 1.0 if the episode ended for good (never by its time limit), a scalar.
    """

    state: Any
    obs: Array
    reward: Array
    train_reward: Array
    done: Array


@dataclasses.dataclass(frozen=True)
class Plane:
    """How episodes are drawn as paths in a plane.

    Attributes:
      project: Observations ``[..., obs_dim]`` to places ``[..., 2]``.
      goal: task to the place that a picture marks, ``[2]``; None where there is none.
      radius: Distance from it within which success is paid; 0 for no disc.
      units: Of both axes, for instance ``m``; may be empty.
      outline: A line that maps draw faintly, ``[N, 2]``, or None.
    """

    project: Callable[[Array], Array]
    goal: Callable[[Task], Array] | None = None
    radius: float = 0.0
    units: str = ""
    outline: np.ndarray | None = dataclasses.field(default=None, hash=False, compare=False)


class Preset(NamedTuple):
    """Settings under a name.

    Attributes:
      updates: Gradient updates per seed.
      changes: Fields of the configuration and their values, over the general ones.
    """

    updates: int
    changes: Mapping[str, Any] = {}


@dataclasses.dataclass(frozen=True)
class Env:
    """A distribution of tasks and the dynamics that they share.

    An episode ends where ``done`` is 1 or after ``horizon`` steps; what a step function returns
    behind its end is never looked at.

    Attributes:
      name: Shown in tables and files.
      obs_dim: Width of an observation.
      action_dim: Width of an action; actions lie in [-1, 1], or are choices where ``discrete``.
      horizon: Steps in an episode.
      sample_tasks: ``(key, n)`` to tasks with leading axis ``[n]``.
      reset: ``(key, task)`` to the initial state; a stochastic environment keeps a key in it.
      observe: state to observation ``[obs_dim]``.
      step: ``(state, action, task)`` to a `Step`.
      oracle_return: task to the return of the best controller that knows the task, a scalar; None
        where nobody knows it.
      success: ``(Transition of one step, task)`` to 1 or 0: what "reached" and "found" mean, an
        episode with one such step; None where nothing does, and those columns are left out.
      factors: task to a dictionary of named ground truth, for instance
        ``{"mixture": [K], "style": [m]}``.
      derived: task to a dictionary, by other names, of what follows from the factors: other forms
        in which a latent may say them. For tables and pictures alone; nothing is trained on it.
      label: task to the number that pictures sort tasks by, a scalar; by default the first number
        of the first factor, else the task's index.
      plane: How paths are drawn; None where they are not.
      goal, goal_radius: A short form of ``plane`` where the first two numbers of an observation
        are a place: its `Plane.goal` and `Plane.radius`.
      explore: ``key`` to the actions of one exploring episode, ``[horizon, action_dim]``; for
        ``explorer="own"``.
      discrete: Whether an action is one of ``action_dim`` choices. It is a one-hot vector then,
        ``[action_dim]``, wherever there are actions: `step` is given one, and takes its ``argmax``
        for the number of the choice.
      split: ``(key, training tasks, test tasks)`` to tasks of both kinds, so many each, for a run
        whose test tasks are not drawn as its training tasks are; by default one draw of
        `sample_tasks` is parted at random.
      sketch: Observations of an episode ``[N, obs_dim]`` to what a film draws in place of them: the
        ends of lines, ``[N, lines, 2, 2]`` in metres, to the right and up, the first of which is
        followed. A function of the host. None where there is nothing to draw.
      presets: Settings by name, over the general ones of the same name; see `config.preset`.
      spec: What `envs.make` made it from; not to be set by factories.

    Raises:
      ValueError: if both ``plane`` and ``goal`` are given.
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
    derived: Callable[[Task], dict[str, Array]] | None = None
    label: Callable[[Task], Array] | None = None
    plane: Plane | None = None
    goal: Callable[[Task], Array] | None = None
    goal_radius: float = 0.0
    explore: Callable[[Key], Array] | None = None
    discrete: bool = False
    split: Callable[[Key, int, int], tuple[Task, Task]] | None = None
    sketch: Callable[[np.ndarray], np.ndarray] | None = None
    presets: Mapping[str, Preset] = dataclasses.field(default_factory=dict, hash=False)
    spec: Any = dataclasses.field(default=None, compare=False)

    def __post_init__(self):
        if self.goal is None:
            return
        if self.plane is not None:
            raise ValueError("an environment has a plane, or its short form goal, not both.")
        made = Plane(lambda obs: obs[..., :2], self.goal, self.goal_radius)
        object.__setattr__(self, "plane", made)
        object.__setattr__(self, "goal", None)  # so that a copy by dataclasses.replace is allowed


AnyEnv = Env | HostEnv
"""An environment of either kind."""


def readable(env: AnyEnv, task: Task) -> dict[str, Array]:
    """What may be read off a latent of a task: its factors and what is derived from them."""
    told = (one(task) for one in (env.factors, env.derived) if one is not None)
    return {name: x for named in told for name, x in named.items()}


def labels(env: AnyEnv, tasks: Task) -> Array:
    """The numbers that pictures sort tasks ``[T]`` by, ``[T]``."""
    if env.label is not None:
        return jax.vmap(env.label)(tasks)
    if env.factors is not None:
        # Taken within the mapped function: on its way out a dictionary would be sorted by name.
        first = jax.vmap(lambda task: [jnp.ravel(x) for x in env.factors(task).values()][:1])(tasks)
        if first and first[0].shape[1]:
            return first[0][:, 0]
    return jnp.arange(jax.tree.leaves(tasks)[0].shape[0], dtype=jnp.float32)
