"""Maps of one run: its tasks, its paths from the prior, its paths while adapting."""

import math

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from structlat_jax.envs.base import Plane
from structlat_jax.report.figures_marks import marks, spread
from structlat_jax.report.figures_style import PALETTE, arrays, styled
from structlat_jax.report.parts import OF_Z
from structlat_jax.report.plane.map import (
    GOAL,
    PATH,
    START,
    angles,
    axis_names,
    goal_discs,
    ground,
    limits,
    map_grid,
    map_legend,
    paths_by_direction,
    starts_of,
    tallness,
)
from structlat_jax.report.plane.reached import goal_signs, reached_goals
from structlat_jax.report.results import percent_of_way

_BIN = 15.0  # degrees
_MOST_TASKS = 20
_NAMED = 2  # tasks in the title of a panel that stands for several
_LATER = LinearSegmentedColormap.from_list("later", ["#9ecae9", "#08306b"])


@styled
def task_map(
    train_goals: ArrayLike,
    test_goals: ArrayLike,
    plane: Plane,
    starts: ArrayLike = ((0.0, 0.0),),
) -> Figure:
    """Where the training and the test goals are (paper, Fig. 1), with counts per direction.

    Args:
      train_goals: Goals ``[T, 2]``.
      test_goals: The same for the test tasks, ``[U, 2]``; U may differ from T.
      plane: Of the environment.
      starts: Where episodes begin, ``[K, 2]``; directions are those from their mean.

    Raises:
      ValueError: if a shape does not fit.
    """
    train, test, starts = arrays(
        train_goals=(train_goals, "T 2"), test_goals=(test_goals, "U 2"), starts=(starts, "K 2")
    )
    box = limits(plane, train, test, starts)
    centre = starts.mean(axis=0)
    every = angles(np.concatenate([train, test]) - centre)
    low = min(0.0, _BIN * math.floor(every.min() / _BIN))
    high = max(180.0, _BIN * math.ceil(every.max() / _BIN))
    edges = np.arange(low, high + _BIN / 2, _BIN)
    x_name, y_name = axis_names(plane)

    wide = 4.2  # inches
    figure = Figure(figsize=(9.0, 3.3 + wide * tallness(box)), layout="constrained")
    ratios = (1.2 * tallness(box) * wide, 1.6)
    axes = figure.subplots(2, 2, sharex="row", sharey="row", height_ratios=ratios)
    for column, (name, goals) in enumerate((("training", train), ("test", test))):
        ax, bars = axes[:, column]
        ground(ax, plane, box, starts)
        goal_discs(ax, goals, plane, alpha=0.05)
        ax.plot(*goals.T, "o", color=GOAL, markersize=8, alpha=0.35, markeredgewidth=0, zorder=4)
        ax.set(title=f"{len(goals)} {name} tasks", xlabel=x_name)
        counts, _ = np.histogram(angles(goals - centre), edges)
        drawn = bars.bar(edges[:-1], counts, _BIN * 0.9, align="edge", color=GOAL, alpha=0.75)
        bars.bar_label(drawn, [str(c) if c else "" for c in counts], padding=2, fontsize=11)
        bars.set(xlabel="direction of the goal (degrees)", xticks=_degree_ticks(low, high))
    axes[0, 0].set_ylabel(y_name)
    bars = axes[1, 0]
    bars.set(xlim=(high + 5, low - 5), ylabel="goals")
    bars.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    bars.margins(y=0.3)
    map_legend(figure, plane, goals=True)
    return figure


@styled
def prior_paths(
    paths: ArrayLike,
    plane: Plane,
    goals: ArrayLike | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """Paths of episodes whose z came from the prior (paper, Fig. 2), coloured by where they end.

    Where success is paid near goals, those that a path reached are filled and counted.

    Args:
      paths: Places, one episode per draw of z, ``[K, P, 2]``.
      plane: Of the environment.
      goals: Goals ``[T, 2]``, if there are any.
      title: Stands above the map.
      note: Ends what is said below the title; may be empty.

    Raises:
      ValueError: if a shape does not fit.
    """
    paths, goals = _paths_and_goals(paths, "K P 2", goals)
    box = limits(plane, paths, goals)
    figure = Figure(figsize=(6.4, 2.1 + 5.8 * tallness(box)), layout="compressed")
    ax = figure.subplots()
    ground(ax, plane, box, starts_of(paths))
    paths_by_direction(ax, paths, plane, goals)
    count = reached_goals(ax, paths, goals, plane)
    ax.set(**dict(zip(("xlabel", "ylabel"), axis_names(plane), strict=True)))
    ax.set_title("\n".join(line for line in (count, note) if line), fontsize=11)
    if title:
        figure.suptitle(title)
    shown = marks(*goal_signs(len(goals) > 0, plane), START, PATH)
    figure.legend(handles=shown, loc="outside lower center", ncols=min(len(shown), 3))
    return figure


@styled
def adaptation_paths(
    path: ArrayLike,
    returns: ArrayLike,
    prior_episodes: int,
    plane: Plane,
    goals: ArrayLike | None = None,
    oracle: ArrayLike | None = None,
    floor: ArrayLike | float = 0.0,
    label: ArrayLike | None = None,
    title: str = "",
    before: str = OF_Z.before,
) -> Figure:
    """Paths of one run of the adaptation protocol per test task (paper, Fig. 3).

    Orange are the episodes whose z came from the prior, and blue the later ones, the darker the
    more episodes of context the agent had. Of tasks whose goals are all but the same, nearer to
    each other than half the radius, the first is drawn. A panel's title names its tasks and gives
    their mean return of the last episode and the oracle's.

    Args:
      path: Places, ``[T, E, P, 2]``. Of many tasks, some are drawn.
      returns: Return of each episode, ``[T, E]``.
      prior_episodes: Episodes at the start whose z came from the prior, 0 to E.
      plane: Of the environment.
      goals: Goals ``[T, 2]``, if there are any.
      oracle: Return of the controller that knows the task, ``[T]``, if anybody knows it.
      floor: Return of the untrained policy, ``[T]`` or one for all: 0 % of the oracle.
      label: Numbers that tasks are sorted by, from the greatest, ``[T]``.
      title: Stands above the figure.
      before: What the orange ones are called.

    Raises:
      ValueError: if the shapes do not fit each other.
    """
    path, goals = _paths_and_goals(path, "T E P 2", goals, len(np.asarray(path)))
    tasks, episodes = path.shape[:2]
    (returns,) = arrays(returns=(returns, f"{tasks} {episodes}"))
    order = np.arange(tasks) if label is None else np.argsort(-np.asarray(label), kind="stable")
    groups = _alike(order, goals, plane.radius / 2)
    groups = [groups[i] for i in spread(np.arange(len(groups)), _MOST_TASKS)]
    scores = _scores(groups, returns[:, -1], oracle, floor)
    shown = np.array([group[0] for group in groups])
    columns = min(len(shown), 5)
    rows = math.ceil(len(shown) / columns)
    box = limits(plane, path[shown], goals[shown] if len(goals) else goals)
    scale = ScalarMappable(Normalize(prior_episodes, max(episodes - 1, prior_episodes + 1)), _LATER)
    tint = scale.to_rgba(np.arange(episodes))
    tint[:prior_episodes] = to_rgba(PALETTE[1])

    wide = 2.1 if len(shown) > 1 else 4.2  # inches
    tall = wide * tallness(box)
    size = (1.4 + (wide + 0.15) * columns, 1.35 + (tall + 0.35) * rows)
    figure = Figure(figsize=size, layout="compressed")
    axes = map_grid(figure, len(shown), columns, plane)
    for i, score, ax in zip(shown, scores, axes.flat, strict=False):
        own = goals[i : i + 1]
        ground(ax, plane, box, starts_of(path[i]))
        goal_discs(ax, own, plane, alpha=0.15)
        # Later episodes lie on top: they are what the agent learned.
        lines = LineCollection(list(path[i]), colors=tint, linewidths=1.3, zorder=3)
        ax.add_collection(lines)
        ax.plot(*own.T, "o", color=GOAL, markersize=6, zorder=5)
        ax.set_title(score, fontsize=11)
    bar = figure.colorbar(scale, ax=axes, label="episodes of context", shrink=0.9, aspect=30)
    bar.locator = MaxNLocator(integer=True, nbins=6)
    bar.outline.set_visible(False)
    prior = [(before, {"color": PALETTE[1], "linestyle": "-"})]
    map_legend(figure, plane, goals=len(goals) > 0, more=prior if prior_episodes else [])
    many = any(len(group) > 2 for group in groups)
    caption = "tasks (+ n: n more with the same goal)" if many else "task"
    caption += ": return of the last episode"
    caption += "" if oracle is None else " / oracle (% of oracle)"
    told = sum(map(len, groups))
    caption += f"; {told} of {tasks} tasks" if told < tasks else ""
    figure.suptitle("\n".join(line for line in (title, caption) if line), fontsize=12)
    return figure


def _paths_and_goals(
    paths: ArrayLike, axes: str, goals: ArrayLike | None, tasks: int | None = None
) -> list[np.ndarray]:
    """Both as arrays; no goals are ``[0, 2]``."""
    if goals is None:
        return [*arrays(paths=(paths, axes)), np.empty((0, 2))]
    return arrays(paths=(paths, axes), goals=(goals, f"{tasks or 'G'} 2"))


def _alike(order: np.ndarray, goals: np.ndarray, apart: float) -> list[list[int]]:
    """Tasks in order; those whose goals ``[T, 2]`` are not that far apart are together."""
    groups: list[list[int]] = []
    for task in order.tolist():
        near = (
            group
            for group in groups
            if len(goals) and np.linalg.norm(goals[group[0]] - goals[task]) <= apart
        )
        group = next(near, None) if apart else None
        groups.append([task]) if group is None else group.append(task)
    return groups


def _scores(
    groups: list[list[int]],
    last: np.ndarray,
    oracle: ArrayLike | None,
    floor: ArrayLike | float,
) -> list[str]:
    """What the tasks of each group returned, of what could be had."""
    best = None if oracle is None else arrays(oracle=(oracle, f"{last.size}"))[0]
    floors = np.broadcast_to(np.asarray(floor, float), last.shape)
    said = []
    for group in groups:
        score = f"{_numbers(group)}: {last[group].mean():.1f}"
        if best is not None:
            share = percent_of_way(*(x[group].mean() for x in (last, floors, best)))
            score += f" / {best[group].mean():.1f}" + ("" if share is None else f" ({share:.0f}%)")
        said.append(score)
    return said


def _numbers(group: list[int]) -> str:
    """Tasks, counted from 1: a few of them, and how many more."""
    some = ", ".join(str(task + 1) for task in group[:_NAMED])
    return some if len(group) <= _NAMED else f"{some} + {len(group) - _NAMED}"


def _degree_ticks(low: float, high: float) -> np.ndarray:
    return np.arange(45.0 * math.ceil(low / 45.0), high + 1.0, 45.0)
