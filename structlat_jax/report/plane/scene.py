"""What a moving picture draws in a plane beside the paths, as plain data."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from structlat_jax.envs.base import Plane


def about(plane: Plane) -> dict[str, Any]:
    """What all tasks share: ``outline`` (points, or None; a number that is not finite is None), the
    size of the ``disc`` around a mark (0 for none) and the ``units`` of both axes."""
    outline = None
    if plane.outline is not None:
        points = np.asarray(plane.outline, float)
        outline = [[x if np.isfinite(x) else None for x in point] for point in points.tolist()]
    return {"outline": outline, "disc": float(plane.radius), "units": plane.units}


def marks(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The place that a picture marks for each test task, ``[S, T, 2]``; None where there is none.

    Args:
      arrays: As in ``adaptation.npz``.
    """
    return arrays.get("goal_test")
