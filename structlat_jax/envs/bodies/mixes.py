"""Families whose tasks are mixtures, of speeds, rewards or bodies, with styles beside them."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.envs import given
from structlat_jax.envs.base import Env
from structlat_jax.envs.bodies import mixing, models, presets
from structlat_jax.envs.bodies.assemble import BodyTask, Family, env
from structlat_jax.envs.bodies.kinds import CHEETAH, HOPPER, WALKER, Kind
from structlat_jax.envs.bodies.varied import forward
from structlat_jax.shapes import Array

_EFFORT = 0.05
_JUMP = 10.0
"""What a metre of height pays per step, so that hops of a foot pay what a run does."""

_SHAPE = ("torso", "thigh", "leg", "foot", "density", "damping", "strength")
"""Numbers of a base body, as factors on the standard one's: four lengths, and what all have."""

_PARTS = {
    "length": slice(0, 4),
    "density": slice(4, 5),
    "damping_of_all": slice(5, 6),
    "strength": slice(6, 7),
}

BODIES = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    (0.8, 1.3, 1.3, 0.9, 0.9, 1.0, 1.0),
    (1.1, 0.75, 0.75, 1.2, 1.4, 1.0, 1.0),
    (1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 0.75),
)
"""The standard body, one of long legs, a stocky one, and one that is stiff and weak."""


def cheetah_vel_mix(
    speeds: Sequence[float] = (0.0, 1.5, 3.0),
    concentration: float = 0.2,
    payload: float = 0.0,
    friction: float = 0.0,
    gear: float = 0.3,
    split: str = "alike",
    backend: str = "auto",
    horizon: int = 200,
) -> Env:
    """A cheetah that is to run at a mixture of speeds, ``w @ speeds``.

    Args:
      speeds: Of the base tasks, two or more, in metres per second.
      concentration: Of the symmetric Dirichlet that mixes them, above 0.
      payload, friction, gear: Standard deviations of the logarithms of the trunk's mass, of the
        friction with the ground, and of the motors' strength, over the standard body's; 0 for none.
      split: ``alike``; or ``compositional``: training tasks are of one base or two, test tasks of
        three or more.
      backend: ``mujoco``, ``mjx``, or ``auto``: the latter on accelerators.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if an option is not allowed.
      EnvError: if MuJoCo is not installed.
    """
    speeds = tuple(speeds) if isinstance(speeds, list | tuple) else (speeds,)
    if len(speeds) < 2 or not all(map(given.is_number, speeds)):
        raise ValueError(f"speeds must be two or more finite numbers, not {speeds!r}.")
    wanted = jnp.array(speeds, jnp.float32)
    styles = {"payload": payload, "friction": friction, "gear": gear}

    def pay(deed, task):
        return -jnp.abs(deed.velocity[0] - task.mixture @ wanted) - _EFFORT * deed.effort

    made = _Mixture(len(speeds), concentration, split, styles)
    return made.env("cheetah_vel_mix", CHEETAH, pay, backend, horizon)


def cheetah_reward_mix(
    concentration: float = 0.2,
    payload: float = 0.0,
    friction: float = 0.0,
    gear: float = 0.3,
    split: str = "alike",
    backend: str = "auto",
    horizon: int = 200,
) -> Env:
    """A cheetah that is paid a mixture of four: its speed forward, that backward, ten times the
    height of its trunk, and minus the squared action. Options as in `cheetah_vel_mix`."""
    styles = {"payload": payload, "friction": friction, "gear": gear}

    def pay(deed, task):
        ahead, high = deed.velocity[0], _JUMP * deed.place[1]
        bases = jnp.stack([ahead, -ahead, high, -deed.effort])
        return task.mixture @ bases - _EFFORT * deed.effort

    made = _Mixture(4, concentration, split, styles)
    return made.env("cheetah_reward_mix", CHEETAH, pay, backend, horizon)


def hopper_body_mix(
    bodies: Sequence[Sequence[float]] = BODIES,
    concentration: float = 0.2,
    payload: float = 0.2,
    friction: float = 0.0,
    gear: float = 0.0,
    split: str = "alike",
    backend: str = "auto",
    horizon: int = 200,
) -> Env:
    """A hopper whose body is a mixture; see `walker_body_mix`."""
    styles = {"payload": payload, "friction": friction, "gear": gear}
    made = _of_bodies(HOPPER, bodies, concentration, split, styles)
    return made.env("hopper_body_mix", HOPPER, forward, backend, horizon)


def walker_body_mix(
    bodies: Sequence[Sequence[float]] = BODIES,
    concentration: float = 0.2,
    payload: float = 0.2,
    friction: float = 0.0,
    gear: float = 0.0,
    split: str = "alike",
    backend: str = "auto",
    horizon: int = 200,
) -> Env:
    """A walker that is to get forward with a body that is a mixture of K.

    A body is seven numbers, the logarithms of factors on the standard one's: the lengths of trunk,
    thighs, shanks and feet, then density, the joints' damping and the motors' strength. A task's
    are ``w @ numbers``; the engine builds it anew from them, so that masses, inertias and all that
    follows are its own.

    Args:
      bodies: The K base bodies, two or more, seven factors each, from 0.2 to 5.
      concentration: Of the symmetric Dirichlet that mixes them, above 0.
      payload, friction, gear, split, backend, horizon: As in `cheetah_vel_mix`.

    Raises:
      ValueError: if an option is not allowed, or a body cannot be simulated.
      EnvError: if MuJoCo is not installed.
    """
    styles = {"payload": payload, "friction": friction, "gear": gear}
    made = _of_bodies(WALKER, bodies, concentration, split, styles)
    return made.env("walker_body_mix", WALKER, forward, backend, horizon)


class _Mixture:
    """What the families of this file have in common."""

    def __init__(
        self,
        classes: int,
        concentration: float,
        split: str,
        styles: dict[str, float],
        bases: np.ndarray | None = None,
    ):
        mixing.require(split, classes, concentration, **styles)
        self.styles, self.bases = styles, None if bases is None else jnp.asarray(bases)
        self.mixtures, self.apart = mixing.draws(split, classes, concentration)

    def env(self, name: str, kind: Kind, pay, backend: str, horizon: int) -> Env:
        """The environment; it ends where bodies are what is mixed."""

        def split(key, train, test):
            keys, (few, many) = jax.random.split(key), self.apart
            return self._draw(few, keys[0], train), self._draw(many, keys[1], test)

        def factors(task):
            varied = [name for name, spread in self.styles.items() if spread]
            named = {name: task.numbers[mixing.STYLES[name]] for name in varied}
            return {"mixture": task.mixture, **named}

        family = Family(
            name=name,
            kind=kind,
            draw=lambda key, n: self._draw(self.mixtures, key, n),
            split=None if self.apart is None else split,
            pay=pay,
            factors=factors,
            label=lambda task: task.mixture[0],
            ends=self.bases is not None,
            presets=presets.mixed(),
        )
        return env(family, backend, horizon)

    def _draw(self, mixtures, key, n: int) -> BodyTask:
        key_mixture, key_style = jax.random.split(key)
        mixture = mixtures(key_mixture, n)
        numbers = {} if self.bases is None else self._body(mixture)
        return BodyTask(None, mixture, {**numbers, **mixing.style(key_style, n, self.styles)})

    def _body(self, mixture: Array) -> dict[str, Array]:
        logs = mixture @ self.bases
        return {group: logs[:, where] for group, where in _PARTS.items()}


def _of_bodies(
    kind: Kind,
    bodies: Sequence[Sequence[float]],
    concentration: float,
    split: str,
    styles: dict[str, float],
) -> _Mixture:
    """The mixture of base bodies, each of which the engine has built once."""
    rows = tuple(bodies) if isinstance(bodies, list | tuple) else ()
    if len(rows) < 2:
        raise ValueError(f"bodies must be two or more, seven factors each, not {bodies!r}.")
    for number, row in enumerate(rows, 1):
        fit = isinstance(row, list | tuple) and len(row) == len(_SHAPE)
        if not (fit and all(given.is_number(x) and 0.2 <= x <= 5 for x in row)):
            raise ValueError(
                f"body {number} must be seven factors from 0.2 to 5 ({', '.join(_SHAPE)}), "
                f"not {row!r}."
            )
    logs = np.array([[math.log(x) for x in row] for row in rows], np.float32)
    models.require(f"{kind.name}_body_mix", "mujoco")
    for row in logs:
        models.build(kind, {group: row[where] for group, where in _PARTS.items()})
    return _Mixture(len(rows), concentration, split, styles, logs)
