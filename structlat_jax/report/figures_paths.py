"""Maps of the point robot: its tasks, its paths from the prior, its paths while adapting."""

import math

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from structlat_jax.report.figures_map import (
    PATH,
    RING,
    START,
    VIRIDIS,
    angles,
    goal_discs,
    half_circle,
    limits,
    map_grid,
    map_legend,
    marks,
    paths_by_direction,
    tallness,
)
from structlat_jax.report.figures_style import GOAL, arrays, styled

_BIN = 15.0  # degrees


@styled
def task_map(train_goals: ArrayLike, test_goals: ArrayLike, goal_radius: float) -> Figure:
    """Where the training and the test goals are (paper, Fig. 1), with counts per direction.

    Args:
      train_goals: Goals in metres from the start, ``[T, 2]``.
      test_goals: The same for the test tasks, ``[U, 2]``; U may differ from T.
      goal_radius: Distance in metres within which the sparse reward is paid.

    Raises:
      ValueError: if a shape does not fit.
    """
    train, test = arrays(train_goals=(train_goals, "T 2"), test_goals=(test_goals, "U 2"))
    box = limits(train, test, margin=goal_radius + 0.1)
    every = angles(np.concatenate([train, test]))
    low = min(0.0, _BIN * math.floor(every.min() / _BIN))
    high = max(180.0, _BIN * math.ceil(every.max() / _BIN))
    edges = np.arange(low, high + _BIN / 2, _BIN)

    figure = Figure(figsize=(9.0, 5.6), layout="constrained")
    axes = figure.subplots(2, 2, sharex="row", sharey="row", height_ratios=(2.5, 1.0))
    for column, (name, goals) in enumerate((("training", train), ("test", test))):
        ax, bars = axes[:, column]
        half_circle(ax, box)
        goal_discs(ax, goals, goal_radius, alpha=0.05)
        ax.plot(*goals.T, "o", color=GOAL, markersize=8, alpha=0.35, markeredgewidth=0, zorder=4)
        ax.set(title=f"{len(goals)} {name} tasks", xlabel="x (m)")
        counts, _ = np.histogram(angles(goals), edges)
        drawn = bars.bar(edges[:-1], counts, _BIN * 0.9, align="edge", color=GOAL, alpha=0.75)
        bars.bar_label(drawn, [str(c) if c else "" for c in counts], padding=2, fontsize=11)
        bars.set(xlabel="direction of the goal (degrees)", xticks=_degree_ticks(low, high))
    axes[0, 0].set_ylabel("y (m)")
    bars = axes[1, 0]
    bars.set(xlim=(high + 5, low - 5), ylabel="goals")
    bars.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    bars.margins(y=0.3)
    map_legend(figure, goal_radius)
    return figure


@styled
def prior_paths(paths: ArrayLike, goals: ArrayLike, title: str) -> Figure:
    """Paths of episodes whose z came from the prior (paper, Fig. 2), coloured by where they end.

    Args:
      paths: Positions in metres, one episode per draw of z, ``[K, H + 1, 2]``.
      goals: Goals in metres, ``[T, 2]``.
      title: Stands above the map, for instance the latent spec.

    Raises:
      ValueError: if a shape does not fit.
    """
    paths, goals = arrays(paths=(paths, "K P 2"), goals=(goals, "T 2"))
    box = limits(paths, goals, margin=0.15)
    figure = Figure(figsize=(6.4, 1.2 + 5.8 * tallness(box)), layout="compressed")
    ax = figure.subplots()
    half_circle(ax, box)
    paths_by_direction(ax, paths)
    ax.plot(*goals.T, **RING, zorder=5)
    ax.set(xlabel="x (m)", ylabel="y (m)")
    if title:
        figure.suptitle(title)
    shown = marks(("goal", RING), START, PATH)
    figure.legend(handles=shown, loc="outside lower center", ncols=3)
    return figure


@styled
def adaptation_paths(
    path: ArrayLike,
    goals: ArrayLike,
    returns: ArrayLike,
    oracle: ArrayLike,
    prior_episodes: int,
    goal_radius: float,
    title: str = "",
) -> Figure:
    """Paths of one run of the adaptation protocol per test task (paper, Fig. 3).

    Colour says how many episodes of context the agent had: none in the first ones. Each panel's
    title gives the return of the last episode and the oracle's.

    Args:
      path: Positions in metres, ``[T, E, H + 1, 2]``.
      goals: Goals in metres, ``[T, 2]``.
      returns: Sparse return of each episode, ``[T, E]``.
      oracle: Return of the controller that knows the task, ``[T]``.
      prior_episodes: Episodes at the start whose z came from the prior, 0 to E.
      goal_radius: Distance in metres within which the sparse reward is paid.
      title: Stands above the figure.

    Raises:
      ValueError: if the shapes do not fit each other.
    """
    path, goals, returns, oracle = arrays(
        path=(path, "T E P 2"), goals=(goals, "T 2"), returns=(returns, "T E"), oracle=(oracle, "T")
    )
    tasks, episodes = returns.shape
    columns = min(tasks, 5)
    rows = math.ceil(tasks / columns)
    box = limits(path, goals, margin=goal_radius + 0.05)
    used = np.arange(episodes) * (np.arange(episodes) >= prior_episodes)
    scale = ScalarMappable(Normalize(0, max(episodes - 1, 1)), VIRIDIS)

    wide = 2.1 if tasks > 1 else 4.2  # inches
    tall = wide * tallness(box)
    size = (1.4 + (wide + 0.15) * columns, 1.35 + (tall + 0.35) * rows)
    figure = Figure(figsize=size, layout="compressed")
    axes = map_grid(figure, tasks, columns)
    for i, ax in enumerate(axes.flat[:tasks]):
        half_circle(ax, box)
        goal_discs(ax, goals[i : i + 1], goal_radius, alpha=0.15)
        # Later episodes lie on top: they are what the agent learned.
        lines = LineCollection(list(path[i]), colors=scale.to_rgba(used), linewidths=1.3, zorder=3)
        ax.add_collection(lines)
        ax.plot(*goals[i], "o", color=GOAL, markersize=6, zorder=5)
        ax.set_title(_score(i, returns[i, -1], oracle[i]), fontsize=11)
    bar = figure.colorbar(scale, ax=axes, label="episodes of context", shrink=0.9, aspect=30)
    bar.locator = MaxNLocator(integer=True, nbins=6)
    bar.outline.set_visible(False)
    map_legend(figure, goal_radius)
    caption = "task: return of the last episode / oracle (% of oracle)"
    figure.suptitle("\n".join(line for line in (title, caption) if line), fontsize=12)
    return figure


def _score(task: int, value: float, oracle: float) -> str:
    percent = f" ({100.0 * value / oracle:.0f}%)" if oracle > 0 else ""
    return f"{task + 1}: {value:.1f} / {oracle:.1f}{percent}"


def _degree_ticks(low: float, high: float) -> np.ndarray:
    return np.arange(45.0 * math.ceil(low / 45.0), high + 1.0, 45.0)
