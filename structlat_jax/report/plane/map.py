"""The map of a plane, which several figures share: outline, goals, starts, ranges, legend."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MultipleLocator

from structlat_jax.envs.base import Plane
from structlat_jax.report.figures_marks import VIRIDIS, marks
from structlat_jax.report.figures_style import FAINT, INK

Box = tuple[tuple[float, float], tuple[float, float]]
GOAL = "#0B2A6F"
START = ("start", {"marker": "+", "color": INK, "markersize": 9, "markeredgewidth": 1.4})
RING = {
    "marker": "o",
    "markersize": 9,
    "markerfacecolor": "none",
    "color": GOAL,
    "linestyle": "",
    "markeredgewidth": 1.5,
}
PATH = ("path (colour: final direction)", {"color": VIRIDIS(0.5), "linestyle": "-"})

_MARGIN = 0.04  # of the larger side of what a map shows
_LEAST_TALL, _MOST_TALL = 0.4, 2.0  # height over width
_NONE = np.empty((0, 2))


def angles(points: np.ndarray) -> np.ndarray:
    """Directions of ``[..., 2]`` in degrees, in [-90, 270): rounding cannot make 180 into -180."""
    degrees = np.degrees(np.arctan2(points[..., 1], points[..., 0]))
    return np.mod(np.round(degrees, 3) + 90.0, 360.0) - 90.0


def starts_of(paths: np.ndarray) -> np.ndarray:
    """Where paths ``[..., P, 2]`` begin, each place once: ``[K, 2]``."""
    first = paths[..., 0, :].reshape(-1, 2)
    return np.unique(first[np.isfinite(first).all(axis=1)].round(6), axis=0)


def limits(plane: Plane, *points: np.ndarray) -> Box:
    """The x and y range of a map that holds the outline, all points ``[..., 2]`` and the discs
    around them, and is neither too flat nor too narrow to be drawn."""
    every = np.concatenate([_outline(plane), *(p.reshape(-1, 2) for p in points)])
    every = every[np.isfinite(every).all(axis=1)]
    every = every if len(every) else np.zeros((1, 2))
    low, high = every.min(axis=0), every.max(axis=0)
    margin = plane.radius + _MARGIN * max(high - low)
    low, high = low - (margin or 1.0), high + (margin or 1.0)
    wide, tall = high - low
    short = np.array([tall / _MOST_TALL - wide, _LEAST_TALL * wide - tall])
    spare = np.maximum(short, 0.0) / 2.0
    low, high = low - spare, high + spare
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def ground(ax: Axes, plane: Plane, box: Box, starts: np.ndarray = _NONE) -> None:
    """Prepares a map: equal aspect, the outline, and where episodes start, ``[K, 2]``."""
    ax.plot(*_outline(plane).T, color=FAINT, linewidth=1.0, zorder=1)
    ax.plot(*starts.T, linestyle="", **START[1], zorder=6)
    ax.set(xlim=box[0], ylim=box[1], aspect="equal")
    step = _round_step(max(high - low for low, high in box) / 2.5)
    ax.xaxis.set_major_locator(MultipleLocator(step))
    ax.yaxis.set_major_locator(MultipleLocator(step))


def goal_discs(ax: Axes, goals: np.ndarray, plane: Plane, alpha: float) -> None:
    """Draws the discs in which success is paid, around ``[T, 2]``; nothing without a radius."""
    for goal in goals if plane.radius else ():
        disc = Circle(tuple(goal), plane.radius, color=GOAL, alpha=alpha, linewidth=0, zorder=1)
        ax.add_patch(disc)


def paths_by_direction(ax: Axes, paths: np.ndarray, plane: Plane, goals: np.ndarray) -> None:
    """Draws paths ``[K, P, 2]``, coloured by the direction in which they end.

    The colours span half a turn where the outline and the goals ``[T, 2]`` do, else a whole one.
    """
    turn = angles(paths[:, -1] - paths[:, 0])
    aims = angles(np.concatenate([_outline(plane), goals]))
    if aims.size and aims.min() >= 0.0 and aims.max() <= 180.0:
        colour = VIRIDIS(np.clip(turn / 180.0, 0.0, 1.0) * 0.93)
    else:
        hue = np.mod(turn, 360.0) / 360.0
        colour = hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.85), np.full_like(hue, 0.75)], -1))
    ax.add_collection(
        LineCollection(list(paths), colors=colour, linewidths=1.3, alpha=0.8, zorder=3)
    )
    ax.scatter(*paths[:, -1].T, c=colour, s=14, zorder=4, linewidths=0)


def tallness(box: Box) -> float:
    """Height over width: figures are sized after their maps, which leaves no empty bands."""
    return (box[1][1] - box[1][0]) / (box[0][1] - box[0][0])


def axis_names(plane: Plane) -> tuple[str, str]:
    """The labels of both axes."""
    units = f" ({plane.units})" if plane.units else ""
    return f"x{units}", f"y{units}"


def map_grid(figure: Figure, count: int, columns: int, plane: Plane) -> np.ndarray:
    """Axes ``[count]`` for maps of equal scale; labelled where no other map is in between."""
    rows = math.ceil(count / columns)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    x_name, y_name = axis_names(plane)
    for ax in grid.flat[count:]:
        ax.set_visible(False)
    for ax in grid[:, 0]:
        ax.set_ylabel(y_name)
    for column in range(columns):
        last = grid[(count - 1 - column) // columns, column]
        last.set_xlabel(x_name)
        last.tick_params(labelbottom=True)
    return grid


def map_legend(
    figure: Figure, plane: Plane, goals: bool, more: Sequence[tuple[str, dict]] = ()
) -> None:
    """Says below the figure what the signs of its maps are, and ``more``; see `marks`."""
    dot = {"marker": "o", "color": GOAL, "markeredgewidth": 0}
    disc = {**dot, "markersize": 17, "alpha": 0.15}
    units = f" {plane.units}" if plane.units else ""
    shown = [("goal", {**dot, "markersize": 8})] if goals else []
    if goals and plane.radius:
        shown.append((f"success is paid ({plane.radius:g}{units})", disc))
    shown += [START, *more]
    figure.legend(handles=marks(*shown), loc="outside lower center", ncols=min(len(shown), 4))


def _outline(plane: Plane) -> np.ndarray:
    return _NONE if plane.outline is None else np.asarray(plane.outline, float)


def _round_step(at_most: float) -> float:
    """The largest of 1, 2, 5 (times a power of ten) that is not above."""
    power = 10.0 ** math.floor(math.log10(at_most))
    return max(power * m for m in (1.0, 2.0, 5.0) if power * m <= 1.001 * at_most)
