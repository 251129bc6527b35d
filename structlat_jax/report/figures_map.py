"""The map of a robot in the plane, which several figures share: goals, start, ranges, legend."""

import math

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import MultipleLocator

from structlat_jax.report.figures_style import FAINT, GOAL, INK

Box = tuple[tuple[float, float], tuple[float, float]]
VIRIDIS = matplotlib.colormaps["viridis"]
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


def angles(points: np.ndarray) -> np.ndarray:
    """Directions of ``[..., 2]`` in degrees, in [-90, 270): rounding cannot make 180 into -180."""
    degrees = np.degrees(np.arctan2(points[..., 1], points[..., 0]))
    return np.mod(np.round(degrees, 3) + 90.0, 360.0) - 90.0


def limits(*points: np.ndarray, margin: float) -> Box:
    """The x and y range that holds the half circle and all points ``[..., 2]``, in metres."""
    corners = np.array([[-1.0, 0.0], [1.0, 1.0]])
    every = np.concatenate([corners, *(p.reshape(-1, 2) for p in points)])
    every = every[np.isfinite(every).all(axis=1)]
    low, high = every.min(axis=0) - margin, every.max(axis=0) + margin
    return (low[0], high[0]), (low[1], high[1])


def half_circle(ax: Axes, box: Box) -> None:
    """Prepares a map in metres: equal aspect, the half circle of goals and the start."""
    theta = np.linspace(0.0, np.pi, 181)
    ax.plot(np.cos(theta), np.sin(theta), color=FAINT, linewidth=1.0, zorder=1)
    ax.plot(0.0, 0.0, marker="+", color=INK, markersize=9, markeredgewidth=1.4, zorder=6)
    ax.set(xlim=box[0], ylim=box[1], aspect="equal")
    ax.xaxis.set_major_locator(MultipleLocator(1.0))
    ax.yaxis.set_major_locator(MultipleLocator(1.0))


def goal_discs(ax: Axes, goals: np.ndarray, radius: float, alpha: float) -> None:
    """Draws the discs in which the sparse reward is paid; radius in metres."""
    for goal in goals:
        ax.add_patch(Circle(tuple(goal), radius, color=GOAL, alpha=alpha, linewidth=0, zorder=1))


def paths_by_direction(ax: Axes, paths: np.ndarray) -> None:
    """Draws paths ``[K, H + 1, 2]``, coloured by where they end."""
    colour = VIRIDIS(np.clip(angles(paths[:, -1]) / 180.0, 0.0, 1.0) * 0.93)
    ax.add_collection(
        LineCollection(list(paths), colors=colour, linewidths=1.3, alpha=0.8, zorder=3)
    )
    ax.scatter(*paths[:, -1].T, c=colour, s=14, zorder=4, linewidths=0)


def apart(points: np.ndarray, least: float, inward: bool) -> np.ndarray:
    """Moves ``[N, 2]`` so that no two are nearer than ``least``: many ends are in one place.

    Each point goes to the nearest free place of a few rings around it, on the side of the origin
    (``inward``) or away from it.
    """
    turns = np.linspace(0.0, 2 * math.pi, 12, endpoint=False)
    around = np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    radii = np.repeat(least * np.arange(len(points) + 1) / 2.0, len(turns))
    offsets = radii[:, None] * np.tile(around, (len(points) + 1, 1))
    placed = np.empty((0, 2))
    for point in points:
        places = point + offsets
        outside = np.linalg.norm(places, axis=-1).round(6)
        places = places[np.lexsort((outside if inward else -outside, radii))]
        gaps = np.linalg.norm(places[:, None] - placed, axis=-1).min(axis=1, initial=np.inf)
        placed = np.vstack([placed, places[np.argmax(gaps >= 0.999 * least)]])
    return placed


def numbered_disc(ax: Axes, end: np.ndarray, place: np.ndarray, number: int, colour) -> None:
    """Marks the ``end [2]`` of a path by a disc with a number at a ``place [2]`` nearby."""
    z = 6.0 + 0.01 * number  # so that a disc covers the number of the one below
    ax.plot(*zip(end, place, strict=True), color=INK, linewidth=0.6, zorder=5)
    ax.plot(*place, "o", color=colour, markersize=10.5, markeredgecolor=INK, zorder=z)
    ink = "white" if np.mean(to_rgb(colour)) < 0.5 else INK
    ax.text(*place, str(number), ha="center", va="center_baseline", size=7, color=ink, zorder=z)


def tallness(box: Box) -> float:
    """Height over width: figures are sized after their maps, which leaves no empty bands."""
    return (box[1][1] - box[1][0]) / (box[0][1] - box[0][0])


def map_grid(figure: Figure, count: int, columns: int) -> np.ndarray:
    """Axes ``[count]`` for maps of equal scale; labelled where no other map is in between."""
    rows = math.ceil(count / columns)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax in grid.flat[count:]:
        ax.set_visible(False)
    for ax in grid[:, 0]:
        ax.set_ylabel("y (m)")
    for column in range(columns):
        last = grid[(count - 1 - column) // columns, column]
        last.set_xlabel("x (m)")
        last.tick_params(labelbottom=True)
    return grid


def marks(*labelled: tuple[str, dict]) -> list[Line2D]:
    """Legend entries ``(label, line properties)`` for things that a map shows many times."""
    return [Line2D([], [], **{"linestyle": "", **look}, label=text) for text, look in labelled]


def map_legend(figure: Figure, radius: float) -> None:
    """Says below the figure what the signs of its maps are; radius in metres."""
    dot = {"marker": "o", "color": GOAL, "markeredgewidth": 0}
    shown = marks(
        ("goal", {**dot, "markersize": 8}),
        (f"reward is paid ({radius:g} m)", {**dot, "markersize": 17, "alpha": 0.15}),
        START,
    )
    figure.legend(handles=shown, loc="outside lower center", ncols=3)
