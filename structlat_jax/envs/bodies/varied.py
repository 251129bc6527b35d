"""Bodies that differ: hopper and walker whose every part is of another mass and friction."""

import math

import jax
import jax.numpy as jnp

from structlat_jax.envs import given
from structlat_jax.envs.base import Env
from structlat_jax.envs.bodies import models, presets
from structlat_jax.envs.bodies.assemble import BodyTask, Deed, Family, env
from structlat_jax.envs.bodies.kinds import HOPPER, WALKER, Kind
from structlat_jax.shapes import Array

EFFORT = 1e-3

_BASES = {"mass": 1.5, "inertia": 1.5, "damping": 1.3, "friction": 1.5}
"""A factor is one of these to the power of a number that is uniform in +- ``spread``."""


def hopper_body(spread: float = 3.0, backend: str = "auto", horizon: int = 200) -> Env:
    """A hopper; see `walker_body`."""
    return _made("hopper_body", HOPPER, spread, backend, horizon)


def walker_body(spread: float = 3.0, backend: str = "auto", horizon: int = 200) -> Env:
    """A walker that is to get forward, whatever its parts weigh and however they rub.

    Masses and inertias of all bodies, damping of all joints and friction of all shapes are the
    standard one's times factors of their own, distributed as in the environments that PEARL was
    published with; but an inertia has one factor for its three axes, since three of their own are
    those of no body.

    Args:
      spread: The factors' greatest exponent, above 0 and at most 3.
      backend: ``mujoco``, ``mjx``, or ``auto``: the latter on accelerators.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if an option is not allowed.
      EnvError: if MuJoCo is not installed.
    """
    return _made("walker_body", WALKER, spread, backend, horizon)


def forward(deed: Deed, task: BodyTask) -> Array:
    """What pays hoppers and walkers: to get forward and to stand."""
    del task
    return deed.velocity[0] + deed.stands - EFFORT * deed.effort


def _made(name: str, kind: Kind, spread: float, backend: str, horizon: int) -> Env:
    given.require_positive(spread=spread)
    if spread > 3:
        raise ValueError(f"spread must be at most 3, not {spread!r}.")

    def draw(key, n):
        numbers = {}
        for (group, base), own in zip(_BASES.items(), jax.random.split(key, 4), strict=True):
            reach = spread * math.log(base)
            shape = (n, models.size_of(kind, group))
            numbers[group] = jax.random.uniform(own, shape, minval=-reach, maxval=reach)
        return BodyTask(None, None, numbers)

    family = Family(
        name=name,
        kind=kind,
        draw=draw,
        pay=forward,
        factors=lambda task: task.numbers,
        label=lambda task: jnp.sum(task.numbers["mass"]),
        ends=True,
        presets=presets.varied(),
    )
    return env(family, backend, horizon)
