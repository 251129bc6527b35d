"""What the agent believes about each task, episode by episode."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from structlat_jax.report.figures_style import FAINT, INK, arrays, colours, episode_ticks, styled

_SIMPLEX = ("dir", "cat")
_END = {"color": INK, "linewidth": 1.2, "linestyle": ":"}


class _Column(NamedTuple):
    """One column of the figure: the numbers of z that it shows and how."""

    title: str
    where: slice
    shares: bool


@styled
def belief(
    space_blocks: Sequence[tuple[str, int, int, str]],
    belief: ArrayLike,
    goal_weight: ArrayLike,
    prior_episodes: int = 0,
    title: str = "",
) -> Figure:
    """Posterior mean of z before each episode; one row per task, sorted by goal weight w.

    A Dirichlet or categorical variable has a column of its own: its weights, stacked, which add up
    to one. Any other block has one column with a line for each of its means.

    Args:
      space_blocks: ``(family, variables, numbers per variable, spec)`` of each block, in order.
      belief: Posterior mean of z before the episode, ``[T, E, D]``.
      goal_weight: The mixture weight w of each goal in [0, 1], ``[T]``.
      prior_episodes: Episodes at the start whose z came from the prior; a line marks their end.
      title: Stands above the figure.

    Raises:
      ValueError: if the shapes do not fit each other.
    """
    width = sum(variables * size for _, variables, size, _ in space_blocks)
    belief, goal_weight = arrays(belief=(belief, f"T E {width}"), goal_weight=(goal_weight, "T"))
    tasks, episodes, _ = belief.shape
    columns = _columns(space_blocks)
    order = np.argsort(-goal_weight, kind="stable")

    size = (1.6 + 1.9 * max(len(columns), 2), 1.9 + max(0.62 * tasks, 1.2))
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.02, hspace=0.02)
    axes = figure.subplots(tasks, len(columns), sharex=True, sharey="col", squeeze=False)
    for row, task in enumerate(order):
        for ax, column in zip(axes[row], columns, strict=True):
            draw = _shares if column.shares else _means
            draw(ax, belief[task, :, column.where])
            if 0 < prior_episodes < episodes:
                ax.axvline(prior_episodes + 0.5, **_END)
            if row < tasks - 1:  # all rows share the scales of the last one
                ax.tick_params(bottom=False, labelleft=False)
        name = f"task {task + 1}\nw = {goal_weight[task]:.2f}"
        axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)
    figure.align_ylabels(axes[:, 0])
    for ax, column in zip(axes[0], columns, strict=True):
        ax.set_title(column.title, fontsize=11)
    for ax in axes[-1]:
        ax.set(xlim=(0.5, episodes + 0.5), xticks=episode_ticks(episodes), xlabel="episode")
    handles = _handles(columns)
    if 0 < prior_episodes < episodes:
        handles.append(Line2D([], [], **_END, label="last prior z"))
    per_row = max(1, int(size[0] / 1.5))
    figure.legend(handles=handles, loc="outside lower center", ncols=per_row)
    if title:
        figure.suptitle(title)
    return figure


def _columns(space_blocks: Sequence[tuple[str, int, int, str]]) -> list[_Column]:
    columns = []
    start = 0
    for family, variables, size, spec in space_blocks:
        shares = family in _SIMPLEX
        parts = variables if shares else 1
        step = variables * size // parts
        for part in range(parts):
            which = f", variable {part + 1}" if parts > 1 else ""
            title = f"{spec}\n{'weights' if shares else 'means'}{which}"
            columns.append(_Column(title, slice(start, start + step), shares))
            start += step
    return columns


def _shares(ax: Axes, weights: np.ndarray) -> None:
    """Stacks ``[E, K]`` weights, a step per episode: there is nothing between two episodes."""
    edges = np.arange(weights.shape[0] + 1) + 0.5
    tops = np.cumsum(weights, axis=1)
    for k, colour in enumerate(colours(weights.shape[1])):
        base = tops[:, k] - weights[:, k]
        ax.stairs(tops[:, k], edges, baseline=base, fill=True, color=colour)
    ax.set(ylim=(0.0, 1.0), yticks=[0, 1])


def _means(ax: Axes, means: np.ndarray) -> None:
    """Draws ``[E, N]`` means, one line each."""
    ax.axhline(0.0, color=FAINT, linewidth=0.8, zorder=1)
    number = np.arange(1, means.shape[0] + 1)
    for mean, colour in zip(means.T, colours(means.shape[1]), strict=True):
        ax.plot(number, mean, color=colour, linewidth=1.6, marker="o" if number.size == 1 else None)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=2))


def _handles(columns: list[_Column]) -> list:
    sizes = {True: 0, False: 0}
    for column in columns:
        sizes[column.shares] = max(sizes[column.shares], column.where.stop - column.where.start)
    return [
        *(Patch(color=c, label=f"class {k + 1}") for k, c in enumerate(colours(sizes[True]))),
        *(
            Line2D([], [], color=c, label=f"mean {k + 1}")
            for k, c in enumerate(colours(sizes[False]))
        ),
    ]
