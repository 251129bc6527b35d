"""Which goals paths come near enough to, drawn and counted."""

import numpy as np
from matplotlib.axes import Axes

from structlat_jax.envs.base import Plane
from structlat_jax.report.plane.map import RING, goal_discs

_REACHED = {**RING, "markerfacecolor": RING["color"]}


def reached(paths: np.ndarray, goals: np.ndarray, radius: float) -> np.ndarray:
    """Which goals ``[T, 2]`` one of the paths ``[K, P, 2]`` came near enough to: ``[T]``.

    The place of the start does not count: a reward is paid for a step.
    """
    apart = paths[:, 1:, None, :] - goals
    return (np.linalg.norm(apart, axis=-1) <= radius).any(axis=(0, 1))


def reached_goals(ax: Axes, paths: np.ndarray, goals: np.ndarray, plane: Plane) -> str:
    """Draws the goals; returns how many the paths reach, if that means anything."""
    count = "1 episode" if len(paths) == 1 else f"{len(paths)} episodes"
    if not (len(goals) and plane.radius):
        ax.plot(*goals.T, **RING, zorder=5)
        return count
    goal_discs(ax, goals, plane, alpha=0.05)
    found = reached(paths, goals, plane.radius)
    ax.plot(*goals[found].T, **_REACHED, alpha=0.75, zorder=5)
    ax.plot(*goals[~found].T, **{**RING, "markerfacecolor": "white"}, zorder=6)
    verb = "reaches" if len(paths) == 1 else "reach"
    return f"{count} {verb} {found.sum()} of {found.size} test goals ({found.mean():.0%})"


def goal_signs(goals: bool, plane: Plane) -> list[tuple[str, dict]]:
    """Legend entries of what `reached_goals` draws; see `marks`."""
    if not goals:
        return []
    return [("goal reached", _REACHED), ("not reached", RING)] if plane.radius else [("goal", RING)]
