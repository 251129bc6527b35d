"""Several runs in one picture: returns while training, and while adapting."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from structlat_jax.report.figures_axes import episode_ticks, returns_axis
from structlat_jax.report.figures_learning import shade_prior
from structlat_jax.report.figures_style import (
    INK,
    SEEDS_FOR_BAND,
    arrays,
    colours,
    seed_lines,
    styled,
)

_STYLES = ("-", (0, (6, 1.5)), (0, (4, 1.2, 1, 1.2)), (0, (2, 1)))  # for who sees no colours
_REPORTED = {"marker": "<", "markersize": 8, "markeredgecolor": INK}
_FAR = 1.5  # times as far from the best as the next


class Curve(NamedTuple):
    """A run in a picture of several.

    Attributes:
      label: Stands in the legend, for instance the latent spec.
      x: Updates done, or the number of the episode, ``[P]``.
      returns: Return of an episode, ``[S, P]``.
      oracle: Mean return of the controller that knows the task, if anybody knows it.
      floor: Mean return of the untrained policy.
      reported: What others report of the last return, which a mark at the right edge shows.
    """

    label: str
    x: ArrayLike
    returns: ArrayLike
    oracle: float | None = None
    floor: float | None = None
    reported: float | None = None


@styled
def learning_curves(
    curves: Sequence[Curve], title: str = "", along: str = "gradient updates (thousands)"
) -> Figure:
    """Return of the last episode on test tasks while training, one line per run.

    Dots are evaluations; the first may be of the untrained policy.

    A line is the mean over seeds and its band their 95 % t-interval; runs of two seeds show both
    seeds instead.

    Args:
      curves: One per run; ``x`` in gradient updates, or in thousandths of what ``along`` says.
      title: Stands above the figure.
      along: What the curves run along.

    Raises:
      ValueError: if there is no curve, or if the shapes of one do not fit each other.
    """
    figure, ax = _figure(curves)
    _lines(ax, [curve._replace(x=np.asarray(curve.x) / 1000.0) for curve in curves])
    ax.set(xlabel=along, ylabel="return of the last episode, test tasks")
    ax.margins(x=0.01)
    _finish(figure, ax, curves, title)
    return figure


@styled
def adaptation_curves(
    curves: Sequence[Curve],
    prior_episodes: Sequence[int],
    title: str = "",
    measured: str = "return of an episode, test tasks",
) -> Figure:
    """Return against the number of the episode on test tasks, one line per run.

    Of several runs whose seeds and episodes are as many, a second panel has the difference to the
    one that returns most in the end, paired by seed, which tells lines apart that lie on each
    other; where one of them is far from all others, its scale is theirs.

    Args:
      curves: One per run; ``x`` counts episodes from 1.
      prior_episodes: Episodes at the start whose z came from the prior, one number per run; they
        are shaded, those of the run that has most of them.
      title: Stands above the figure.
      measured: What the curves show in place of returns, if they do.

    Raises:
      ValueError: if there is no curve, if the shapes of one do not fit each other, or if there are
        not as many numbers of prior episodes as curves.
    """
    if len(prior_episodes) != len(curves):
        raise ValueError(
            f"prior_episodes must be [{len(curves)}], one per curve, not [{len(prior_episodes)}]."
        )
    paired = _paired(curves)
    figure, ax, *below = _figure(curves, 1 if paired is None else 2)
    _lines(ax, curves)
    if paired is not None:
        _differences(below[0], curves, *paired)
    episodes = max(len(curve.x) for curve in curves)
    ax.set(xlim=(0.5, episodes + 0.5), xticks=episode_ticks(episodes))
    (below or [ax])[-1].set_xlabel("episode")
    ax.set_ylabel(measured)
    shade_prior(ax, max(prior_episodes), episodes)
    _finish(figure, ax, curves, title)
    return figure


def _figure(curves: Sequence[Curve], rows: int = 1) -> tuple[Figure, *tuple[Axes, ...]]:
    if not curves:
        raise ValueError("curves must hold at least one curve.")
    tall = 4.6 + 2.0 * (rows - 1) + 0.22 * ((len(curves) + 1) // 2)
    figure = Figure(figsize=(6.8, tall), layout="constrained")
    ratios = [2.4] + [1.0] * (rows - 1)
    axes = figure.subplots(rows, 1, squeeze=False, sharex=True, height_ratios=ratios)
    return figure, *axes[:, 0]


def _lines(ax: Axes, curves: Sequence[Curve]) -> None:
    for i, (curve, colour) in enumerate(zip(curves, colours(len(curves)), strict=True)):
        x, returns = arrays(x=(curve.x, "P"), returns=(curve.returns, "S P"))
        seed_lines(ax, x, returns, colour, curve.label, _STYLES[i % len(_STYLES)], thin=False)
        if curve.reported is not None:
            edge = {"transform": ax.get_yaxis_transform(), "clip_on": False, "zorder": 5}
            ax.plot(1.0, curve.reported, color=colour, **_REPORTED, **edge)


def _paired(curves: Sequence[Curve]) -> tuple[int, np.ndarray] | None:
    """Which curve ends highest, and what all return less than it, ``[C, S, P]``; None if they
    cannot be paired."""
    each = [arrays(returns=(curve.returns, "S P"))[0] for curve in curves]
    alike = {one.shape for one in each} if len(each) > 1 else set()
    if len(alike) != 1 or not np.isfinite(each).all():
        return None
    best = int(np.argmax([one[:, -1].mean() for one in each]))
    return best, np.array(each) - each[best]


def _differences(ax: Axes, curves: Sequence[Curve], best: int, apart: np.ndarray) -> None:
    """Draws ``[C, S, P]`` but for the zeros of the best."""
    for i, colour in enumerate(colours(len(curves))):
        if i != best:
            style = _STYLES[i % len(_STYLES)]
            seed_lines(ax, np.asarray(curves[i].x), apart[i], colour, "", style, thin=False)
    ax.axhline(0.0, color=INK, linewidth=0.8)
    ax.set_ylabel(f"difference to\n{curves[best].label}")
    reach = np.sort(np.abs(apart.mean(axis=1)).max(axis=1))[1:]
    if len(reach) > 2 and reach[-1] > _FAR * reach[-2] > 0:
        ax.set_ylim(-1.6 * reach[-2], 1.6 * reach[-2])


def _finish(figure: Figure, ax: Axes, curves: Sequence[Curve], title: str) -> None:
    """The oracle, both scales, the legend and what its lines mean."""
    oracle, alike = _shared([curve.oracle for curve in curves])
    floor, _ = _shared([curve.floor for curve in curves])
    every = [np.asarray(curve.returns, dtype=float) for curve in curves]
    name = "oracle" if alike else "oracle (mean over the runs)"
    returns_axis(ax, *every, oracle=oracle, floor=floor, named=name)
    seeds = sorted({np.shape(curve.returns)[0] for curve in curves})
    handles, labels = ax.get_legend_handles_labels()
    if any(curve.reported is not None for curve in curves):
        handles.append(Line2D([], [], linestyle="", color=INK, **_REPORTED))
        labels.append("as published")
    figure.legend(handles, labels, loc="outside lower center", ncols=2, title=_note(seeds))
    if title:
        figure.suptitle(title)


def _shared(values: Sequence[float | None]) -> tuple[float | None, bool]:
    """The mean, and whether all are alike; None unless all are known."""
    if any(value is None for value in values):
        return None, True
    mean = float(np.mean(values))
    return mean, bool(np.allclose(values, mean, rtol=1e-3))


def _note(seeds: Sequence[int]) -> str:
    """What line and band are, given the numbers of seeds that occur, in order."""
    if seeds[-1] == 1:
        return "one seed"
    some = str(seeds[-1]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    parts = [f"line: mean over seeds ({some})"]
    if seeds[-1] >= SEEDS_FOR_BAND:
        parts.append("band: its 95% t-interval")
    if any(1 < count < SEEDS_FOR_BAND for count in seeds):
        parts.append("thin: each of two seeds")
    return "; ".join(parts)
