"""Points on the simplex: what the agent believes, as it learns more.

Up to three classes have a picture without loss, a line or a triangle. Of more, a polygon would put
several mixtures in one place, so that they are bars.
"""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from structlat_jax.report.figures_marks import (
    VIRIDIS,
    apart,
    marks,
    numbered_disc,
    spread,
)
from structlat_jax.report.figures_style import FAINT, INK, PRIOR_LINE, arrays, colours, styled

_LABEL = matplotlib.colormaps["coolwarm"]
_COLUMNS = 4
_MOST_TASKS = 20
_FLAT = 3  # classes that a place in the plane tells apart
_SQUARE = {"marker": "s", "markersize": 9, "markeredgewidth": 0}
_MARGIN = 0.3  # the corners lie at distance 1 from the centre
_DISC = 0.15  # the diameter of a task's disc, in the same units


def corners(classes: int) -> np.ndarray:
    """Where the classes stand, ``[K, 2]``: a regular polygon on a flat base, each at distance 1
    from the centre; two make a line.

    Raises:
      ValueError: if there are fewer than two.
    """
    if classes < 2:
        raise ValueError(f"classes must be at least 2, not {classes}.")
    first = math.pi / 2 + (math.pi / classes if classes % 2 == 0 else 0.0)
    turn = first - 2 * math.pi * np.arange(classes) / classes
    return np.stack([np.cos(turn), np.sin(turn)], axis=-1)


def barycentric(weights: np.ndarray) -> np.ndarray:
    """Weights ``[..., K]`` to the weighted mean of the corners, ``[..., 2]``.

    From four classes on different weights may meet in one point: the simplex has K - 1 dimensions.
    """
    return weights @ corners(weights.shape[-1])


@styled
def simplex(
    names: Sequence[str],
    beliefs: Sequence[ArrayLike],
    label: ArrayLike,
    label_name: str = "",
    title: str = "",
) -> Figure:
    """Posterior mean of each variable on its simplex.

    Up to three classes: one path per task, coloured by the episodes of context; its end is numbered
    by the task and coloured by the task's label. More of them: the belief at the end, a bar per
    task, sorted by label, with a layer per class; dashed lines are where the layers of the prior
    meet.

    Args:
      names: One per variable, the titles of the panels.
      beliefs: Weights given 0, 1, ... episodes, ``[T, E, K]`` per variable; K may differ.
      label: A number of each task, ``[T]``.
      label_name: What it is; empty if the label only counts the tasks.
      title: Stands above the figure.

    Of many tasks, those are drawn whose labels are spread evenly.

    Raises:
      ValueError: if the shapes do not fit each other, if there is no variable, or if one has a
        single class.
    """
    if not names or len(names) != len(beliefs):
        raise ValueError(f"beliefs must hold one array per name ({len(names)}), and at least one.")
    drawn = [arrays(label=(label, "T"), belief=(belief, "T E K")) for belief in beliefs]
    number, first = drawn[0]
    shown = spread(number, _MOST_TASKS)
    columns = min(len(names), _COLUMNS)
    rows = math.ceil(len(names) / columns)
    context = ScalarMappable(Normalize(0, max(first.shape[1] - 1, 1)), VIRIDIS)
    tint = ScalarMappable(_span(number), _LABEL)
    fill = tint.to_rgba(number) if label_name else np.ones((number.size, 4))

    figure = Figure(figsize=(2.7 + 3.5 * columns, 1.1 + 3.6 * rows), layout="compressed")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    order = shown[np.argsort(-number[shown] if label_name else number[shown], kind="stable")]
    for ax, name, (_, belief) in zip(axes.flat, names, drawn, strict=False):
        if belief.shape[-1] > _FLAT:
            _layers(ax, belief[order], [str(task + 1) for task in order], name is names[0])
        else:
            outline(ax, belief.shape[-1])
            _walks(ax, barycentric(belief), shown, context, fill)
        ax.set_title(name)
    walked = any(belief.shape[-1] <= _FLAT for _, belief in drawn)
    stacked = max((n for _, belief in drawn if (n := belief.shape[-1]) > _FLAT), default=0)
    bars = {f"{label_name} of the task": tint} if label_name else {}
    for text, scale in {**bars, "episodes of context": context}.items() if walked else ():
        bar = figure.colorbar(scale, ax=axes, label=text, shrink=0.85, aspect=25, pad=0.02)
        bar.outline.set_visible(False)
        if scale is context:
            bar.locator = MaxNLocator(integer=True, nbins=6)
    numbered = {"marker": "o", "markersize": 10.5, "color": "white", "markeredgecolor": INK}
    entry = [("belief at the end, with the number of the task", numbered)] if walked else []
    layers = [(f"class {k + 1}", {**_SQUARE, "color": c}) for k, c in enumerate(colours(stacked))]
    notes = ["a place is the mean of the corners, weighted by the belief"] if walked else []
    if stacked:
        sorted_by = f", by {label_name}" if label_name else ""
        notes.append(f"bars: belief at the end, a task each{sorted_by}; dashed: the prior")
    if len(shown) < number.size:
        notes.append(f"{len(shown)} of {number.size} tasks")
    figure.legend(
        handles=marks(*entry, *layers),
        loc="outside lower center",
        ncols=1 if walked else min(stacked, 6),
        title="\n".join(notes),
    )
    if title:
        figure.suptitle(title)
    return figure


def _span(number: np.ndarray) -> Normalize:
    """From 0 to 1 for what may be a weight, else from the least to the greatest."""
    low, high = float(number.min()), float(number.max())
    if low >= 0.0 and high <= 1.0:
        return Normalize(0.0, 1.0)
    return Normalize(low, high if high > low else low + 1.0)


def outline(ax: Axes, classes: int) -> None:
    """The outline of the simplex, with its corners named."""
    at = corners(classes)
    ax.plot(*np.concatenate([at, at[:1]]).T, color=FAINT, linewidth=1.2, zorder=1)
    ax.plot(0.0, 0.0, marker="+", color=INK, markersize=7, markeredgewidth=1.0, zorder=2)
    for k, corner in enumerate(at):
        ax.text(*(1.17 * corner), f"{k + 1}", ha="center", va="center", fontsize=12, color=INK)
    low, high = at.min(axis=0) - _MARGIN, at.max(axis=0) + _MARGIN
    if classes == 2:  # room for the discs beside the line
        low[1], high[1] = low[0] / 2, high[0] / 2
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")


def _layers(ax: Axes, belief: np.ndarray, tasks: list[str], first: bool) -> None:
    """Draws ``[T, E, K]``: a bar per task, from the top down."""
    ax.set_axis_on()
    rows = np.arange(len(tasks))
    ends = np.cumsum(belief[:, -1], axis=-1)
    for k, colour in enumerate(colours(belief.shape[-1])):
        weight = belief[:, -1, k]
        ax.barh(rows, weight, left=ends[:, k] - weight, color=colour, height=0.8)
    for edge in np.cumsum(belief[:, 0].mean(axis=0))[:-1]:
        ax.axvline(edge, **PRIOR_LINE)
    ax.set(xlim=(0, 1), xticks=[0, 0.5, 1], yticks=rows, yticklabels=tasks, xlabel="weight")
    ax.invert_yaxis()
    ax.set_ylabel("task" if first else "")


def _walks(
    ax: Axes, walks: np.ndarray, shown: np.ndarray, context: ScalarMappable, fill: np.ndarray
) -> None:
    """Draws those of ``[T, E, 2]`` that are ``shown``; a step has the colour of the context that it
    ends with, and the disc at its end one of ``fill [T, 4]``."""
    own = walks[shown]
    steps = np.stack([own[:, :-1], own[:, 1:]], axis=2).reshape(-1, 2, 2)
    colour = context.to_rgba(np.tile(np.arange(1, own.shape[1]), len(shown)))
    ax.add_collection(LineCollection(steps, colors=colour, linewidths=1.4, alpha=0.8, zorder=3))
    for task, place in zip(shown, apart(own[:, -1], _DISC, inward=True), strict=True):
        numbered_disc(ax, walks[task, -1], place, task + 1, fill[task])
