"""Places that are spread evenly on the unit sphere."""

import functools

import numpy as np
from jaxtyping import Float

_STEPS = 2000
_STEP_SIZE = 0.05


@functools.lru_cache(maxsize=32)
def on_sphere(count: int, dimensions: int) -> Float[np.ndarray, "{count} {dimensions}"]:
    """Places ``[count, dimensions]`` of length 1.

    A regular polygon in the plane, from the positive first axis on; a regular simplex where there
    are at most one more than dimensions; otherwise those that repel each other the least (Thomson
    1904, with the energy 1 / distance), found by descent from fixed random ones: the corners of an
    octahedron for 6 in space.

    Raises:
      ValueError: if there are more than two on a line, which has no more.
    """
    if dimensions == 1 and count > 2:
        raise ValueError(f"anchors on a line are two at most, not {count}.")
    if dimensions == 2:
        angle = 2.0 * np.pi * np.arange(count) / count
        places = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    elif count <= dimensions + 1:
        places = _simplex(count, dimensions)
    else:
        places = _repelled(count, dimensions)
    places.setflags(write=False)
    return places


def _simplex(count: int, dimensions: int) -> Float[np.ndarray, "{count} {dimensions}"]:
    """Corners of a regular simplex in the first ``count - 1`` axes."""
    centred = np.eye(count) - 1.0 / count
    # Coordinates in the plane of the corners; the sign is fixed, since a decomposition's is not.
    axes = np.linalg.qr(centred[:, : count - 1])[0]
    places = np.zeros((count, dimensions))
    places[:, : count - 1] = centred @ (axes * np.sign(np.diag(axes)))
    return places / np.linalg.norm(places, axis=1, keepdims=True)


def _repelled(count: int, dimensions: int) -> Float[np.ndarray, "{count} {dimensions}"]:
    places = np.random.default_rng(0).normal(size=(count, dimensions))
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    for step in range(_STEPS):
        away = places[:, None] - places[None]
        distance = np.linalg.norm(away, axis=-1) + np.eye(count)
        force = np.sum(away / distance[..., None] ** 3, axis=1)
        places = places + _STEP_SIZE * (1.0 - step / _STEPS) * force / count
        places /= np.linalg.norm(places, axis=1, keepdims=True)
    return places
