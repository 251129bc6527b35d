"""The interface of a host environment: how its tasks are drawn, and what its workers do with one.

Nothing here imports jax, since workers read it too.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Simulator(NamedTuple):
    """The part of a `HostEnv` that its workers need; members as there."""

    name: str
    obs_dim: int
    action_dim: int
    horizon: int
    make: Callable[[], Any]
    set_task: Callable[[Any, Any], None]
    observe: Callable[[Any], Any] | None
    success: Callable[[Mapping[str, Any]], Any] | None
    train_reward: Callable[[float, Mapping[str, Any]], float] | None
    controller: Callable[[Any, Any], Callable[[Any], Any]] | None
    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    discrete: bool


@dataclasses.dataclass(frozen=True)
class HostEnv:
    """A distribution of tasks, and an object of Python in which they are done.

    Two kinds of functions stand here. `sample_tasks`, `split`, `factors`, `derived`, `label`,
    `plane` and `explore` are those of `Env`: pure, in `jax.numpy`, called where training is. All
    others are called in worker processes and know nothing of jax: tasks come to them as NumPy
    arrays, and the environment is whatever `make` returns, with gymnasium's two methods,
    ``reset(seed=...)`` to ``(obs, info)`` and ``step(action)`` to ``(obs, reward, terminated,
    truncated, info)``.

    An episode ends where ``terminated`` or ``truncated`` is true, or after ``horizon`` steps; only
    ``terminated`` counts as an end for good, behind which nothing is worth anything.

    Before every reset a worker seeds Python's and NumPy's global generators, and hands the same
    seed to ``reset``; an environment that draws from these, and keeps nothing from one episode to
    the next, gives the same episode for the same key in any worker.

    Attributes:
      name, obs_dim, action_dim, horizon: As of `Env`.
      sample_tasks: ``(key, n)`` to tasks with leading axis ``[n]``: numbers in dictionaries,
        tuples, named tuples or lists.
      make: ``()`` to the environment; once per worker.
      set_task: ``(environment, task)``, before every reset.
      split, factors, derived, label, plane, explore, sketch, presets, spec: As of `Env`.
      observe: What ``reset`` and ``step`` return as an observation to numbers ``[obs_dim]``; by
        default they are flattened.
      success: info of a step to 1 or 0; see `Env.success`.
      train_reward: ``(reward, info)`` of a step to the reward of the actor-critic in training; the
        same as the reward by default.
      controller: ``(environment, task)``, after its reset, to a function from what ``reset`` and
        ``step`` return as an observation to an action of the environment's own; the best that
        anybody has for those who know the task. What it returns is the oracle of the results, which
        is no bound.
      low, high: Least and greatest value of the environment's actions, a number or one for each;
        the policy's -1 and 1 become these.
      discrete: Whether there are ``action_dim`` actions to choose one from: the policy's are
        one-hot, and ``step`` is given the number of the one.
    """

    name: str
    obs_dim: int
    action_dim: int
    horizon: int
    sample_tasks: Callable[[Any, int], Any]
    make: Callable[[], Any]
    set_task: Callable[[Any, Any], None]
    split: Callable[[Any, int, int], tuple[Any, Any]] | None = None
    factors: Callable[[Any], dict[str, Any]] | None = None
    derived: Callable[[Any], dict[str, Any]] | None = None
    success: Callable[[Mapping[str, Any]], Any] | None = None
    observe: Callable[[Any], Any] | None = None
    train_reward: Callable[[float, Mapping[str, Any]], float] | None = None
    controller: Callable[[Any, Any], Callable[[Any], Any]] | None = None
    low: float | tuple[float, ...] = -1.0
    high: float | tuple[float, ...] = 1.0
    discrete: bool = False
    label: Callable[[Any], Any] | None = None
    plane: Any = None
    explore: Callable[[Any], Any] | None = None
    sketch: Callable[[np.ndarray], np.ndarray] | None = None
    presets: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    spec: Any = dataclasses.field(default=None, compare=False)

    def __post_init__(self):
        for field in ("low", "high"):
            value = getattr(self, field)
            if not isinstance(value, int | float):  # so that the record can be hashed
                found = tuple(float(x) for x in np.ravel(np.asarray(value, float)))
                object.__setattr__(self, field, found)

    @property
    def oracle_return(self) -> None:
        """None: no function of a task alone says it; what `controller` returns is measured."""
        return None

    @property
    def simulator(self) -> Simulator:
        """What workers need of it."""
        return Simulator(**{name: getattr(self, name) for name in Simulator._fields})
