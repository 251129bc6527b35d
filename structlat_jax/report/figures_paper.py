"""The paper's Figure 2: what trained agents do with z from the prior, side by side.

Its Figure 1 is `figures_paths.task_map` and its Figure 3 `figures_paths.adaptation_paths`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from structlat_jax.report.figures_map import (
    PATH,
    RING,
    START,
    goal_discs,
    half_circle,
    limits,
    map_grid,
    marks,
    paths_by_direction,
    tallness,
)
from structlat_jax.report.figures_style import arrays, styled

_WIDE = 4.6  # inches
_COLUMNS = 3
_REACHED = {**RING, "markerfacecolor": RING["color"]}


class PriorPanel(NamedTuple):
    """One agent with z from the prior.

    Attributes:
      label: Begins the panel's title, for instance the latent spec.
      paths: Positions in metres, one episode per draw of z, ``[K, H + 1, 2]``.
      goals: Goals in metres, ``[T, 2]``.
      note: Ends the title; may be empty.
    """

    label: str
    paths: ArrayLike
    goals: ArrayLike
    note: str = ""


def reached(paths: np.ndarray, goals: np.ndarray, goal_radius: float) -> np.ndarray:
    """Which goals ``[T, 2]`` one of the paths ``[K, H + 1, 2]`` came near enough to: ``[T]``.

    The place of the start does not count: a reward is paid for a step.
    """
    apart = paths[:, 1:, None, :] - goals
    return (np.linalg.norm(apart, axis=-1) <= goal_radius).any(axis=(0, 1))


@styled
def prior_panels(panels: Sequence[PriorPanel], goal_radius: float) -> Figure:
    """Paths of episodes whose z came from the prior (paper, Fig. 2), one map per agent.

    Goals that a path reached are filled, and the title of a panel counts them.

    Args:
      panels: One per agent.
      goal_radius: Distance in metres within which the sparse reward is paid.

    Raises:
      ValueError: if there is no panel or a shape does not fit.
    """
    if not panels:
        raise ValueError("panels must hold at least one panel.")
    drawn = [arrays(paths=(p.paths, "K P 2"), goals=(p.goals, "T 2")) for p in panels]
    box = limits(*(part for pair in drawn for part in pair), margin=goal_radius + 0.05)
    columns = min(len(panels), _COLUMNS)
    rows = math.ceil(len(panels) / columns)
    tall = _WIDE * tallness(box) + 0.9
    size = (1.0 + (_WIDE + 0.1) * columns, 1.0 + tall * rows + (0.5 if columns == 1 else 0.0))
    figure = Figure(figsize=size, layout="compressed")
    axes = map_grid(figure, len(panels), columns)
    for ax, panel, (paths, goals) in zip(axes.flat, panels, drawn, strict=False):
        half_circle(ax, box)
        paths_by_direction(ax, paths)
        goal_discs(ax, goals, goal_radius, alpha=0.05)
        found = reached(paths, goals, goal_radius)
        ax.plot(*goals[found].T, **_REACHED, alpha=0.75, zorder=5)
        ax.plot(*goals[~found].T, **{**RING, "markerfacecolor": "white"}, zorder=6)
        count = f"{found.sum()} of {found.size} test goals ({found.mean():.0%})"
        lines = (panel.label, f"{_episodes(len(paths))} {count}", panel.note)
        ax.set_title("\n".join(line for line in lines if line), fontsize=11)
    shown = marks(("goal reached", _REACHED), ("not reached", RING), START, PATH)
    per_row = len(shown) if columns > 1 else 2
    figure.legend(handles=shown, loc="outside lower center", ncols=per_row)
    return figure


def _episodes(count: int) -> str:
    return "1 episode reaches" if count == 1 else f"{count} episodes reach"
