"""A walker on a grid whose goal is a mixture of K places: choices instead of numbers.

The places lie evenly on a circle about the middle, where every episode starts; the goal is the cell
nearest to their mixture, ``w ~ Dir(c, ..., c)``, and pays 1 for each step that ends in it. A choice
is to stay or to go to one of the four sides; at the rim nothing is further. A compass that is
turned by quarters, all four as likely, is the style that goes with `cat` blocks, where it is asked
for. Training sees the distance that is left.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.envs import given, mixtures, spread
from structlat_jax.envs.base import Env, Plane, Preset, Step
from structlat_jax.shapes import Array


class GridTask(NamedTuple):
    """One task.

    Attributes:
      weights: The mixture, on the simplex, ``[..., K]``.
      goal: The cell that pays, as steps from the middle, ``[..., 2]``.
      quarters: By which the compass is turned, 0 to 3, ``[...]``.
    """

    weights: Array
    goal: Array
    quarters: Array


def make(
    reach: int = 3,
    places: int = 3,
    concentration: float = 0.2,
    compass: bool = False,
    horizon: int = 15,
) -> Env:
    """Makes the environment.

    Args:
      reach: Cells from the middle to the rim, at least 1.
      places: Those that are mixed, K, at least 2.
      concentration: Of the symmetric Dirichlet that mixes them, above 0.
      compass: Whether each task has its own.
      horizon: Steps in an episode, at least 1.

    Raises:
      ValueError: if an option is not as it must be.
    """
    given.require_whole(1, reach=reach, horizon=horizon)
    given.require_whole(2, places=places)
    given.require_positive(concentration=concentration)
    if not isinstance(compass, bool):
        raise ValueError(f"compass must be true or false, not {compass!r}.")
    reach, horizon = int(reach), int(horizon)
    bases = reach * spread.on_sphere(int(places), 2)

    def sample_tasks(key, n):
        key_weights, key_quarters = jax.random.split(key)
        weights = jax.random.dirichlet(key_weights, jnp.full(len(bases), concentration), (n,))
        quarters = jax.random.randint(key_quarters, (n,), 0, 4 if compass else 1)
        return GridTask(weights, jnp.round(weights @ bases) + 0.0, quarters)  # no minus zero

    def reset(key, task):
        del key, task  # every episode starts in the middle
        return jnp.zeros(2)

    def step(state, action, task):
        cell = jnp.clip(state + action @ jnp.asarray(MOVES)[task.quarters], -reach, reach)
        left = jnp.sum(jnp.abs(cell - task.goal))
        paid = jnp.where(left == 0, 1.0, 0.0)
        return Step(cell, cell / reach, paid, -left / reach, jnp.zeros(()))

    def oracle_return(task):
        """Of who goes straight there: every step from the last of the way on is paid."""
        away = jnp.sum(jnp.abs(task.goal))
        return jnp.maximum(horizon - jnp.maximum(away - 1.0, 0.0), 0.0)

    def factors(task):
        turned = {"compass": jax.nn.one_hot(task.quarters, 4)} if compass else {}
        return {"mixture": task.weights, **turned}

    return Env(
        name="grid_mix",
        obs_dim=2,
        action_dim=MOVES.shape[1],
        horizon=horizon,
        sample_tasks=sample_tasks,
        reset=reset,
        observe=lambda state: state / reach,
        step=step,
        oracle_return=oracle_return,
        success=lambda t, task: t.reward != 0,
        factors=factors,
        label=lambda task: task.weights[0],
        plane=Plane(
            project=lambda obs: reach * obs[..., :2],
            goal=lambda task: task.goal,
            radius=0.5,
            units="cells",
            outline=np.concatenate([bases, bases[:1]]),
        ),
        presets={"cpu": Preset(12_000, {**_SETTINGS, "next_obs_in_context": compass})},
        discrete=True,
    )


def _turned(moves: np.ndarray, quarters: int) -> np.ndarray:
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    return moves @ np.linalg.matrix_power(quarter, quarters)


_STRAIGHT = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])

MOVES = np.stack([_turned(_STRAIGHT, quarters) for quarters in range(4)]).astype(np.float32)
"""Where each choice leads: staying, and the four sides, for each turn of the compass,
``[4, 5, 2]``."""

_SETTINGS = {
    **mixtures.SETTINGS,
    "explorer": "smooth",
    "lr_decay_start": 4_000.0,
    "lr_decay_end": 12_000.0,
    "kl_ramp_updates": 4_000.0,
}
