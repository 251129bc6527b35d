"""How many tasks are reached before anything is known of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from structlat_jax.report.figures_style import SEEDS_FOR_BAND, arrays, colours, interval, styled

_APART = 0.5  # of an episode, for the marks of all latents side by side


class Coverage(NamedTuple):
    """How an agent's prior covers the tasks.

    Attributes:
      label: Stands in the legend, for instance the latent spec.
      reached: Share of tasks with a success in one of the first 1, 2, ... episodes, ``[S, P]``.
    """

    label: str
    reached: ArrayLike


@styled
def prior_coverage(agents: Sequence[Coverage], title: str = "") -> Figure:
    """Share of test tasks that prior episodes reach, against how many there were.

    A line is the mean over seeds and its bars their 95 % t-interval; agents of two seeds show both
    seeds instead.

    Args:
      agents: At least one.
      title: Stands above the figure.

    Raises:
      ValueError: if there is no agent, or if the shapes do not fit each other.
    """
    if not agents:
        raise ValueError("agents must hold at least one agent.")
    figure = Figure(figsize=(6.8, 4.4 + 0.22 * ((len(agents) + 1) // 2)), layout="constrained")
    ax = figure.subplots()
    offsets = _APART * (np.arange(len(agents)) - (len(agents) - 1) / 2) / len(agents)
    most, seeds = 0, 0
    for one, colour, offset in zip(agents, colours(len(agents)), offsets, strict=True):
        (reached,) = arrays(reached=(one.reached, "S P"))
        _marks(ax, np.arange(1, reached.shape[1] + 1) + offset, reached, colour, one.label)
        most, seeds = max(most, reached.shape[1]), max(seeds, reached.shape[0])
    ax.set(xlim=(0.5, most + 0.5), xticks=range(1, most + 1), ylim=(-0.02, 1.02))
    ax.set(xlabel="episodes with z from the prior", ylabel="test tasks reached")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, title=_note(seeds))
    if title:
        figure.suptitle(title)
    return figure


def _marks(ax: Axes, x: np.ndarray, reached: np.ndarray, colour, label: str) -> None:
    """Draws ``[S, P]``."""
    mean, half = interval(reached)
    band = len(reached) >= SEEDS_FOR_BAND
    if not band and len(reached) > 1:
        ax.plot(x, reached.T, linestyle="", marker="_", markersize=9, color=colour)
    bars = np.where(np.isfinite(half) & band, half, 0.0)
    ends = np.stack([mean - np.clip(mean - bars, 0, 1), np.clip(mean + bars, 0, 1) - mean])
    ax.errorbar(
        *(x, mean, ends if band else None),
        color=colour,
        marker="o",
        markersize=5,
        linewidth=1.4,
        elinewidth=1.4,
        label=label,
    )


def _note(seeds: int) -> str:
    if seeds == 1:
        return "one seed"
    bars = "bars: its 95% t-interval" if seeds >= SEEDS_FOR_BAND else "dashes: each seed"
    return f"dot: mean over seeds ({seeds}); {bars}"
