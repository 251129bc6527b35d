"""A body that is to move at a mixture of velocities: dense rewards, all of them negative.

The base rewards are minus the squared differences from K target velocities, spread evenly on a
circle; what pays is their mixture, ``w ~ Dir(c, ..., c)``, which is best served by the mixture of
the targets. A push of the air on top, normal with mean 0, is the task's style. Observed is the
velocity.
"""

from typing import NamedTuple

import jax.numpy as jnp

from structlat_jax.envs import body, given, spread
from structlat_jax.envs.base import Env, Step
from structlat_jax.shapes import Array


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
    given.require_positive(concentration=concentration)
    given.require_not_negative(push=push)
    bases = spread.on_sphere(int(targets), 2)
    keep, horizon = body.keep_of(friction), int(horizon)

    def sample_tasks(key, n):
        return SpeedTask(*body.mixture_and_style(key, n, len(bases), concentration, push))

    def step(state, action, task):
        velocity = keep * state + FORCE * jnp.clip(action, -1.0, 1.0) + task.push
        reward = -task.weights @ jnp.sum((velocity - bases) ** 2, axis=-1)
        return Step(velocity, velocity, reward, reward, jnp.zeros(()))

    def oracle_return(task):
        """Of who is, at every step, at the best velocity that can be reached by then: full force
        towards the mixed target and then rest, unless the push is stronger than that takes, where
        this is a bound. (Axes are independent: sum over k of w_k (v - v_k)^2 is (v - w @ v_k)^2
        plus what no velocity changes.)"""
        target = task.weights @ bases
        reached = jnp.cumsum(keep ** jnp.arange(horizon))[:, None]
        low, high = (reached * (task.push + force) for force in (-FORCE, FORCE))
        best = jnp.clip(target, low, high)
        lost = jnp.sum((best[:, None] - bases) ** 2, axis=-1) @ task.weights
        return -jnp.sum(lost)

    def factors(task):
        return {"mixture": task.weights, **({"push": task.push} if push else {})}

    return body.env(
        "speed_mix",
        horizon,
        sample_tasks=sample_tasks,
        step=step,
        oracle_return=oracle_return,
        factors=factors,
    )


FORCE = 0.2
"""Metres per second that a full action adds per step and axis."""
