"""Axes that the figures share: returns with their floor and their oracle, numbers of episodes."""

import numpy as np
from matplotlib.axes import Axes

from structlat_jax.report.figures_style import INK

_MARGIN = 0.06  # of the range of what is drawn


def returns_axis(
    ax: Axes,
    *values: np.ndarray,
    oracle: float | None = None,
    floor: float | None = None,
    named: str = "oracle",
) -> None:
    """Lays out a y axis of returns, once its lines are drawn: its range, and what bounds them.

    Args:
      ax: The axes.
      *values: What the lines show; wide bands around them may leave the axes.
      oracle: Return of the controller that knows the task; None draws no line and no percents.
      floor: Return of the untrained policy, at which percents of the oracle begin.
      named: What the oracle's line is called.
    """
    low, high = _range(values, oracle, floor)
    ax.set_ylim(low, high)
    if oracle is not None:
        ax.axhline(oracle, color=INK, linestyle=(0, (5, 3)), linewidth=1.3, label=named, zorder=2)
    if floor is not None and low < floor < high:
        ax.axhline(
            floor, color=INK, linestyle=(0, (1, 2)), linewidth=1.3, label="untrained", zorder=2
        )
    if oracle is not None and floor is not None and oracle > floor:
        way = oracle - floor
        percent = ax.secondary_yaxis(
            "right",
            functions=(lambda r: 100.0 * (r - floor) / way, lambda p: floor + p * way / 100.0),
        )
        percent.set_ylabel("% of oracle")


def _range(
    values: tuple[np.ndarray, ...], oracle: float | None, floor: float | None
) -> tuple[float, float]:
    """From the lowest to the highest; the floor only where it does not flatten everything else."""
    every = np.concatenate([np.ravel(v) for v in (*values, [] if oracle is None else [oracle])])
    every = every[np.isfinite(every)]
    low, high = (every.min(), every.max()) if every.size else (0.0, 0.0)
    if floor is not None and low - (high - low) <= floor:
        low, high = min(low, floor), max(high, floor)
    margin = _MARGIN * (high - low) or max(1.0, 0.1 * abs(high))
    rests_on_zero = low == 0.0 and high > low
    return float(low if rests_on_zero else low - margin), float(high + margin)


def from_zero(ax: Axes) -> None:
    """Starts the y axis at zero, for what cannot be below."""
    ax.set_ylim(bottom=0.0)


def episode_ticks(episodes: int) -> list[int]:
    """Round episode numbers, counted from 1, the first one included."""
    step = max(1, 5 * round(episodes / 20)) if episodes >= 10 else 1
    return sorted({1, *range(step, episodes + 1, step)})
