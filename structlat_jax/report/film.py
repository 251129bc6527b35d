"""A film of one task's adaptation: what the agent does, what it is paid and what it believes."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from structlat_jax.report import film_sketch
from structlat_jax.report.case import Case
from structlat_jax.report.figures_style import INK, colours, of_episode, own_settings
from structlat_jax.report.parts import SIMPLEX, USED, Shown, most_varied, shown_blocks
from structlat_jax.report.plane import film as plane_film

FRAMES_PER_SECOND = 12
MOST_FRAMES = 240
SIZE = (9.0, 5.0)  # inches
DPI = 80  # which with the size makes whole, even numbers of pixels, as video wants

_LAST = 3  # more frames of an episode's end, to look at
_MOST_TRACES = 4
_MARGIN = 0.08


class Adapting(NamedTuple):
    """One task of one seed, the first repeat of its evaluation.

    Attributes:
      title: Names the run and the task.
      obs: Observations, ``[E, H + 1, obs_dim]``.
      length: Steps of each episode, ``[E]``.
      returns: ``[E]``.
      oracle: Return of the controller that knows the task, or None.
      belief: Posterior mean of z before each episode, ``[E, D]``.
      kl: Nats of each block, ``[E, blocks]``.
      prior: Episodes at the start in which nothing decides that was seen.
      acts_on_z: Whether the policy was given a z, and no belief.
      blocks: What the agent has a belief about, in order.
    """

    title: str
    obs: np.ndarray
    length: np.ndarray
    returns: np.ndarray
    oracle: float | None
    belief: np.ndarray
    kl: np.ndarray
    prior: int
    acts_on_z: bool
    blocks: list[Shown]


def of_case(case: Case, task: int) -> Adapting:
    """What the film of a test task, counted from 0, shows."""
    files = case.files

    def own(values):
        return case.of(values)[task, 0]

    oracle = files.oracle()
    return Adapting(
        title=f"{case.label} on {files.env[0]}, task {task + 1}",
        obs=own(files.arrays["path_test"]),
        length=own(files.length()),
        returns=own(files.returns()),
        oracle=None if oracle is None else float(case.of(oracle)[task]),
        belief=own(files.arrays["belief_test"]),
        kl=own(files.arrays["kl_test"]),
        prior=case.prior,
        acts_on_z=files.config.structure.acts_on_z,
        blocks=shown_blocks(case.space),
    )


def frames(case: Case, task: int) -> Iterator[np.ndarray]:
    """The frames of a film, ``[height, width, 3]``, bytes; about `MOST_FRAMES` at most, or two
    for each episode where these are more."""
    told = of_case(case, task)
    world = _world(case, told, task)
    with own_settings():
        figure = Figure(figsize=SIZE, dpi=DPI)
        canvas = FigureCanvasAgg(figure)
        axes = _Axes.on(figure, told.blocks)
        drawn = None
        for episode, step in _moments(told.length):
            if episode != drawn:
                _episode(axes, told, episode)
                drawn = episode
            axes.left.clear()
            world(axes.left, episode, step)
            canvas.draw()
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _world(case: Case, told: Adapting, task: int) -> Callable[[Axes, int, int], None]:
    """What draws a step: paths in the plane, what the environment sketches, or numbers."""
    if case.plane is not None:
        return plane_film.drawer(case.plane, told.obs, told.prior, plane_film.mark_of(case, task))
    if case.env is not None and case.env.sketch is not None:
        return film_sketch.drawer(case.env.sketch, told.obs, told.length, told.prior)
    return _traces(told)


class _Axes(NamedTuple):
    """Left, what happens; on the right, a panel per block above that of returns."""

    left: Axes
    blocks: list[Axes]
    returns: Axes

    @staticmethod
    def on(figure: Figure, blocks: list[Shown]) -> "_Axes":
        sides = figure.add_gridspec(
            1, 2, left=0.08, right=0.985, top=0.8, bottom=0.12, wspace=0.2, width_ratios=(1.25, 1)
        )
        right = sides[1].subgridspec(len(blocks) + 1, 1, hspace=0.75)
        each = [figure.add_subplot(right[i]) for i in range(len(blocks) + 1)]
        return _Axes(figure.add_subplot(sides[0]), each[:-1], each[-1])


def _moments(length: np.ndarray) -> list[tuple[int, int]]:
    """Episode and step of each frame; every episode begins and ends with one."""
    total = int(np.sum(length + 1 + _LAST))
    stride = max(1, math.ceil(total / MOST_FRAMES))
    found = []
    for episode, last in enumerate(length.tolist()):
        steps = [*range(0, last, stride), last]
        found += [(episode, step) for step in steps]
        found += [(episode, last)] * (_LAST // stride)
    return found


def _episode(axes: _Axes, told: Adapting, episode: int) -> None:
    """What stays as it is while an episode runs."""
    blind, z = episode < told.prior, "z from " if told.acts_on_z else ""
    given = ("the prior" if z else "nothing seen") if blind else f"what {episode} episodes showed"
    axes.left.figure.suptitle(f"{told.title}\nepisode {episode + 1}: {z}{given}", fontsize=13)
    start = 0
    for i, (ax, block) in enumerate(zip(axes.blocks, told.blocks, strict=True)):
        end = start + block.variables * block.size
        ax.clear()
        faint = told.kl[-1, i] < USED  # what moves there is no knowledge
        _belief(ax, block, told.belief[:, start:end], episode, 0.35 if faint else 1.0)
        nats = told.kl[episode, i]
        ax.set_title(f"belief of {block.name}: {nats:.2f} nats", fontsize=11)
        start = end
    axes.returns.clear()
    _returns(axes.returns, told, episode)


def _belief(ax: Axes, block: Shown, belief: np.ndarray, episode: int, alpha: float) -> None:
    """Draws ``[E, N]`` at an episode: a bar per number, those of a variable side by side."""
    number = np.arange(belief.shape[1])
    x = number + 0.5 * (number // block.size)
    tint = [colours(block.size)[i % block.size] for i in number]
    ax.bar(x, belief[episode], color=tint, alpha=alpha)
    ax.plot(x, belief[0], linestyle="", marker="_", color=INK, markersize=9)
    ax.set_xticks([])
    if block.kind == SIMPLEX:
        ax.set(ylim=(0, 1.02), yticks=[0, 1])
        return
    reach = max(1.0, 1.1 * float(np.abs(belief).max()))
    ax.set(ylim=(-reach, reach))
    ax.axhline(0.0, color=INK, linewidth=0.6)


def _returns(ax: Axes, told: Adapting, episode: int) -> None:
    """Draws the returns up to an episode."""
    every = np.arange(1, len(told.returns) + 1)
    seen = every[: episode + 1]
    tint = [of_episode(e - 1, told.prior) for e in seen]
    ax.bar(seen, told.returns[: episode + 1], color=tint)
    bounds = [0.0, float(told.returns.min()), float(told.returns.max())]
    if told.oracle is not None:
        ax.axhline(told.oracle, color=INK, linestyle="--", linewidth=1.0)
        bounds.append(told.oracle)
    margin = _MARGIN * (max(bounds) - min(bounds)) or 1.0
    low = min(bounds) - (margin if min(bounds) < 0 else 0.0)
    ax.set(xlim=(0.4, every[-1] + 0.6), ylim=(low, max(bounds) + margin))
    name = "return by episode" + ("" if told.oracle is None else " (dashed: oracle)")
    ax.set_title(name, fontsize=11)


def _traces(told: Adapting) -> Callable[[Axes, int, int], None]:
    """Draws the numbers of an observation that vary most against time, each in its own band."""
    columns = most_varied(told.obs, _MOST_TRACES)
    own = told.obs[..., columns]
    low, high = own.min(axis=(0, 1)), own.max(axis=(0, 1))
    bands = (own - low) / np.where(high > low, high - low, 1.0) * 0.85 + np.arange(len(columns))

    def draw(ax: Axes, episode: int, step: int) -> None:
        for e in range(episode):
            ax.plot(bands[e], color=of_episode(e, told.prior), linewidth=0.6, alpha=0.4)
        ax.plot(bands[episode, : step + 1], color=INK, linewidth=2.2)
        ax.set(xlim=(0, bands.shape[1] - 1), ylim=(-0.1, len(columns)), xlabel="step")
        ax.set_yticks(np.arange(len(columns)) + 0.4, [f"obs {i + 1}" for i in columns])

    return draw
