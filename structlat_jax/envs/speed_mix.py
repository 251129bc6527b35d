"""A body that is to move at a mixture of velocities: dense rewards, all of them negative.

The base rewards are minus the squared differences from K target velocities, spread evenly on a
circle; what pays is their mixture, ``w ~ Dir(c, ..., c)``, which is best served by the mixture of
the targets. A push of the air on top, normal with mean 0, is the task's style. Observed is the
velocity.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from structlat_jax.envs import given, spread
from structlat_jax.envs.base import Env, Preset, Step
from structlat_jax.types import Array


class SpeedTask(NamedTuple):
    """One task.

    Attributes:
      weights: The mixture, on the simplex, ``[..., K]``.
      push: Metres per second gained per step and axis, ``[..., 2]``.
    """

    weights: Array
    push: Array


def make(
    targets: int = 3,
    concentration: float = 0.2,
    push: float = 0.05,
    friction: float = 0.1,
    horizon: int = 30,
) -> Env:
    """Makes the environment.

    Args:
      targets: Base rewards, K, at least 2.
      concentration: Of the symmetric Dirichlet that mixes them, above 0.
      push: Standard deviation of the push, metres per second and step; 0 for none.
      friction: Share of the velocity that is lost per step, above 0 and at most 1.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if a number is outside its range.
    """
    given.require_whole(2, targets=targets)
    given.require_whole(1, horizon=horizon)
    given.require_positive(concentration=concentration, friction=friction)
    given.require_not_negative(push=push)
    if friction > 1:
        raise ValueError(f"friction must be at most 1, not {friction!r}.")
    bases = spread.on_sphere(int(targets), 2)
    keep, horizon = 1.0 - friction, int(horizon)

    def sample_tasks(key, n):
        key_weights, key_push = jax.random.split(key)
        weights = jax.random.dirichlet(key_weights, jnp.full(len(bases), concentration), (n,))
        return SpeedTask(weights, push * jax.random.normal(key_push, (n, 2)))

    def reset(key, task):
        del key, task  # every episode starts at rest
        return jnp.zeros(2)

    def step(state, action, task):
        velocity = keep * state + _FORCE * jnp.clip(action, -1.0, 1.0) + task.push
        reward = -task.weights @ jnp.sum((velocity - bases) ** 2, axis=-1)
        return Step(velocity, velocity, reward, reward, jnp.zeros(()))

    def oracle_return(task):
        """Of who is, at every step, at the best velocity that can be reached by then: full force
        towards the mixed target and then rest, unless the push is stronger than that takes, where
        this is a bound. (Axes are independent: sum over k of w_k (v - v_k)^2 is (v - w @ v_k)^2
        plus what no velocity changes.)"""
        target = task.weights @ bases
        reached = jnp.cumsum(keep ** jnp.arange(horizon))[:, None]
        low, high = (reached * (task.push + force) for force in (-_FORCE, _FORCE))
        best = jnp.clip(target, low, high)
        lost = jnp.sum((best[:, None] - bases) ** 2, axis=-1) @ task.weights
        return -jnp.sum(lost)

    def factors(task):
        return {"mixture": task.weights, **({"push": task.push} if push else {})}

    return Env(
        name="speed_mix",
        obs_dim=2,
        action_dim=2,
        horizon=horizon,
        sample_tasks=sample_tasks,
        reset=reset,
        observe=lambda state: state,
        step=step,
        oracle_return=oracle_return,
        factors=factors,
        label=lambda task: task.weights[0],
        # Held actions say little of a body with inertia; what an action does differs between tasks.
        presets={
            "cpu": Preset(30_000, {"explorer": "smooth", "next_obs_in_context": True}),
        },
    )


_FORCE = 0.2
"""Metres per second that a full action adds per step and axis."""
