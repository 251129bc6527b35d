"""Marks that several figures share: numbered discs set apart, and legend entries."""

import math

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from structlat_jax.report.figures_style import INK

VIRIDIS = matplotlib.colormaps["viridis"]


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


def marks(*labelled: tuple[str, dict]) -> list[Line2D]:
    """Legend entries ``(label, line properties)`` for things that a map shows many times."""
    return [Line2D([], [], **{"linestyle": "", **look}, label=text) for text, look in labelled]


def spread(label: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the tasks ``[T]``, in order, so that their labels are spread evenly."""
    if label.size <= most:
        return np.arange(label.size)
    places = np.linspace(0, label.size - 1, most).round().astype(int)
    return np.sort(np.argsort(label, kind="stable")[places])
