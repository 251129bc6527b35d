"""What distance costs: test goals that no training goal is near."""

from typing import Any

import numpy as np

from structlat_jax.envs.base import Plane
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.links import percent

NOTE = (
    "Far: goals farther from every training goal than the radius of the reward; near: all others."
)


def near_and_far(run: RunFiles, plane: Plane | None) -> dict[str, Any]:
    """How well near and far test goals go.

    Returns:
      ``far_share``: share of tasks whose goal lies farther than the reward's radius from every
      training goal; with an oracle ``near_percent`` and ``far_percent``: return of the last
      episode on the other tasks and on those, in % of the oracle's, None if there are none.
      Empty without goals or without a radius.
    """
    far = None if plane is None else _far(run, plane)
    if far is None:
        return {}
    found = {"far_share": float(far.mean())}
    if run.oracle() is None:
        return found
    where = np.broadcast_to(far[..., None], run.returns().shape[:-1])
    return {
        **found,
        "near_percent": percent(run, ~where),
        "far_percent": percent(run, where),
    }


def _far(run: RunFiles, plane: Plane) -> np.ndarray | None:
    """Which test goals no training goal is near, ``[S, T]``."""
    test, train = (run.arrays.get(f"goal_{kind}") for kind in ("test", "train"))
    if test is None or train is None or not plane.radius:
        return None
    distance = np.linalg.norm(test[:, :, None] - train[:, None], axis=-1)
    return distance.min(axis=-1) > plane.radius
