"""What each part of z does: paths while one variable is traversed and the others stand still."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from structlat_jax.envs.base import Plane
from structlat_jax.report.figures_marks import VIRIDIS, apart, marks, numbered_disc
from structlat_jax.report.figures_style import arrays, colours, styled
from structlat_jax.report.plane.map import START, ground, limits, map_grid, starts_of, tallness

_COLUMNS = 3
_WIDE = 3.4  # inches
_DISC = 0.05  # between the discs at the ends, as a share of the map's width
_VALUES = matplotlib.colormaps["coolwarm"]


class Traversal(NamedTuple):
    """The paths of one traversal.

    Attributes:
      title: Stands above the panel; names the variable.
      values: What the variable was: ``[N]`` for a number, ``[N, K]`` for weights of classes, which
        add up to one, None for values of several numbers each, in order.
      paths: Places, ``[N, P, 2]``.
    """

    title: str
    values: ArrayLike | None
    paths: ArrayLike


@styled
def draw(traversals: Sequence[Traversal], plane: Plane, title: str = "") -> Figure:
    """Paths while one variable is traversed and all others stand still, one map per variable.

    Weights have the colours of their classes, mixed as the weights say; paths of a single class
    are thick and end in a disc with its number.

    Args:
      traversals: One per variable.
      plane: Of the environment.
      title: Stands above the figure.

    Raises:
      ValueError: if there is no traversal or a shape does not fit.
    """
    if not traversals:
        raise ValueError("traversals must hold at least one traversal.")
    drawn = [_arrays(one) for one in traversals]
    numbers = [values for _, values in drawn if np.ndim(values) == 1]
    box = limits(plane, *(paths for paths, _ in drawn))
    disc = _DISC * (box[0][1] - box[0][0])
    placed = [_discs(*one, disc)[1] for one in drawn]
    if any(map(len, placed)):  # with all of each disc, which are set apart from each other
        around = [place + step for place in placed for step in (-disc, disc)]
        box = limits(plane, *(paths for paths, _ in drawn), *around)
    columns = 2 if len(traversals) == 4 else min(len(traversals), _COLUMNS)
    rows = math.ceil(len(traversals) / columns)
    tall, extra = _WIDE * tallness(box), 0.4 if columns == 1 else 0.0  # for a taller legend
    figure = Figure(
        figsize=(
            1.0 + _WIDE * columns + (0.8 if numbers else 0.0),
            1.3 + (tall + 0.5) * rows + extra,
        ),
        layout="compressed",
    )
    axes = map_grid(figure, len(traversals), columns, plane)
    reach = max((np.abs(values).max() for values in numbers), default=1.0)
    scale = ScalarMappable(Normalize(-reach, reach), _VALUES)
    for ax, one, (paths, values) in zip(axes.flat, traversals, drawn, strict=False):
        ground(ax, plane, box, starts_of(paths))
        if values is None:
            _paths(ax, paths, VIRIDIS(np.linspace(0.0, 0.93, len(paths))))
        elif values.ndim == 2:
            _mixtures(ax, paths, values, disc)
        else:
            _paths(ax, paths, scale.to_rgba(values))
        ax.set_title(one.title, fontsize=11)
    if numbers:
        bar = figure.colorbar(scale, ax=axes, label="value of the number", shrink=0.8, aspect=25)
        bar.outline.set_visible(False)
    classes = [values.shape[1] for _, values in drawn if np.ndim(values) == 2]
    _legend(figure, classes, any(values is None for _, values in drawn))
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def _arrays(one: Traversal) -> tuple[np.ndarray, np.ndarray | None]:
    if one.values is None:
        return arrays(paths=(one.paths, "N P 2"))[0], None
    axes = "N K" if np.ndim(one.values) == 2 else "N"
    paths, values = arrays(paths=(one.paths, "N P 2"), values=(one.values, axes))
    return paths, values


def blend(weights: np.ndarray) -> np.ndarray:
    """Weights ``[..., K]`` to colours ``[..., 3]``: the classes' colours, mixed."""
    shares = weights / np.sum(weights, axis=-1, keepdims=True)
    mixed = shares @ np.array([to_rgb(c) for c in colours(weights.shape[-1])])
    return np.clip(mixed, 0.0, 1.0)


def _paths(ax: Axes, paths: np.ndarray, colour: np.ndarray, width: float = 1.3) -> None:
    ax.add_collection(LineCollection(list(paths), colors=colour, linewidths=width, zorder=3))
    ax.scatter(*paths[:, -1].T, c=colour, s=10 * width, zorder=4, linewidths=0)


def _mixtures(ax: Axes, paths: np.ndarray, weights: np.ndarray, disc: float) -> None:
    """Paths of mixtures thin, those of a single class thick, with a disc at their end, at least
    ``disc`` from every other."""
    pure = weights.max(axis=1) > 1.0 - 1e-6
    tint = blend(weights)
    if not pure.all():
        _paths(ax, paths[~pure], tint[~pure], 0.9)
    for path, colour in zip(paths[pure], tint[pure], strict=True):
        ax.plot(*path.T, color=colour, linewidth=2.6, zorder=4)
    numbers = weights[pure].argmax(axis=1) + 1
    for end, place, number, colour in zip(
        *_discs(paths, weights, disc), numbers, tint[pure], strict=True
    ):
        numbered_disc(ax, end, place, number, colour)


def _discs(
    paths: np.ndarray, weights: np.ndarray | None, disc: float
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the paths of single classes, and where their discs are, ``[N, 2]`` each."""
    if np.ndim(weights) != 2:
        return np.empty((0, 2)), np.empty((0, 2))
    ends = paths[weights.max(axis=1) > 1.0 - 1e-6, -1]
    return ends, apart(ends, disc, inward=False)


def _legend(figure: Figure, classes: list[int], lists: bool) -> None:
    shown = []
    if classes:
        shown = [
            (f"class {k + 1} alone", {"color": c, "linestyle": "-", "linewidth": 2.6})
            for k, c in enumerate(colours(max(classes)))
        ]
    if lists:
        shown.append(("first to last value", {"color": VIRIDIS(0.5), "linestyle": "-"}))
    handles = marks(*shown, START)
    columns = min(len(handles), max(2, int(figure.get_figwidth() / 1.65)))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
