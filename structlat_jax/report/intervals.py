"""Statistics over seeds, as pure functions on arrays ``[S]``: one number per seed.

Nothing here is random: the bootstrap has its own generator, started afresh at every call. What
one seed cannot tell is None.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

LEVEL = 0.95
"""Confidence level of every interval."""

SIGNIFICANCE = 0.05
POWER = 0.8
RESAMPLES = 10_000
_GENERATOR_SEED = 20_200_523
_EXACT_BELOW = 200  # above, the expansion is right to the seed

Interval = list[float] | None


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean of what is left without the lowest and the highest quarter, ``[..., S]`` to ``[...]``.

    A quarter is rounded down to whole seeds: of ten, two go at each end; of three, none.

    References:
      Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice".
    """
    return stats.trim_mean(values, 0.25, axis=axis)


def bootstrap_interval(
    values: np.ndarray, statistic: Callable[..., np.ndarray] = np.mean
) -> Interval:
    """Percentile bootstrap interval over seeds.

    Percentiles, because the corrected intervals (BCa) are undefined where seeds agree. With few
    seeds the interval is too narrow; where all seeds are equal it has no width.

    Args:
      values: ``[S]``, finite.
      statistic: A function of ``(values [..., S], axis)``.

    Returns:
      The lower and the upper end, or None for a single seed.
    """
    if len(values) < 2:
        return None
    found = stats.bootstrap(
        (np.asarray(values, dtype=float),),
        statistic,
        n_resamples=RESAMPLES,
        vectorized=True,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(_GENERATOR_SEED),
    )
    return [float(end) for end in found.confidence_interval]


def student_interval(values: np.ndarray) -> Interval:
    """Student's interval of the mean of ``[S]``, or None for a single seed.

    The values that it leaves out are those that a two-sided t-test rejects.
    """
    count = len(values)
    if count < 2:
        return None
    half = stats.t.ppf((1 + LEVEL) / 2, count - 1) * np.std(values, ddof=1) / count**0.5
    return [float(np.mean(values) - half), float(np.mean(values) + half)]


def paired_wins(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """1 for each seed in which ours is higher, 0 where it is lower, 1/2 for a tie.

    Args:
      ours, theirs: ``[S]``, the same seeds in the same order.

    Returns:
      ``[S]``; the mean is the probability that ours beats theirs on the same seed.
    """
    return (1.0 + np.sign(np.asarray(ours) - np.asarray(theirs))) / 2.0


def excludes_zero(interval: Interval) -> bool:
    """Whether 0 lies outside of an interval; what is None excludes nothing."""
    return interval is not None and not interval[0] <= 0.0 <= interval[1]


def seeds_needed(differences: np.ndarray) -> int | None:
    """How many pairs a paired t-test needs to see a difference like the one at hand.

    Two-sided at 5 %, with 80 % power, taking the mean and the standard deviation of
    ``differences [S]`` as the true ones. A rough guide: both come from few seeds.

    Returns:
      The least number of seeds, or None if the data give no answer: a single seed, no spread, or
      a mean of exactly 0.

    References:
      Guenther 1981, "Sample size formulas for normal theory t tests", for the first guess.
    """
    if len(differences) < 2:
        return None
    mean, std = np.mean(differences), np.std(differences, ddof=1)
    if mean == 0 or std <= 1e-12 * abs(mean):
        return None
    effect = abs(mean) / std
    normal = stats.norm.ppf(1 - SIGNIFICANCE / 2), stats.norm.ppf(POWER)
    guess = int(np.ceil((sum(normal) / effect) ** 2 + normal[0] ** 2 / 2))
    if guess >= _EXACT_BELOW:
        return guess
    counts = np.arange(2, guess + 10)
    return int(counts[np.argmax(paired_power(effect, counts) >= POWER)])


def paired_power(effect: float, counts: np.ndarray) -> np.ndarray:
    """Power of the two-sided paired t-test at 5 %.

    Args:
      effect: Mean of the differences over their standard deviation.
      counts: Numbers of pairs ``[...]``, at least 2.

    Returns:
      The probability of a significant result, ``[...]``.
    """
    degrees = np.asarray(counts) - 1
    critical = stats.f.ppf(1 - SIGNIFICANCE, 1, degrees)
    # The square of t, whose two sides are one. Unlike nct, ncf is exact for large effects; at a
    # noncentrality of exactly 0 scipy's is wrong, and next to it right.
    return stats.ncf.sf(critical, 1, degrees, np.maximum(effect**2 * np.asarray(counts), 1e-9))
