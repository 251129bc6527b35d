"""What of the ground truth is in which block of z: cross-validated R^2 of factors from beliefs."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from structlat_jax.latents import LatentSpace, block_names
from structlat_jax.report.finished_run import factors_of
from structlat_jax.report.parts import SIMPLEX

LEAST_TASKS = 3
_FOLDS = 10
_RIDGE = 1e-3  # of the variance of a standardised number: constant columns stay harmless


class Recovery(NamedTuple):
    """How well a factor of ``m`` numbers is read off a block, each seed by itself.

    Attributes:
      linear: R^2 of the best linear map, on tasks that it was not fitted to, ``[S]``: 1 if all is
        there, 0 or less if nothing is.
      predicted: What that map says, ``[S, T, R, m]``.
      matched: R^2 of the variable of the block that is nearest to the factor as it stands, after
        the best permutation of its classes, ``[S]``; None unless both are weights of equally many
        classes.
      weights: That variable, its classes in the factor's order, ``[S, T, R, m]``, or None.
    """

    linear: np.ndarray
    predicted: np.ndarray
    matched: np.ndarray | None
    weights: np.ndarray | None


def of_evaluation(
    space: LatentSpace, arrays: Mapping[str, np.ndarray], finite: np.ndarray
) -> dict[str, dict[str, Recovery]]:
    """`recover` from the last beliefs of an evaluation, on training tasks then test tasks.

    Args:
      space: The latent space.
      arrays: As in ``adaptation.npz``.
      finite: Which seeds count, ``[S]``.

    Returns:
      Nothing where the environment knows no factors or the agent no z, or where there is no seed
      or too few tasks.
    """
    beliefs = of_all_tasks(arrays, "belief")[finite][..., -1, :]
    names = factors_of(arrays, "test")
    if not names or not space.blocks or not len(beliefs) or beliefs.shape[1] < LEAST_TASKS:
        return {}
    factors = {name: of_all_tasks(arrays, f"factor_{name}")[finite] for name in names}
    return recover(space, beliefs, factors)


def of_all_tasks(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """An array ``[S, T, ...]`` of ``adaptation.npz`` on training tasks, then test tasks."""
    return np.concatenate([arrays[f"{name}_{kind}"] for kind in ("train", "test")], axis=1)


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
    if tasks < LEAST_TASKS:
        raise ValueError(f"recovery needs at least {LEAST_TASKS} tasks, not {tasks}.")
    found: dict[str, dict[str, Recovery]] = {}
    for name, values in factors.items():
        truth = np.asarray(values, dtype=float).reshape(seeds, tasks, -1)
        found[name], at = {}, 0
        for block, block_name in zip(space.blocks, block_names(space), strict=True):
            own = beliefs[..., at : at + block.dim]
            at += block.dim
            linear = _over_seeds(_linear, own, truth)
            simplex = block.kind == SIMPLEX and block.groups[1] == truth.shape[2]
            matched = (None, None)
            if simplex and are_weights(truth):
                matched = _over_seeds(partial(_matched, groups=block.groups), own, truth)
            found[name][block_name] = Recovery(*linear, *matched)
    return found


def are_weights(truth: np.ndarray) -> bool:
    """Whether the numbers ``[..., m]`` of a factor are weights that add up to one."""
    return bool(np.all(truth > -1e-6) and np.allclose(truth.sum(axis=-1), 1.0, atol=1e-4))


Reader = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


def _over_seeds(read: Reader, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    each = [read(one, other) for one, other in zip(x, y, strict=True)]
    return np.array([score for score, _ in each]), np.stack([says for _, says in each])


def _linear(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Cross-validated R^2 of ``y [T, m]`` from ``x [T, R, d]`` by ridge regression, and what that
    predicts, ``[T, R, m]``. All repeats of a task are in the same fold."""
    tasks, repeats, _ = x.shape
    fold = np.arange(tasks) % min(_FOLDS, tasks)
    predicted, spread = np.empty((tasks, repeats, y.shape[1])), 0.0
    for k in range(fold.max() + 1):
        seen, held = fold != k, fold == k
        rows = x[seen].reshape(-1, x.shape[2])
        mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-9
        design, target = (rows - mean) / scale, np.repeat(y[seen], repeats, axis=0)
        centre = target.mean(axis=0)
        gram = design.T @ design + _RIDGE * len(design) * np.eye(design.shape[1])
        weights = np.linalg.solve(gram, design.T @ (target - centre))
        predicted[held] = centre + (x[held] - mean) / scale @ weights
        spread += repeats * np.sum((y[held] - centre) ** 2)
    return _r_squared(np.sum((predicted - y[:, None]) ** 2), spread), predicted


def _matched(x: np.ndarray, y: np.ndarray, groups: tuple[int, int]) -> tuple[float, np.ndarray]:
    """R^2 of weights ``y [T, K]`` from the best variable of a block, ``x [T, R, V * K]``, and that
    variable with its classes in the order of ``y``, ``[T, R, K]``."""
    values = x.reshape(*x.shape[:2], *groups)
    spread = x.shape[1] * np.sum((y - y.mean(axis=0)) ** 2)
    each = [_ordered(values[:, :, variable], y) for variable in range(groups[0])]
    missed, best = min(each, key=lambda one: one[0])
    return _r_squared(missed, spread), best


def _ordered(own: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """The summed squares by which ``own [T, R, K]`` misses ``y [T, K]`` after the best permutation
    of its classes, and itself in that order."""
    apart = np.sum((own[..., :, None] - y[:, None, None, :]) ** 2, axis=(0, 1))
    pairs = linear_sum_assignment(apart)
    return apart[pairs].sum(), own[..., np.argsort(pairs[1])]


def _r_squared(missed: float, spread: float) -> float:
    return 1.0 - missed / spread if spread > 0 else float("nan")
