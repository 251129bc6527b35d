"""The four bodies: what their models are called, what is observed of them, and when they fall.

Observations, actions, steps and starts are those of gymnasium's version 5 (for the ant without
contact forces, which an engine in XLA does not give).
"""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp

from structlat_jax.shapes import Array

_CLIP = 10.0  # of the velocities that hopper and walker observe
_WILD = 100.0  # a number of the state beyond which gymnasium takes a hopper for lost


@dataclasses.dataclass(frozen=True, eq=False)
class Kind:
    """One kind of body.

    Attributes:
      name: Of it.
      file: Its model, among those of gymnasium.
      frames: Steps of the engine in a step of the environment.
      seconds: That these take.
      qpos, qvel, actions: Widths of its position, its velocity and its action.
      rest: Its position at the start of an episode, before noise, ``[qpos]``.
      noise: Half the width of the uniform noise that is added to it.
      velocity_noise: ``(key, shape)`` to that of the velocity.
      observe: ``(qpos, qvel)`` to an observation.
      healthy: ``(qpos, qvel, height)`` to whether it stands; the height is that at which it starts,
        as a share of the standard body's.
      limbs: Lengths that may differ: names to the bodies of the model that have them, and how much
        each adds to the height at the start, in metres.
      bodies, joints, shapes: How many the model has of each, without the ground's body.
    """

    name: str
    file: str
    frames: int
    seconds: float
    qpos: int
    qvel: int
    actions: int
    rest: tuple[float, ...]
    noise: float
    velocity_noise: Callable[[Array, tuple[int, ...]], Array]
    observe: Callable[[Array, Array], Array]
    healthy: Callable[[Array, Array, Array], Array]
    bodies: int
    joints: int
    shapes: int
    limbs: Mapping[str, tuple[tuple[str, ...], float]] = dataclasses.field(default_factory=dict)


def _normal(key: Array, shape: tuple[int, ...]) -> Array:
    return 0.1 * jax.random.normal(key, shape)


def _slight(key: Array, shape: tuple[int, ...]) -> Array:
    return jax.random.uniform(key, shape, minval=-5e-3, maxval=5e-3)


def _upright(qpos: Array, qvel: Array, height: Array) -> Array:
    del qvel
    inside = (qpos[1] > 0.8 * height) & (qpos[1] < 2.0 * height)
    return inside & (jnp.abs(qpos[2]) < 1.0)


def _poised(qpos: Array, qvel: Array, height: Array) -> Array:
    tame = jnp.all(jnp.abs(qpos[2:]) < _WILD) & jnp.all(jnp.abs(qvel) < _WILD)
    return tame & (qpos[1] > 0.7 * height) & (jnp.abs(qpos[2]) < 0.2)


def _off_the_ground(qpos: Array, qvel: Array, height: Array) -> Array:
    del qvel, height
    return (qpos[2] >= 0.2) & (qpos[2] <= 1.0)


def _planar(qpos: Array, qvel: Array) -> Array:
    return jnp.concatenate([qpos[1:], jnp.clip(qvel, -_CLIP, _CLIP)])


CHEETAH = Kind(
    name="cheetah",
    file="half_cheetah.xml",
    frames=5,
    seconds=0.05,
    qpos=9,
    qvel=9,
    actions=6,
    rest=(0.0,) * 9,
    noise=0.1,
    velocity_noise=_normal,
    observe=lambda qpos, qvel: jnp.concatenate([qpos[1:], qvel]),
    healthy=lambda qpos, qvel, height: jnp.bool_(True),
    bodies=7,
    joints=9,
    shapes=9,
)

ANT = Kind(
    name="ant",
    file="ant.xml",
    frames=5,
    seconds=0.05,
    qpos=15,
    qvel=14,
    actions=8,
    rest=(0.0, 0.0, 0.75, 1.0, *(0.0,) * 11),
    noise=0.1,
    velocity_noise=_normal,
    observe=lambda qpos, qvel: jnp.concatenate([qpos[2:], qvel]),
    healthy=_off_the_ground,
    bodies=13,
    joints=14,
    shapes=14,
)

_LEGGED = MappingProxyType(
    {
        "torso": (("torso",), 0.2),
        "thigh": (("thigh", "thigh_left"), 0.45),
        "leg": (("leg", "leg_left"), 0.5),
        "foot": (("foot", "foot_left"), 0.0),
    }
)
_ANKLE = 0.1
"""Metres from the ground to the ankles at the start; what the limbs add is on top of it."""

HOPPER = Kind(
    name="hopper",
    file="hopper.xml",
    frames=4,
    seconds=0.008,
    qpos=6,
    qvel=6,
    actions=3,
    rest=(0.0, 1.25, 0.0, 0.0, 0.0, 0.0),
    noise=5e-3,
    velocity_noise=_slight,
    observe=_planar,
    healthy=_poised,
    bodies=4,
    joints=6,
    shapes=5,
    limbs=_LEGGED,
)

WALKER = Kind(
    name="walker",
    file="walker2d_v5.xml",
    frames=4,
    seconds=0.008,
    qpos=9,
    qvel=9,
    actions=6,
    rest=(0.0, 1.25, *(0.0,) * 7),
    noise=5e-3,
    velocity_noise=_slight,
    observe=_planar,
    healthy=_upright,
    bodies=7,
    joints=9,
    shapes=8,
    limbs=_LEGGED,
)


def height_of(kind: Kind, lengths: Array | None) -> Array:
    """The height at which a body starts, as a share of the standard one's, from the logarithms of
    its limbs' lengths ``[limbs]``; 1 where they do not differ."""
    if lengths is None:
        return jnp.ones(())
    metres = jnp.array([own for _, own in kind.limbs.values()])
    return (_ANKLE + jnp.sum(metres * jnp.exp(lengths))) / (_ANKLE + jnp.sum(metres))
