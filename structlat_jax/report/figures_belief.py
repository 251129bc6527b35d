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
from structlat_jax.report.figures_marks import spread as spread_evenly
from structlat_jax.report.figures_style import FAINT, INK, PRIOR_LINE, arrays, colours, styled
from structlat_jax.report.parts import SIMPLEX, USED, Shown

_MOST_TASKS = 16
_MOST_ENTRIES = 12  # of the legend
_END = {"color": INK, "linewidth": 1.2, "linestyle": ":"}
_UNUSED = 0.3  # the opacity of what is no knowledge


class _Column(NamedTuple):
    """One column of the figure: the numbers of z that it shows and how."""

    title: str
    where: slice
    weights: bool
    used: bool


@styled
def belief(
    blocks: Sequence[Shown],
    belief: ArrayLike,
    label: ArrayLike,
    label_name: str = "",
    prior_episodes: int = 0,
    title: str = "",
    kl: ArrayLike | None = None,
    spread: ArrayLike | None = None,
) -> Figure:
    """Posterior mean of z before each episode; one row per task, sorted by label.

    Dashed lines are the prior's mean, or with a spread its standard deviation around it. Blocks
    that have learned less than `USED` nats by the last episode are pale: what moves there is the
    noise of draws.

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
      kl: KL of each block's posterior to its prior before the episode, ``[T, E, blocks]``; its mean
        over all tasks at the last one stands above the block.
      spread: Posterior standard deviation of z, as ``belief``; drawn around lines.

    Raises:
      ValueError: if the shapes do not fit each other.
    """
    width = sum(block.variables * block.size for block in blocks)
    belief, label = arrays(belief=(belief, f"T E {width}"), label=(label, "T"))
    nats = None
    if kl is not None:
        (kl,) = arrays(kl=(kl, f"{label.size} {belief.shape[1]} {len(blocks)}"))
        nats = kl[:, -1].mean(axis=0)
    if spread is not None:
        (spread,) = arrays(spread=(spread, f"{label.size} {belief.shape[1]} {width}"))
    shown = spread_evenly(label, _MOST_TASKS)
    order = shown[np.argsort(-label[shown] if label_name else label[shown], kind="stable")]
    columns, episodes = _columns(blocks, nats), belief.shape[1]

    size = (1.6 + 1.9 * max(len(columns), 2), 1.9 + max(0.62 * len(order), 1.2))
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.02, hspace=0.02)
    axes = figure.subplots(len(order), len(columns), sharex=True, sharey="col", squeeze=False)
    for row, task in zip(axes, order, strict=True):
        for ax, column in zip(row, columns, strict=True):
            own = belief[task, :, column.where]
            if column.weights:
                _weights(ax, own, column.used)
            else:
                band = None if spread is None else spread[task, :, column.where]
                _means(ax, own, band, column.used)
            if 0 < prior_episodes < episodes:
                ax.axvline(prior_episodes + 0.5, **_END)
        name = f"task {task + 1}" + (f"\n{label_name} {label[task]:.3g}" if label_name else "")
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11, labelpad=12)
    for ax in axes[:-1].flat:  # all rows share the scales of the last one
        ax.tick_params(bottom=False, labelleft=False)
    figure.align_ylabels(axes[:, 0])
    for ax, column in zip(axes[0], columns, strict=True):
        ax.set_title(column.title, fontsize=11, color=INK if column.used else "#808080")
    for ax in axes[-1]:
        ax.set(xlim=(0.5, episodes + 0.5), xticks=episode_ticks(episodes), xlabel="episode")
    handles = [*_handles(columns), Line2D([], [], **PRIOR_LINE, label="prior")]
    if spread is not None and not all(column.weights for column in columns):
        handles.append(Patch(color=FAINT, label="± 1 deviation"))
    if 0 < prior_episodes < episodes:
        handles.append(Line2D([], [], **_END, label="last prior z"))
    per_row = max(1, int(size[0] / 1.5))
    note = f"{len(order)} of {label.size} tasks" if len(order) < label.size else None
    figure.legend(handles=handles, loc="outside lower center", ncols=per_row, title=note)
    if title:
        figure.suptitle(title)
    return figure


def _columns(blocks: Sequence[Shown], nats: np.ndarray | None) -> list[_Column]:
    columns = []
    start = 0
    for i, block in enumerate(blocks):
        used = nats is None or bool(nats[i] >= USED)
        weights = block.kind == SIMPLEX
        parts = block.variables if weights or block.size > 1 else 1
        whole = "together " if parts > 1 else ""
        learned = "" if nats is None else f"\n{whole}{nats[i]:.2f} nats"
        learned += "" if used else ": unused"
        step = block.variables * block.size // parts
        for part in range(parts):
            which = f", variable {part + 1}" if parts > 1 else ""
            title = f"{block.name}\n{'weights' if weights else 'means'}{which}{learned}"
            columns.append(_Column(title, slice(start, start + step), weights, used))
            start += step
    return columns


def _weights(ax: Axes, weights: np.ndarray, used: bool) -> None:
    """Stacks ``[E, K]`` weights, a step per episode: there is nothing between two episodes."""
    edges = np.arange(weights.shape[0] + 1) + 0.5
    tops = np.cumsum(weights, axis=1)
    for k, colour in enumerate(colours(weights.shape[1])):
        base = tops[:, k] - weights[:, k]
        ax.stairs(
            tops[:, k],
            edges,
            baseline=base,
            fill=True,
            color=colour,
            alpha=None if used else _UNUSED,
        )
    ax.hlines(tops[0, :-1], edges[0], edges[-1], **PRIOR_LINE)  # before anything was seen
    ax.set(ylim=(0.0, 1.0), yticks=[0, 1])


def _means(ax: Axes, means: np.ndarray, spread: np.ndarray | None, used: bool) -> None:
    """Draws ``[E, N]`` means, one line each, with their ``spread [E, N]`` around them."""
    prior = [means[0].mean()]
    if spread is not None:
        prior = [prior[0] - spread[0].mean(), prior[0] + spread[0].mean()]
    for level in prior:
        ax.axhline(level, **PRIOR_LINE, zorder=1)
    alpha = 1.0 if used else _UNUSED
    number = np.arange(1, means.shape[0] + 1)
    mark = "o" if number.size == 1 else None
    for i, colour in enumerate(colours(means.shape[1])):
        mean = means[:, i]
        if spread is not None:
            low, high = mean - spread[:, i], mean + spread[:, i]
            ax.fill_between(number, low, high, color=colour, alpha=0.2 * alpha, linewidth=0)
        ax.plot(number, mean, color=colour, linewidth=1.6, marker=mark, alpha=alpha)
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
