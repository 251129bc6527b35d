"""Bodies that are told where to, and not in words: speeds, directions, places.

The standard bodies; what differs between tasks is what pays. Terms and distributions are those
that PEARL was published with (Rakelly et al. 2019, after Finn et al. 2017).
"""

import math

import jax
import jax.numpy as jnp

from structlat_jax.envs import given
from structlat_jax.envs.base import Env, Plane
from structlat_jax.envs.bodies import presets
from structlat_jax.envs.bodies.assemble import BodyTask, Family, env
from structlat_jax.envs.bodies.kinds import ANT, CHEETAH
from structlat_jax.shapes import Key

_CHEETAH_EFFORT = 0.05
_ANT_EFFORT = 0.5
_FAR_EFFORT = 0.1  # of an ant on its way to a place
_FARTHEST = 3.0  # metres


def cheetah_dir(backend: str = "auto", horizon: int = 200) -> Env:
    """A cheetah that is to run forward, or backward; training and test tasks are both of these.

    Args:
      backend: ``mujoco``, ``mjx``, or ``auto``: the latter on accelerators.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if an option is not allowed.
      EnvError: if MuJoCo is not installed.
    """

    def pay(deed, task):
        return task.aim * deed.velocity[0] - _CHEETAH_EFFORT * deed.effort

    family = Family(
        name="cheetah_dir",
        kind=CHEETAH,
        draw=lambda key, n: _aimed(_either(key, n)),
        split=_both,
        pay=pay,
        factors=lambda task: {"direction": task.aim[None]},
        label=lambda task: task.aim,
        presets=presets.of_two(),
    )
    return env(family, backend, horizon)


def cheetah_vel(
    fastest: float = 3.0, slowest: float = 0.0, backend: str = "auto", horizon: int = 200
) -> Env:
    """A cheetah that is to run at a speed that nobody tells it, uniform between two.

    Args:
      fastest, slowest: Metres per second; backward if negative.
      backend: ``mujoco``, ``mjx``, or ``auto``: the latter on accelerators.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if an option is not allowed.
      EnvError: if MuJoCo is not installed.
    """
    for name, value in {"fastest": fastest, "slowest": slowest}.items():
        if not given.is_number(value):
            raise ValueError(f"{name} must be a finite number, not {value!r}.")
    if slowest >= fastest:
        raise ValueError(f"slowest must be below fastest ({fastest!r}), not {slowest!r}.")

    def draw(key, n):
        return _aimed(jax.random.uniform(key, (n,), minval=slowest, maxval=fastest))

    def pay(deed, task):
        return -jnp.abs(deed.velocity[0] - task.aim) - _CHEETAH_EFFORT * deed.effort

    family = Family(
        name="cheetah_vel",
        kind=CHEETAH,
        draw=draw,
        pay=pay,
        factors=lambda task: {"speed": task.aim[None]},
        label=lambda task: task.aim,
        presets=presets.aimed("cheetah_vel"),
    )
    return env(family, backend, horizon)


def ant_dir(directions: str = "two", backend: str = "auto", horizon: int = 200) -> Env:
    """An ant that is to run in a direction of the plane.

    Args:
      directions: ``two``: forward and backward, training and test tasks both of these, as PEARL was
        published with; ``all``: uniform on the circle.
      backend: ``mujoco``, ``mjx``, or ``auto``: the latter on accelerators.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if an option is not allowed.
      EnvError: if MuJoCo is not installed.
    """
    if directions not in ("two", "all"):
        raise ValueError(f"directions must be one of two, all, not {directions!r}.")
    two = directions == "two"

    def draw(key, n):
        if two:
            return _turned(_aimed(_either(key, n)))
        return _aimed(jax.random.uniform(key, (n,), maxval=2 * math.pi))

    def pay(deed, task):
        ahead = jnp.stack([jnp.cos(task.aim), jnp.sin(task.aim)]) @ deed.velocity
        return ahead + deed.stands - _ANT_EFFORT * deed.effort

    family = Family(
        name="ant_dir",
        kind=ANT,
        draw=draw,
        split=(lambda *args: tuple(map(_turned, _both(*args)))) if two else None,
        pay=pay,
        factors=lambda task: {"direction": jnp.stack([jnp.cos(task.aim), jnp.sin(task.aim)])},
        label=lambda task: task.aim,
        ends=True,
        presets=presets.of_two() if two else presets.aimed("ant_dir"),
    )
    return env(family, backend, horizon)


def ant_goal(backend: str = "auto", horizon: int = 200) -> Env:
    """An ant that is to get to a place, whose distance from the origin is at most three metres; it
    sees where it is, and pictures show its paths.

    Args:
      backend: ``mujoco``, ``mjx``, or ``auto``: the latter on accelerators.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if an option is not allowed.
      EnvError: if MuJoCo is not installed.
    """

    def draw(key, n):
        key_angle, key_far = jax.random.split(key)
        angle = jax.random.uniform(key_angle, (n,), maxval=2 * math.pi)
        far = _FARTHEST * jnp.sqrt(jax.random.uniform(key_far, (n,)))
        return _aimed(jnp.stack([far * jnp.cos(angle), far * jnp.sin(angle)], axis=1))

    def pay(deed, task):
        return -jnp.sum(jnp.abs(deed.place - task.aim)) - _FAR_EFFORT * deed.effort

    plane = Plane(lambda obs: obs[..., :2], goal=lambda task: task.aim, units="m")
    family = Family(
        name="ant_goal",
        kind=ANT,
        draw=draw,
        pay=pay,
        factors=lambda task: {"place": task.aim},
        label=lambda task: jnp.arctan2(task.aim[1], task.aim[0]),
        sees_place=True,
        presets=presets.aimed("ant_goal"),
        more={"plane": plane},
    )
    return env(family, backend, horizon)


def _aimed(aim) -> BodyTask:
    return BodyTask(aim, None, {})


def _either(key: Key, n: int):
    """1 and -1 in turn, from either on, ``[n]``."""
    return 1.0 - 2.0 * ((jnp.arange(n) + jax.random.randint(key, (), 0, 2)) % 2)


def _both(key: Key, train: int, test: int) -> tuple[BodyTask, BodyTask]:
    """Both directions in either set."""
    keys = jax.random.split(key)
    return _aimed(_either(keys[0], train)), _aimed(_either(keys[1], test))


def _turned(task: BodyTask) -> BodyTask:
    """1 and -1 as directions in radians."""
    return task._replace(aim=jnp.where(task.aim > 0, 0.0, math.pi))
