"""Whose doing is it? Shares of the variance of a function's value, by groups of its inputs."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Shares(NamedTuple):
    """Sobol indices of groups of inputs, for a value of several numbers.

    Attributes:
      first_order: Share of the variance that a group explains alone, ``[G]``.
      total: Share that it explains alone and together with others, ``[G]``.
      error: Standard error of ``first_order``, from the number of draws, ``[G]``.
    """

    first_order: np.ndarray
    total: np.ndarray
    error: np.ndarray


def shares_of_variance(
    value: Callable[[np.ndarray], np.ndarray],
    one: np.ndarray,
    other: np.ndarray,
    groups: Sequence[slice],
) -> Shares:
    """Pick-freeze estimates of the Sobol indices.

    The variance of a value of C numbers is the sum of theirs, the trace of its covariance.

    Args:
      value: Inputs ``[N, D]`` to values ``[N, C]``.
      one, other: Independent draws of the inputs, ``[N, D]``; the groups must be independent.
      groups: Which columns make a group, one slice each.

    Returns:
      The shares, NaN where the value does not vary.

    Raises:
      ValueError: if the draws differ in shape or are fewer than two.

    References:
      Janon et al. 2014, "Asymptotic normality and efficiency of two Sobol index estimators", for
      ``first_order``; Jansen 1999, "Analysis of variance designs for model output", for ``total``;
      Gamboa et al. 2014, "Sensitivity analysis for multidimensional and functional outputs".
    """
    if one.ndim != 2 or one.shape != other.shape or len(one) < 2:
        raise ValueError(
            f"one and other must both be [N, D] with N of at least 2, not {list(one.shape)} and "
            f"{list(other.shape)}."
        )
    of_one, of_other = (np.asarray(value(x), dtype=float) for x in (one, other))
    variance = np.concatenate([of_one, of_other]).var(axis=0).sum()
    if not variance > 0:
        return Shares(*np.full((3, len(groups)), np.nan))
    rows = []
    for group in groups:
        mixed = one.copy()
        mixed[:, group] = other[:, group]
        of_mixed = np.asarray(value(mixed), dtype=float)
        # Two values that share nothing but the group are alike as far as it decides alone; two
        # that share all but the group differ by what it has a part in.
        changed = np.sum((of_one - of_mixed) ** 2, axis=1).mean() / (2.0 * variance)
        rows.append((*_likeness(of_other, of_mixed), changed))
    first, error, total = np.array(rows).T
    return Shares(first, total, error)


def _likeness(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Covariance over variance of two values ``[N, C]`` of one distribution, and its error."""
    centre = (a.mean(axis=0) + b.mean(axis=0)) / 2.0
    a, b = a - centre, b - centre
    both, each = np.sum(a * b, axis=1), np.sum(a**2 + b**2, axis=1) / 2.0
    share = both.mean() / each.mean()
    return share, np.std(both - share * each) / each.mean() / len(a) ** 0.5
