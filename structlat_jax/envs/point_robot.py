"""The sparse point robot on the half circle (paper, section 4; Rakelly et al. 2019, section 6.2).

A point starts at the origin and moves by 0.1 times its action in each direction (a box, not a
disc) for 20 steps. Goals lie on the unit circle between two anchors:
theta = theta_0 + (theta_1 - theta_0) w with w the first weight of a draw from Dir(0.2, 0.2).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.envs import given, sparse
from structlat_jax.envs.base import Env, Plane, Preset, Step
from structlat_jax.shapes import Array


class PointRobotTask(NamedTuple):
    """One goal.

    Attributes:
      goal: Its place in metres, ``[..., 2]``.
      weight: Its mixture weight w in [0, 1] between the anchors, ``[...]``.
    """

    goal: Array
    weight: Array


def make(
    anchors: tuple[float, float] = (0.0, math.pi),
    concentration: float = 0.2,
    goal_radius: float = 0.2,
    step_size: float = 0.1,
    horizon: int = 20,
) -> Env:
    """Makes the environment.

    Args:
      anchors: Angles of the two base tasks, in radians.
      concentration: Of the symmetric Dirichlet that mixes them, above 0.
      goal_radius: Distance in metres within which the sparse reward is paid, above 0.
      step_size: Metres per step and axis at full action, above 0.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if a number is outside its range.
    """
    given.require_positive(
        concentration=concentration, goal_radius=goal_radius, step_size=step_size
    )
    given.require_whole(1, horizon=horizon)
    if not _are_angles(anchors):
        raise ValueError(f"anchors must be two finite angles in radians, not {anchors!r}.")

    def sample_tasks(key, n):
        weight = jax.random.dirichlet(key, jnp.full((2,), concentration), (n,))[:, 0]
        angle = anchors[0] + (anchors[1] - anchors[0]) * weight
        return PointRobotTask(jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1), weight)

    def reset(key, task):
        del key, task  # every episode starts at the origin
        return jnp.zeros(2)

    def step(state, action, task):
        position = state + step_size * jnp.clip(action, -1.0, 1.0)
        distance = jnp.linalg.norm(position - task.goal)
        sparse = jnp.where(distance <= goal_radius, 1.0 - distance, 0.0)
        return Step(position, position, sparse, -distance, jnp.zeros(()))

    def oracle_return(task):
        """Each axis goes to the goal at its own full speed, which is optimal in a box: after any
        number of steps both coordinates are as near to the goal's as they can be."""

        def act(state, _):
            outcome = step(state, jnp.clip((task.goal - state) / step_size, -1.0, 1.0), task)
            return outcome.state, outcome.reward

        return jnp.sum(jax.lax.scan(act, jnp.zeros(2), length=int(horizon))[1])

    def factors(task):
        return {"mixture": jnp.stack([task.weight, 1.0 - task.weight], axis=-1)}

    angle = np.linspace(*anchors, 181)
    return Env(
        name="point_robot",
        obs_dim=2,
        action_dim=2,
        horizon=int(horizon),
        sample_tasks=sample_tasks,
        reset=reset,
        observe=lambda state: state,
        step=step,
        oracle_return=oracle_return,
        success=lambda t, task: t.reward != 0,
        factors=factors,
        label=lambda task: task.weight,
        plane=Plane(
            project=lambda obs: obs[..., :2],
            goal=lambda task: task.goal,
            radius=goal_radius,
            units="m",
            outline=np.stack([np.cos(angle), np.sin(angle)], axis=-1),
        ),
        # The paper's method here; what is measured and published of this task is of these.
        presets={
            "cpu": Preset(30_000, {"posterior": "context", "inference": "hypotheses"}),
            **sparse.PRESETS,
        },
    )


def _are_angles(anchors: object) -> bool:
    pair = isinstance(anchors, tuple | list) and len(anchors) == 2
    return pair and all(map(given.is_number, anchors))
