"""Weights that an agent recovered against the true ones, task by task."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from structlat_jax.report.figures_marks import marks
from structlat_jax.report.figures_simplex import barycentric, corners, outline
from structlat_jax.report.figures_style import FAINT, INK, PALETTE, arrays, styled

_COLUMNS = 4
_SIDE = 3.4  # inches that a triangle is wide
_LINE = 0.2  # inches of a line of its title
_FAR = 0.6  # beyond 0 to 1: weights still further out are drawn there
_MARGIN = 0.06
_DOT = {"marker": "o", "markeredgewidth": 0.0}
_SEEN = {"color": PALETTE[1], "markersize": 4.5, "alpha": 0.75}
_UNSEEN = {"color": PALETTE[0], "markersize": 5.5, "alpha": 0.85}
_TRUTH = {"marker": "o", "color": "white", "markeredgecolor": INK, "markersize": 4}


class Recovered(NamedTuple):
    """What one agent makes of the weights of each task.

    Attributes:
      title: Stands above its panel, or beside its row.
      truth: The weights, ``[T, K]``.
      found: What is read off its belief, ``[T, K]``.
      unseen: Whether training never saw the task, ``[T]``.
    """

    title: str
    truth: ArrayLike
    found: ArrayLike
    unseen: ArrayLike


@styled
def recovered(panels: Sequence[Recovered], name: str, title: str = "", note: str = "") -> Figure:
    """Recovered weights against true ones: of two classes, the first against the first; of three,
    points on the triangle, each joined with its truth; of more, weight by weight.

    Args:
      panels: One per agent, all of equally many classes.
      name: What the weights are, for instance ``mixture``.
      title: Stands above the figure.
      note: Stands below it.

    Raises:
      ValueError: if there is no panel, if the shapes do not fit each other, or if there are fewer
        than two classes.
    """
    if not panels:
        raise ValueError("panels must hold at least one panel.")
    classes = np.shape(panels[0].truth)[-1]
    if classes < 2:
        raise ValueError(f"classes must be at least 2, not {classes}.")
    checked = [
        (one.title, *arrays(truth=(one.truth, f"T {classes}"), found=(one.found, f"T {classes}")))
        for one in panels
    ]
    made = [
        Recovered(*own, np.asarray(one.unseen, bool))
        for own, one in zip(checked, panels, strict=True)
    ]
    draw = {2: _lines, 3: _triangles}.get(classes, _rows)
    figure, ends = draw(made, name)
    points = (("recovered, test tasks", _UNSEEN), ("recovered, training tasks", _SEEN))
    handles = marks(*ends, *((text, look | _DOT) for text, look in points))
    columns = 1 if figure.get_figwidth() < 5.5 else len(handles)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, title=note or None)
    if title:
        figure.suptitle(title)
    return figure


def _lines(panels: Sequence[Recovered], name: str) -> tuple[Figure, list]:
    """The first of two weights, a panel per agent; the second is the rest."""
    figure, axes = _grid(len(panels), 3.3, 3.3, sharey=True)
    for ax, one in zip(axes, panels, strict=True):
        _against(ax, one, 0)
        ax.set_title(one.title, fontsize=11)
        ax.set_xlabel(f"true {name}, weight 1")
    axes[0].set_ylabel("recovered")
    axes[0].set_ylim(*_limits(panels))
    return figure, []


def _rows(panels: Sequence[Recovered], name: str) -> tuple[Figure, list]:
    """A row per agent, a column per weight."""
    classes = panels[0].truth.shape[1]
    size = (2.6 + 1.9 * classes, 1.5 + 1.9 * len(panels))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(panels), classes, squeeze=False, sharex=True, sharey=True)
    for row, one in zip(axes, panels, strict=True):
        for k, ax in enumerate(row):
            _against(ax, one, k)
        row[0].set_ylabel("recovered")
        row[-1].text(1.06, 0.5, one.title, transform=row[-1].transAxes, va="center", fontsize=11)
    for k, (top, bottom) in enumerate(zip(axes[0], axes[-1], strict=True)):
        top.set_title(f"weight {k + 1}", fontsize=11)
        bottom.set_xlabel(f"true {name}")
    axes[0, 0].set_ylim(*_limits(panels))
    return figure, []


def _against(ax: Axes, one: Recovered, k: int) -> None:
    """One weight against the true one."""
    ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, zorder=1)
    for these, look in _groups(one):
        ax.plot(one.truth[these, k], _near(one.found)[these, k], linestyle="", **_DOT, **look)
    ax.set(xlim=(-_MARGIN, 1 + _MARGIN), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])


def _limits(panels: Sequence[Recovered]) -> tuple[float, float]:
    """From 0 to 1, or as far as weights go beyond."""
    every = np.concatenate([[0.0, 1.0], *(_near(one.found).ravel() for one in panels)])
    return float(every.min()) - _MARGIN, float(every.max()) + _MARGIN


def _triangles(panels: Sequence[Recovered], name: str) -> tuple[Figure, list]:
    """A triangle per agent."""
    ends = [np.stack([barycentric(x) for x in (p.truth, _near(p.found))], axis=1) for p in panels]
    every = np.concatenate([1.3 * corners(3), *(one.reshape(-1, 2) for one in ends)])
    (left, low), (right, high) = every.min(axis=0) - _MARGIN, every.max(axis=0) + _MARGIN
    # Titles are within the boxes: above one that shrinks to its aspect they would be misplaced.
    lines = max(one.title.count("\n") + 1 for one in panels)
    high += (0.1 + _LINE * lines) * (right - left) / _SIDE
    figure, axes = _grid(len(panels), _SIDE, _SIDE * (high - low) / (right - left) + 0.1)
    for ax, one, own in zip(axes, panels, ends, strict=True):
        outline(ax, 3)
        for these, look in _groups(one):
            joined = LineCollection(own[these], colors=look["color"], linewidths=0.9, alpha=0.55)
            ax.add_collection(joined)
            ax.plot(*own[these, 1].T, linestyle="", zorder=3, **_DOT, **look)
        ax.plot(*own[:, 0].T, linestyle="", zorder=4, **_TRUTH)
        ax.set(xlim=(left, right), ylim=(low, high), aspect="equal")
        ax.set_axis_off()
        ax.set_title(one.title, fontsize=11, y=1.0, pad=0.0, va="top")
    return figure, [(f"true {name}", _TRUTH)]


def _groups(one: Recovered):
    """Tasks and their look, those below first."""
    return (~one.unseen, _SEEN), (one.unseen, _UNSEEN)


def _near(found: np.ndarray) -> np.ndarray:
    """Weights, drawn in to where the axes may end."""
    return np.clip(found, -_FAR, 1 + _FAR)


def _grid(count: int, width: float, height: float, sharey=False) -> tuple[Figure, list[Axes]]:
    columns = min(count, _COLUMNS)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(1.0 + width * columns, 1.3 + height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey).ravel()
    for ax in axes[count:]:
        ax.set_visible(False)
    return figure, list(axes[:count])
