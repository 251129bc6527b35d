"""What moves a body for one step, by either of MuJoCo's engines."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from structlat_jax.envs.bodies import models
from structlat_jax.envs.bodies.kinds import Kind
from structlat_jax.shapes import Array

BACKENDS = ("auto", "mujoco", "mjx")

FASTEST = 1e3
"""Metres or radians per second beyond which a simulation has diverged."""


class Moved(NamedTuple):
    """What a step has made of a body.

    Attributes:
      qpos, qvel: Its position and its velocity; where the simulation diverged, those of before.
      fine: Whether it did not, a bool scalar.
    """

    qpos: Array
    qvel: Array
    fine: Array


@dataclasses.dataclass(frozen=True)
class Engine:
    """A record of functions.

    Attributes:
      name: ``mujoco`` or ``mjx``.
      tell: Numbers of bodies ``[n, P]``, or None if all are the standard one, to what a task
        carries of its body, a pytree that leads with ``[n]``.
      move: ``(what the task carries, qpos, qvel, over, action)`` to `Moved`; a body for which it is
        over need not be moved.
    """

    name: str
    tell: Callable[[Array | None], Any]
    move: Callable[[Any, Array, Array, Array, Array], Moved]


def make(name: str, kind: Kind, groups: Mapping[str, int], backend: str) -> Engine:
    """An engine.

    Args:
      name: Of the environment, for sentences.
      kind: Of body.
      groups: Of the numbers that bodies differ by, and their sizes, in order.
      backend: ``mujoco``, ``mjx``, or ``auto``: the latter on accelerators if it is installed.

    Raises:
      ValueError: on another backend.
      EnvError: if it is not installed.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, not {backend!r}.")
    if backend == "auto":
        backend = "mujoco" if jax.default_backend() == "cpu" else "mjx"
    models.require(name, backend)
    if backend == "mjx":
        from structlat_jax.envs.bodies import in_xla

        return in_xla.make(kind, groups)
    from structlat_jax.envs.bodies import on_host

    return on_host.make(kind, groups)
