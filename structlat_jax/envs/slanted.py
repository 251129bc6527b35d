"""How points in space are shown in the plane of a film."""

import numpy as np

_SLANT = (0.5, 0.3)
"""How far a metre away from the viewer goes to the right and up in a picture."""


def seen(points: np.ndarray) -> np.ndarray:
    """Points ``[..., 3]`` (to the right, away from the viewer, up) as they are seen from the front,
    a little from above and from the left, ``[..., 2]``: to the right, and up."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x + _SLANT[0] * y, z + _SLANT[1] * y], axis=-1)
