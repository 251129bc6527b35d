"""The moving part of a film where episodes are paths in a plane."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from structlat_jax.envs.base import Plane
from structlat_jax.report.case import Case
from structlat_jax.report.figures_style import INK, of_episode
from structlat_jax.report.plane import scene
from structlat_jax.report.plane.map import GOAL, axis_names, goal_discs, ground, limits, starts_of

_EARLIER = {"linewidth": 0.9, "alpha": 0.55, "zorder": 3}


def mark_of(case: Case, task: int) -> np.ndarray | None:
    """The goal of a test task of the drawn seed, ``[2]``, if it has one."""
    goals = scene.marks(case.files.arrays)
    return None if goals is None else case.of(goals)[task]


def drawer(
    plane: Plane, obs: np.ndarray, prior: int, goal: np.ndarray | None
) -> Callable[[Axes, int, int], None]:
    """A function that draws a step of an episode: earlier paths thin, the present one thick.

    Args:
      plane: Of the environment.
      obs: Observations, ``[E, H + 1, obs_dim]``.
      prior: Episodes at the start whose z came from the prior.
      goal: From `mark_of`.
    """
    paths = np.asarray(plane.project(obs))
    goals = np.empty((0, 2)) if goal is None else np.asarray(goal)[None]
    box, starts = limits(plane, paths, goals), starts_of(paths)

    def draw(ax: Axes, episode: int, step: int) -> None:
        ground(ax, plane, box, starts)
        goal_discs(ax, goals, plane, alpha=0.2)
        ax.plot(*goals.T, "o", color=GOAL, markersize=7, zorder=5)
        for e, path in enumerate(paths[:episode]):
            ax.plot(*path.T, color=of_episode(e, prior), **_EARLIER)
        ax.plot(*paths[episode, : step + 1].T, color=INK, linewidth=2.4, zorder=6)
        ax.plot(*paths[episode, step], "o", color=INK, markersize=7, zorder=6)
        ax.set(**dict(zip(("xlabel", "ylabel"), axis_names(plane), strict=True)))

    return draw
