"""The paper's Figure 2: what trained agents do with z from the prior, side by side.

Its Figure 1 is `paths.task_map` and its Figure 3 `paths.adaptation_paths`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from structlat_jax.envs.base import Plane
from structlat_jax.report.figures_marks import marks
from structlat_jax.report.figures_style import arrays, styled
from structlat_jax.report.plane.map import (
    PATH,
    START,
    ground,
    limits,
    map_grid,
    paths_by_direction,
    starts_of,
    tallness,
)
from structlat_jax.report.plane.reached import goal_signs, reached_goals

_WIDE = 4.6  # inches
_COLUMNS = 3
_NONE = np.empty((0, 2))


class PriorPanel(NamedTuple):
    """One agent with z from the prior.

    Attributes:
      label: Begins the panel's title, for instance the latent spec.
      paths: Places, one episode per draw of z, ``[K, P, 2]``.
      goals: Goals ``[T, 2]``, if there are any.
      note: Ends the title; may be empty.
    """

    label: str
    paths: ArrayLike
    goals: ArrayLike | None = None
    note: str = ""


@styled
def prior_panels(panels: Sequence[PriorPanel], plane: Plane) -> Figure:
    """Paths of episodes whose z came from the prior (paper, Fig. 2), one map per agent.

    Where success is paid near goals, those that a path reached are filled, and the title of a
    panel counts them.

    Args:
      panels: One per agent.
      plane: Of the environment.

    Raises:
      ValueError: if there is no panel or a shape does not fit.
    """
    if not panels:
        raise ValueError("panels must hold at least one panel.")
    drawn = [_arrays(panel) for panel in panels]
    box = limits(plane, *(part for pair in drawn for part in pair))
    columns = min(len(panels), _COLUMNS)
    rows = math.ceil(len(panels) / columns)
    tall = _WIDE * tallness(box) + 0.9
    size = (1.0 + (_WIDE + 0.1) * columns, 1.0 + tall * rows + (0.5 if columns == 1 else 0.0))
    figure = Figure(figsize=size, layout="compressed")
    axes = map_grid(figure, len(panels), columns, plane)
    for ax, panel, (paths, goals) in zip(axes.flat, panels, drawn, strict=False):
        ground(ax, plane, box, starts_of(paths))
        paths_by_direction(ax, paths, plane, goals)
        count = reached_goals(ax, paths, goals, plane)
        lines = (panel.label, count, panel.note)
        ax.set_title("\n".join(line for line in lines if line), fontsize=11)
    shown = marks(*goal_signs(any(len(goals) for _, goals in drawn), plane), START, PATH)
    per_row = len(shown) if columns > 1 else 2
    figure.legend(handles=shown, loc="outside lower center", ncols=per_row)
    return figure


def _arrays(panel: PriorPanel) -> list[np.ndarray]:
    if panel.goals is None:
        return [*arrays(paths=(panel.paths, "K P 2")), _NONE]
    return arrays(paths=(panel.paths, "K P 2"), goals=(panel.goals, "T 2"))
