"""What of the ground truth is in which block of z: cross-validated R^2 of factors from beliefs."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from structlat_jax.latents import LatentSpace, block_names

_FOLDS = 10
_RIDGE = 1e-3  # of the variance of a standardised number: constant columns stay harmless


class Recovery(NamedTuple):
    """How well a factor is read off a block, each seed by itself.

    Attributes:
      linear: R^2 of the best linear map, on tasks that it was not fitted to, ``[S]``: 1 if all is
        there, 0 or less if nothing is.
      matched: R^2 of the variable of the block that is nearest to the factor as it stands, after
        the best permutation of its classes, ``[S]``; None unless both are weights of equally many
        classes.
    """

    linear: np.ndarray
    matched: np.ndarray | None


def recover(
    space: LatentSpace, beliefs: ArrayLike, factors: Mapping[str, ArrayLike]
) -> dict[str, dict[str, Recovery]]:
    """Reads every factor off every block alone.

    Args:
      space: The latent space.
      beliefs: Posterior means of z, ``[S, T, R, D]``.
      factors: By name, ``[S, T, ...]``; numbers of a factor count by their variance.

    Returns:
      By factor, then by block.

    Raises:
      ValueError: if there are fewer than three tasks.
    """
    beliefs = np.asarray(beliefs, dtype=float)
    seeds, tasks = beliefs.shape[:2]
    if tasks < 3:
        raise ValueError(f"recovery needs at least 3 tasks, not {tasks}.")
    found: dict[str, dict[str, Recovery]] = {}
    for name, values in factors.items():
        truth = np.asarray(values, dtype=float).reshape(seeds, tasks, -1)
        found[name], at = {}, 0
        for block, block_name in zip(space.blocks, block_names(space), strict=True):
            own = beliefs[..., at : at + block.dim]
            at += block.dim
            linear = [_linear(x, y) for x, y in zip(own, truth, strict=True)]
            simplex = block.kind == "simplex" and block.groups[1] == truth.shape[2]
            matched = None
            if simplex and _are_weights(truth):
                matched = np.array(
                    [_matched(x, y, block.groups) for x, y in zip(own, truth, strict=True)]
                )
            found[name][block_name] = Recovery(np.array(linear), matched)
    return found


def _linear(x: np.ndarray, y: np.ndarray) -> float:
    """Cross-validated R^2 of ``y [T, m]`` from ``x [T, R, d]`` by ridge regression. All repeats of
    a task are in the same fold."""
    tasks, repeats, _ = x.shape
    fold = np.arange(tasks) % min(_FOLDS, tasks)
    missed, spread = 0.0, 0.0
    for k in range(fold.max() + 1):
        seen, held = fold != k, fold == k
        rows = x[seen].reshape(-1, x.shape[2])
        mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-9
        design, target = (rows - mean) / scale, np.repeat(y[seen], repeats, axis=0)
        centre = target.mean(axis=0)
        gram = design.T @ design + _RIDGE * len(design) * np.eye(design.shape[1])
        weights = np.linalg.solve(gram, design.T @ (target - centre))
        predicted = centre + (x[held] - mean) / scale @ weights
        missed += np.sum((predicted - y[held][:, None]) ** 2)
        spread += repeats * np.sum((y[held] - centre) ** 2)
    return _r_squared(missed, spread)


def _matched(x: np.ndarray, y: np.ndarray, groups: tuple[int, int]) -> float:
    """R^2 of weights ``y [T, K]`` from the best variable of a block, ``x [T, R, V * K]``."""
    values = x.reshape(*x.shape[:2], *groups)
    spread = x.shape[1] * np.sum((y - y.mean(axis=0)) ** 2)
    best = -np.inf
    for variable in range(groups[0]):
        own = values[:, :, variable]
        apart = np.sum((own[..., :, None] - y[:, None, None, :]) ** 2, axis=(0, 1))
        best = max(best, _r_squared(apart[linear_sum_assignment(apart)].sum(), spread))
    return best


def _r_squared(missed: float, spread: float) -> float:
    return 1.0 - missed / spread if spread > 0 else float("nan")


def _are_weights(truth: np.ndarray) -> bool:
    return bool(np.all(truth > -1e-6) and np.allclose(truth.sum(axis=-1), 1.0, atol=1e-4))
