"""Several runs in one picture: returns while training, and while adapting."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from structlat_jax.report.figures_axes import episode_ticks, returns_axis
from structlat_jax.report.figures_learning import shade_prior
from structlat_jax.report.figures_style import (
    SEEDS_FOR_BAND,
    arrays,
    colours,
    seed_lines,
    styled,
)


class Curve(NamedTuple):
    """A run in a picture of several.

    Attributes:
      label: Stands in the legend, for instance the latent spec.
      x: Updates done, or the number of the episode, ``[P]``.
      returns: Return of an episode, ``[S, P]``.
      oracle: Mean return of the controller that knows the task, if anybody knows it.
      floor: Mean return of the untrained policy.
    """

    label: str
    x: ArrayLike
    returns: ArrayLike
    oracle: float | None = None
    floor: float | None = None


@styled
def learning_curves(curves: Sequence[Curve], title: str = "") -> Figure:
    """Return of the last episode on test tasks while training, one line per run.

    A line is the mean over seeds and its band their 95 % t-interval; runs of two seeds show both
    seeds instead.

    Args:
      curves: One per run; ``x`` in gradient updates.
      title: Stands above the figure.

    Raises:
      ValueError: if there is no curve, or if the shapes of one do not fit each other.
    """
    figure, ax = _figure(curves)
    _lines(ax, [curve._replace(x=np.asarray(curve.x) / 1000.0) for curve in curves])
    ax.set(xlabel="gradient updates (thousands)", ylabel="return of the last episode, test tasks")
    ax.margins(x=0.01)
    _finish(figure, ax, curves, title)
    return figure


@styled
def adaptation_curves(
    curves: Sequence[Curve], prior_episodes: Sequence[int], title: str = ""
) -> Figure:
    """Return against the number of the episode on test tasks, one line per run.

    Args:
      curves: One per run; ``x`` counts episodes from 1.
      prior_episodes: Episodes at the start whose z came from the prior, one number per run; they
        are shaded, those of the run that has most of them.
      title: Stands above the figure.

    Raises:
      ValueError: if there is no curve, if the shapes of one do not fit each other, or if there are
        not as many numbers of prior episodes as curves.
    """
    if len(prior_episodes) != len(curves):
        raise ValueError(
            f"prior_episodes must be [{len(curves)}], one per curve, not [{len(prior_episodes)}]."
        )
    figure, ax = _figure(curves)
    _lines(ax, curves)
    episodes = max(len(curve.x) for curve in curves)
    ax.set(xlim=(0.5, episodes + 0.5), xticks=episode_ticks(episodes))
    ax.set(xlabel="episode", ylabel="return of an episode, test tasks")
    shade_prior(ax, max(prior_episodes), episodes)
    _finish(figure, ax, curves, title)
    return figure


def _figure(curves: Sequence[Curve]) -> tuple[Figure, Axes]:
    if not curves:
        raise ValueError("curves must hold at least one curve.")
    figure = Figure(figsize=(6.8, 4.6 + 0.22 * ((len(curves) + 1) // 2)), layout="constrained")
    return figure, figure.subplots()


def _lines(ax: Axes, curves: Sequence[Curve]) -> None:
    for curve, colour in zip(curves, colours(len(curves)), strict=True):
        x, returns = arrays(x=(curve.x, "P"), returns=(curve.returns, "S P"))
        seed_lines(ax, x, returns, colour, curve.label, thin=False)


def _finish(figure: Figure, ax: Axes, curves: Sequence[Curve], title: str) -> None:
    """The oracle, both scales, the legend and what its lines mean."""
    oracle, alike = _shared([curve.oracle for curve in curves])
    floor, _ = _shared([curve.floor for curve in curves])
    every = [np.asarray(curve.returns, dtype=float) for curve in curves]
    name = "oracle" if alike else "oracle (mean over the runs)"
    returns_axis(ax, *every, oracle=oracle, floor=floor, named=name)
    seeds = sorted({np.shape(curve.returns)[0] for curve in curves})
    handles, labels = ax.get_legend_handles_labels()
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
