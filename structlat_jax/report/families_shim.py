"""Stands in for `latents.Block.kind`, ``discrete``, ``rest`` and ``traversal`` until they exist."""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np

_NUMBERS = np.linspace(-2.0, 2.0, 17)[:, None]
_STEPS = 8  # of a traversal from one class to another
_ALL_PAIRS = 6  # with more classes, only neighbours are mixed


def described(block: Any) -> Any:
    """The block itself if it describes its variables, else what it would say."""
    if hasattr(block, "kind"):
        return block
    size = block.groups[1]
    if block.family == "gau":
        return SimpleNamespace(kind="real", discrete=False, rest=np.zeros(1), traversal=_NUMBERS)
    if block.family == "cat":
        eye = np.eye(size)
        return SimpleNamespace(kind="simplex", discrete=True, rest=eye[0], traversal=eye)
    even = np.full(size, 1.0 / size)
    return SimpleNamespace(kind="simplex", discrete=False, rest=even, traversal=_mixtures(size))


def _mixtures(classes: int) -> np.ndarray:
    """Every class alone, and what lies between two of them: weights ``[N, K]``."""
    corners = np.eye(classes)
    pairs = list(itertools.combinations(range(classes), 2))
    if classes > _ALL_PAIRS:
        pairs = [(k, (k + 1) % classes) for k in range(classes)]
    step = np.linspace(0.0, 1.0, _STEPS + 1)[1:-1, None]
    between = [(1.0 - step) * corners[i] + step * corners[j] for i, j in pairs]
    return np.concatenate([corners, *between])
