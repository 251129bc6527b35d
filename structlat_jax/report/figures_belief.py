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

from structlat_jax.report.figures_axes import episode_ticks
from structlat_jax.report.figures_marks import spread
from structlat_jax.report.figures_style import FAINT, INK, arrays, colours, styled
from structlat_jax.report.parts import SIMPLEX, Shown

_MOST_TASKS = 16
_MOST_ENTRIES = 12  # of the legend
_END = {"color": INK, "linewidth": 1.2, "linestyle": ":"}


class _Column(NamedTuple):
    """One column of the figure: the numbers of z that it shows and how."""

    title: str
    where: slice
    weights: bool


@styled
def belief(
    blocks: Sequence[Shown],
    belief: ArrayLike,
    label: ArrayLike,
    label_name: str = "",
    prior_episodes: int = 0,
    title: str = "",
) -> Figure:
    """Posterior mean of z before each episode; one row per task, sorted by label.

    A variable on a simplex has a column of its own: its weights, stacked, which add up to one. Any
    other variable of several numbers has one too, with a line for each mean; those of a single
    number share one.

    Args:
      blocks: Of the latent space, in order.
      belief: Posterior mean of z before the episode, ``[T, E, D]``.
      label: A number of each task, ``[T]``. Of many tasks, those are drawn whose labels are spread
        evenly.
      label_name: What it is; empty if the label only counts the tasks.
      prior_episodes: Episodes at the start whose z came from the prior; a line marks their end.
      title: Stands above the figure.

    Raises:
      ValueError: if the shapes do not fit each other.
    """
    width = sum(block.variables * block.size for block in blocks)
    belief, label = arrays(belief=(belief, f"T E {width}"), label=(label, "T"))
    shown = spread(label, _MOST_TASKS)
    order = shown[np.argsort(-label[shown] if label_name else label[shown], kind="stable")]
    columns, episodes = _columns(blocks), belief.shape[1]

    size = (1.6 + 1.9 * max(len(columns), 2), 1.9 + max(0.62 * len(order), 1.2))
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.02, hspace=0.02)
    axes = figure.subplots(len(order), len(columns), sharex=True, sharey="col", squeeze=False)
    for row, task in zip(axes, order, strict=True):
        for ax, column in zip(row, columns, strict=True):
            draw = _weights if column.weights else _means
            draw(ax, belief[task, :, column.where])
            if 0 < prior_episodes < episodes:
                ax.axvline(prior_episodes + 0.5, **_END)
        name = f"task {task + 1}" + (f"\n{label_name} {label[task]:.3g}" if label_name else "")
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11, labelpad=12)
    for ax in axes[:-1].flat:  # all rows share the scales of the last one
        ax.tick_params(bottom=False, labelleft=False)
    figure.align_ylabels(axes[:, 0])
    for ax, column in zip(axes[0], columns, strict=True):
        ax.set_title(column.title, fontsize=11)
    for ax in axes[-1]:
        ax.set(xlim=(0.5, episodes + 0.5), xticks=episode_ticks(episodes), xlabel="episode")
    handles = _handles(columns)
    if 0 < prior_episodes < episodes:
        handles.append(Line2D([], [], **_END, label="last prior z"))
    per_row = max(1, int(size[0] / 1.5))
    note = f"{len(order)} of {label.size} tasks" if len(order) < label.size else None
    figure.legend(handles=handles, loc="outside lower center", ncols=per_row, title=note)
    if title:
        figure.suptitle(title)
    return figure


def _columns(blocks: Sequence[Shown]) -> list[_Column]:
    columns = []
    start = 0
    for block in blocks:
        weights = block.kind == SIMPLEX
        parts = block.variables if weights or block.size > 1 else 1
        step = block.variables * block.size // parts
        for part in range(parts):
            which = f", variable {part + 1}" if parts > 1 else ""
            title = f"{block.name}\n{'weights' if weights else 'means'}{which}"
            columns.append(_Column(title, slice(start, start + step), weights))
            start += step
    return columns


def _weights(ax: Axes, weights: np.ndarray) -> None:
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
        sizes[column.weights] = max(sizes[column.weights], column.where.stop - column.where.start)
    classes = _some(sizes[True], "class")
    means = _some(sizes[False], "mean")
    return [
        *(Patch(color=colour, label=text) for text, colour in classes.items()),
        *(Line2D([], [], color=colour, label=text) for text, colour in means.items()),
    ]


def _some(count: int, word: str) -> dict[str, object]:
    """Entries of the legend for numbers from 1; of many, a few that are spread evenly."""
    tint = colours(count)
    few = np.linspace(0, count - 1, _MOST_ENTRIES).round().astype(int)
    chosen = range(count) if count <= _MOST_ENTRIES else few
    return {f"{word} {i + 1}": tint[i] for i in chosen}
