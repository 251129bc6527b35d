"""A search for hyper-parameters: what came of each trial, and of each value of each field."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from structlat_jax.report.figures_axes import returns_axis
from structlat_jax.report.figures_style import INK, PALETTE, styled
from structlat_jax.report.trials import Tried, best

_COLUMNS = 3
_WIDTH = 24  # letters that fit below one of the columns
_LABEL = "return, training tasks"
_FAILED = {"marker": "x", "color": PALETTE[7], "linestyle": "", "markersize": 6}


@styled
def search_history(tried: Sequence[Tried], logs: Collection[str] = ()) -> Figure:
    """The return of each trial in the order of the search and, below, against each field.

    Args:
      tried: Trials, in order; at least one has a value.
      logs: Fields whose axes are logarithmic.

    Raises:
      ValueError: if no trial has a value.
    """
    if best(tried) is None:
        raise ValueError("tried must hold a trial that has a value.")
    values = np.array([math.nan if one.value is None else one.value for one in tried])
    fields = list(tried[0].params)
    rows = -(-len(fields) // _COLUMNS)
    columns = min(_COLUMNS, len(fields))
    width = max(2, columns)
    figure = Figure(figsize=(3.4 * width, 3.2 + 2.7 * rows), layout="constrained")
    grid = figure.add_gridspec(1 + rows, columns)
    top = figure.add_subplot(grid[0, :])
    _history(top, values, best(tried).number)
    for i, name in enumerate(fields):
        ax = figure.add_subplot(grid[1 + i // columns, i % columns], sharey=top)
        _slice(ax, [one.params[name] for one in tried], values, best(tried).number)
        ax.set_xlabel(name)
        if name in logs:
            _log_axis(ax)
        if i % columns:
            ax.tick_params(labelleft=False)
        else:
            ax.set_ylabel(_LABEL)
    handles, labels = top.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _history(ax: Axes, values: np.ndarray, chosen: int) -> None:
    numbers = np.arange(values.size)
    so_far = np.fmax.accumulate(values)
    ax.step(numbers, so_far, where="post", color=INK, linewidth=1.2, label="best so far", zorder=2)
    _points(ax, numbers, values, chosen)
    returns_axis(ax, values[np.isfinite(values)])
    ax.set(xlabel="trial", ylabel=_LABEL)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _slice(ax: Axes, given: Sequence[Any], values: np.ndarray, chosen: int) -> None:
    """Returns against the values of one field; words stand side by side."""
    words = [one for one in given if isinstance(one, str | bool)]
    if not words:
        return _points(ax, np.array(given, dtype=float), values, chosen)
    names = sorted({str(one) for one in given})
    places = np.array([names.index(str(one)) for one in given], dtype=float)
    _points(ax, places, values, chosen)
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.5, len(names) - 0.5)
    if sum(map(len, names)) > _WIDTH:
        ax.tick_params(axis="x", labelrotation=20)


def _log_axis(ax: Axes) -> None:
    """Decades, and what is in the middle of them where there are few; in plain text, as all is."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 100.0 * low else (1.0, 3.0)))
    ax.xaxis.set_major_formatter(
        lambda x, _: f"{x:g}" if x >= 0.01 else f"{x:.0e}".replace("-0", "-")
    )
    ax.xaxis.set_minor_formatter(NullFormatter())


def _points(ax: Axes, x: np.ndarray, values: np.ndarray, chosen: int) -> None:
    """A disc per trial, one of its own for the best, and crosses at the bottom for the failed."""
    failed = np.isnan(values)
    ax.plot(x[~failed], values[~failed], "o", color=PALETTE[0], markersize=5, alpha=0.7)
    ax.plot(x[chosen], values[chosen], "o", color=PALETTE[5], markersize=8, label="best", zorder=4)
    if failed.any():
        at_bottom = ax.get_xaxis_transform()
        ax.plot(
            x[failed], np.full(failed.sum(), 0.03), transform=at_bottom, label="failed", **_FAILED
        )
