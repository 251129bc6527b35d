"""A point whose goal is a mixture of anchors, in any dimension, with styles of its dynamics.

The base tasks are K anchors, spread evenly on the unit sphere. A task is a mixture of them,
``w ~ Dir(c, ..., c)``: its goal is ``w @ anchors``, and the reward is paid within a radius of it.
Its style changes what an action does: a drift per step and axis, a gain of the actuator (its
logarithm), and a rotation of the action's frame in the plane of the first two axes, each normal
with mean 0 and a standard deviation that is an option. What gain and rotation come to is the
``motion``: where full action along the first axis takes the point, in step sizes.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.envs import given, mixtures, sparse, spread
from structlat_jax.envs.base import Env, Plane, Preset, Step
from structlat_jax.shapes import Array


class MixTask(NamedTuple):
    """One task.

    Attributes:
      weights: The mixture, on the simplex, ``[..., K]``.
      goal: Its place in metres, ``[..., dimensions]``.
      drift: Metres per step, ``[..., dimensions]``.
      gain: Logarithm of the actuator's gain, ``[...]``.
      rotation: Angle of the action's frame in radians, ``[...]``.
    """

    weights: Array
    goal: Array
    drift: Array
    gain: Array
    rotation: Array


def make(
    anchors: int = 3,
    dimensions: int = 2,
    concentration: float = 0.2,
    drift: float = 0.0,
    gain: float = 0.0,
    rotation: float = 0.0,
    radius: float = 0.2,
    step_size: float = 0.1,
    horizon: int = 20,
) -> Env:
    """Makes the environment.

    Args:
      anchors: Base tasks, K, at least 2; `spread.on_sphere` says where they lie.
      dimensions: Of the space, at least 1 (2 with a rotation).
      concentration: Of the symmetric Dirichlet that mixes them, above 0.
      drift: Standard deviation of the drift, metres per step and axis; 0 for none.
      gain: Of the logarithm of the actuator's gain; 0 for none.
      rotation: Of the rotation of the action's frame, in radians; 0 for none.
      radius: Distance in metres within which the sparse reward is paid, above 0.
      step_size: Metres per step and axis at full action and a gain of 1, above 0.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if a number is outside its range.
    """
    scales = {"drift": drift, "gain": gain, "rotation": rotation}
    given.require_whole(2, anchors=anchors)
    given.require_whole(1 + bool(rotation), dimensions=dimensions)
    given.require_whole(1, horizon=horizon)
    given.require_positive(concentration=concentration, radius=radius, step_size=step_size)
    given.require_not_negative(**scales)
    bases = spread.on_sphere(int(anchors), int(dimensions))
    count, dims = bases.shape
    horizon = int(horizon)

    def sample_tasks(key, n):
        key_weights, *keys = jax.random.split(key, 1 + len(scales))
        weights = jax.random.dirichlet(key_weights, jnp.full(count, concentration), (n,))
        shapes = {"drift": (n, dims), "gain": (n,), "rotation": (n,)}
        styles = {
            name: scale * jax.random.normal(key, shapes[name])
            for key, (name, scale) in zip(keys, scales.items(), strict=True)
        }
        return MixTask(weights, weights @ bases, **styles)

    def reset(key, task):
        del key, task  # every episode starts at the origin
        return jnp.zeros(dims)

    def step(state, action, task):
        push = step_size * jnp.exp(task.gain) * jnp.clip(action, -1.0, 1.0)
        position = state + task.drift + (turned(push, task.rotation) if rotation else push)
        distance = jnp.linalg.norm(position - task.goal)
        return Step(position, position, _paid(distance, radius), -distance, jnp.zeros(()))

    def oracle_return(task):
        return _most(task, step_size, radius, horizon)

    def factors(task):
        styles = {name: jnp.atleast_1d(getattr(task, name)) for name, s in scales.items() if s}
        return {"mixture": task.weights, **styles}

    def derived(task):
        along = turned(jnp.zeros(dims).at[0].set(jnp.exp(task.gain)), task.rotation)
        return {"motion": along[:2]}

    plane = Plane(
        project=lambda obs: obs[..., :2],
        goal=lambda task: task.goal,
        radius=radius,
        units="m",
        outline=np.concatenate([bases, bases[:1]]),
    )
    return Env(
        name="point_mix",
        obs_dim=dims,
        action_dim=dims,
        horizon=horizon,
        sample_tasks=sample_tasks,
        reset=reset,
        observe=lambda state: state,
        step=step,
        oracle_return=oracle_return,
        success=lambda t, task: t.reward != 0,
        factors=factors,
        derived=derived if rotation else None,
        label=lambda task: task.weights[0],
        plane=plane if dims == 2 else None,
        presets={"cpu": _preset(dims, bool(any(scales.values()))), **sparse.PRESETS},
    )


triangle = functools.partial(make, anchors=3, dimensions=2)
"""`make` with three anchors in the plane."""

tetrahedron = functools.partial(make, anchors=4, dimensions=3)
"""`make` with four anchors in space."""


def _preset(dims: int, styles: bool) -> Preset:
    """Straight episodes of one z each look into few places, in space all the less: an episode that
    has found nothing by half-time turns to another. In half of all starts one anchor comes to be no
    corner of a Dirichlet block, which lasts and is learned more slowly, so that there are several
    starts. Tasks of more than two numbers take longer to learn, with steps of the full size for as
    much longer, and have more to say. What a style is comes after where the goal is, so that a
    block for it opens later, and it is asked how the point moves, since an agent that sees where it
    is hardly needs to know; places in space want an encoder that makes more of what was seen."""
    changes = {**mixtures.SETTINGS, "next_obs_in_context": styles, "eval_draws": 2, "starts": 6}
    if dims < 3 and not styles:
        return Preset(30_000, changes)
    changes |= {"lr_decay_start": 20_000.0, "lr_decay_end": 60_000.0}
    if styles:
        changes |= {"later_blocks": "changes", "change_weight": 3.0}
    if dims > 2:
        changes |= {"encoder_width": 128, "encoder_depth": 3}
    return Preset(60_000, {**changes, "kl_weight": 1e-3, "block_delay": 15_000.0})


def turned(x: Array, angle: Array) -> Array:
    """Vectors ``[dims]`` turned in the plane of the first two axes."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.concatenate([jnp.stack([cos * x[0] - sin * x[1], sin * x[0] + cos * x[1]]), x[2:]])


def _paid(distance: Array, radius: float) -> Array:
    return jnp.where(distance <= radius, 1.0 - distance, 0.0)


def _most(task: MixTask, step_size: float, radius: float, horizon: int) -> Array:
    """The return of who is, at every step, where the goal is nearest of all places that can be
    reached by then.

    In the action's frame the axes are independent, so that these places are a box, and the nearest
    one is that of each axis. Full speed towards the goal and then rest is there at every step,
    unless the drift is stronger than the actuator, where this is a bound.
    """
    steps = jnp.arange(1, horizon + 1)[:, None]
    goal, drift = task.goal, task.drift
    if goal.shape[0] > 1:
        goal, drift = (turned(x, -task.rotation) for x in (goal, drift))
    reach = steps * step_size * jnp.exp(task.gain)
    short = jnp.maximum(jnp.abs(goal - steps * drift) - reach, 0.0)
    return jnp.sum(_paid(jnp.linalg.norm(short, axis=-1), radius))
