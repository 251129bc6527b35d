"""A family of bodies as an environment: what its members draw, pay and end by, put together."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from structlat_jax.envs import given
from structlat_jax.envs.base import Env, Preset, Step
from structlat_jax.envs.bodies import engine as engines
from structlat_jax.envs.bodies import models, stick
from structlat_jax.envs.bodies.kinds import Kind, height_of
from structlat_jax.shapes import Array, Key


class BodyTask(NamedTuple):
    """One task; what a family does not vary is None.

    Attributes:
      aim: A speed in m/s, a direction in radians, or a place in metres, as the family says.
      mixture: Of base tasks or base bodies, on the simplex, ``[..., K]``.
      numbers: Logarithms of what the body's numbers are times the standard one's, by group.
      body: What the engine needs to know of it.
    """

    aim: Array | None
    mixture: Array | None
    numbers: dict[str, Array]
    body: Any = None


class BodyState(NamedTuple):
    """A body at a step.

    Attributes:
      qpos, qvel: Its position and its velocity, as the engine has them.
      over: Whether its episode has ended, a bool scalar; it is not moved then.
    """

    qpos: Array
    qvel: Array
    over: Array


class Deed(NamedTuple):
    """What a step came to.

    Attributes:
      velocity: Of the trunk in m/s, ``[2]``: forward and up, or in the plane for the ant.
      place: Of the trunk behind the step, ``[2]``.
      effort: Squared actions, summed.
      stands: Whether it is healthy behind the step, a bool scalar.
    """

    velocity: Array
    place: Array
    effort: Array
    stands: Array


Draw = Callable[[Key, int], BodyTask]
"""``(key, n)`` to tasks ``[n]`` without their `BodyTask.body`."""


@dataclasses.dataclass(frozen=True)
class Family:
    """What is a family's own.

    Attributes:
      name: `Env.name`.
      kind: Of body.
      draw: Its tasks.
      pay: ``(Deed, task)`` to a reward.
      factors: task to its ground truth.
      label: task to the number that pictures sort by.
      split: ``(key, train, test)`` to both kinds of tasks, where they are not drawn alike.
      ends: Whether an episode ends when the body falls.
      sees_place: Whether the place of the trunk is observed, before all else.
      presets: `Env.presets`.
      more: Other fields of `Env`.
    """

    name: str
    kind: Kind
    draw: Draw
    pay: Callable[[Deed, BodyTask], Array]
    factors: Callable[[BodyTask], dict[str, Array]]
    label: Callable[[BodyTask], Array]
    split: Callable[[Key, int, int], tuple[BodyTask, BodyTask]] | None = None
    ends: bool = False
    sees_place: bool = False
    presets: Mapping[str, Preset] = dataclasses.field(default_factory=dict)
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def env(family: Family, backend: str, horizon: int) -> Env:
    """The environment.

    Args:
      family: What is its own.
      backend: Of `engine.BACKENDS`.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if an option is not allowed.
      EnvError: if the engine is not installed.
    """
    given.require_whole(1, horizon=horizon)
    kind = family.kind
    one = jax.eval_shape(lambda: family.draw(jax.random.key(0), 1))
    groups = {name: x.shape[1] for name, x in one.numbers.items()}
    for name, size in groups.items():
        assert size == models.size_of(kind, name), (name, size)
    engine = engines.make(family.name, kind, groups, backend)
    start = jnp.array(kind.rest)

    def told(tasks: BodyTask) -> BodyTask:
        logs = list(tasks.numbers.values())
        vector = jnp.concatenate([tasks.numbers[name] for name in groups], 1) if logs else None
        return tasks._replace(body=engine.tell(vector))

    def height(task: BodyTask) -> Array:
        return height_of(kind, task.numbers.get("length"))

    def reset(key: Key, task: BodyTask) -> BodyState:
        key_place, key_velocity = jax.random.split(key)
        rest = start.at[1].multiply(height(task)) if kind.limbs else start
        noise = jax.random.uniform(key_place, start.shape, minval=-kind.noise, maxval=kind.noise)
        velocity = kind.velocity_noise(key_velocity, (kind.qvel,))
        return BodyState(rest + noise, velocity, jnp.bool_(False))

    def observe(state: BodyState) -> Array:
        seen = kind.observe(state.qpos, state.qvel)
        return jnp.concatenate([state.qpos[:2], seen]) if family.sees_place else seen

    def step(state: BodyState, action: Array, task: BodyTask) -> Step:
        action = jnp.clip(action, -1.0, 1.0)
        moved = engine.move(task.body, state.qpos, state.qvel, state.over, action)
        stands = moved.fine & kind.healthy(moved.qpos, moved.qvel, height(task))
        velocity = (moved.qpos[:2] - state.qpos[:2]) / kind.seconds
        deed = Deed(velocity, moved.qpos[:2], jnp.sum(action**2), stands)
        reward = family.pay(deed, task)
        done = ~moved.fine | (~stands if family.ends else False)
        after = BodyState(moved.qpos, moved.qvel, state.over | done)
        return Step(after, observe(after), reward, reward, done.astype(jnp.float32))

    def split(key: Key, train: int, test: int) -> tuple[BodyTask, BodyTask]:
        return tuple(map(told, family.split(key, train, test)))

    wide = jax.eval_shape(kind.observe, jnp.zeros(kind.qpos), jnp.zeros(kind.qvel)).shape[0]
    return Env(
        name=family.name,
        obs_dim=wide + 2 * family.sees_place,
        action_dim=kind.actions,
        horizon=int(horizon),
        sample_tasks=lambda key, n: told(family.draw(key, n)),
        split=None if family.split is None else split,
        reset=reset,
        observe=observe,
        step=step,
        factors=family.factors,
        label=family.label,
        presets=family.presets,
        sketch=functools.partial(stick.lines, kind, family.sees_place),
        **family.more,
    )
