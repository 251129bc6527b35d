"""Return against gradient updates while training, and against episodes while adapting."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from structlat_jax.report.figures_axes import episode_ticks, from_zero, returns_axis
from structlat_jax.report.figures_style import (
    PALETTE,
    arrays,
    colours,
    seed_lines,
    seeds_note,
    styled,
)
from structlat_jax.report.parts import OF_Z, Words


@styled
def learning_curve(
    updates: ArrayLike,
    test_return: ArrayLike,
    train_return: ArrayLike,
    prior_return: ArrayLike,
    title: str = "",
    oracle: float | None = None,
    floor: float | None = None,
    kl: ArrayLike | None = None,
    block_names: Sequence[str] = (),
    words: Words = OF_Z,
) -> Figure:
    """Return and KL while training: mean over seeds, 95 % t-interval, thin lines for seeds.

    Args:
      updates: Gradient updates done at each evaluation, ``[P]``.
      test_return: Return of the last episode on test tasks, per evaluation, ``[S, P]``.
      train_return: The same on training tasks, ``[S, P]``.
      prior_return: Return of episodes in which nothing that was seen decides, ``[S, P]``.
      title: Stands above the figure, for instance the latent spec.
      oracle: Mean return of the controller that knows the task, if anybody knows it.
      floor: Mean return of the untrained policy.
      kl: KL of the posterior to the prior in nats, ``[S, P, blocks]``; None leaves it out.
      block_names: One per block of the latent space, for instance ``dir:2x4``.
      words: What these episodes are called.

    Raises:
      ValueError: if the shapes do not fit each other.
    """
    updates, test, train, prior = arrays(
        updates=(updates, "P"),
        test_return=(test_return, "S P"),
        train_return=(train_return, "S P"),
        prior_return=(prior_return, "S P"),
    )
    thousands = updates / 1000.0
    figure = Figure(figsize=(6.8, 4.4 if kl is None else 6.2), layout="constrained")
    axes = figure.subplots(
        *(1 if kl is None else 2, 1),
        sharex=True,
        squeeze=False,
        height_ratios=None if kl is None else (2.3, 1.0),
    )[:, 0]
    top, bottom = axes[0], axes[-1]

    seed_lines(top, thousands, test, PALETTE[0], "test tasks")
    seed_lines(top, thousands, train, PALETTE[5], "training tasks", "--")
    seed_lines(top, thousands, prior, PALETTE[7], f"test tasks, {words.before}", "-.")
    returns_axis(top, test, train, prior, oracle=oracle, floor=floor)
    top.set_ylabel("return of an episode")
    _legend_above(top, columns=2, title=seeds_note(test.shape[0]))
    if kl is not None:
        _kl_lines(bottom, thousands, kl, test.shape[0], block_names)
    bottom.set_xlabel("gradient updates (thousands)")
    bottom.margins(x=0.01)
    bottom.set_xlim(left=0.0)  # what came before the first evaluation belongs to the curve
    figure.align_ylabels(axes)
    figure.suptitle(title)
    return figure


def _kl_lines(
    ax: Axes, thousands: np.ndarray, kl: ArrayLike, seeds: int, names: Sequence[str]
) -> None:
    """Draws ``[S, P, blocks]``, a line per block."""
    (kl,) = arrays(kl=(kl, f"{seeds} {thousands.size} {len(names)}"))
    for i, (name, colour) in enumerate(zip(names, colours(len(names)), strict=True)):
        seed_lines(ax, thousands, kl[:, :, i], colour, name)
    from_zero(ax)
    ax.set_ylabel("KL to prior\n(nats)")
    _legend_above(ax, columns=4)


@styled
def adaptation_curve(
    returns: ArrayLike,
    prior_episodes: int,
    title: str = "",
    oracle: ArrayLike | None = None,
    floor: ArrayLike | None = None,
    words: Words = OF_Z,
) -> Figure:
    """Return against episode number on tasks that the agent must find out about.

    Args:
      returns: Return of each episode, ``[S, T, R, E]``.
      prior_episodes: Episodes at the start whose z came from the prior, 0 to E.
      title: Stands above the figure.
      oracle: Return of the controller that knows the task, ``[S, T]``, if anybody knows it.
      floor: Return of the untrained policy, ``[S, T]``.
      words: What the two kinds of episodes are called.

    Raises:
      ValueError: if the shapes do not fit each other.
    """
    known = {"oracle": oracle, "floor": floor}
    known = {name: (values, "S T") for name, values in known.items() if values is not None}
    returns, *bounds = arrays(returns=(returns, "S T R E"), **known)
    seeds, _, _, episodes = returns.shape
    by_episode = returns.mean(axis=(1, 2))
    figure = Figure(figsize=(6.8, 4.4), layout="constrained")
    ax = figure.subplots()

    seed_lines(ax, np.arange(1, episodes + 1), by_episode, PALETTE[0], "agent")
    means = {name: float(np.mean(b)) for name, b in zip(known, bounds, strict=True)}
    returns_axis(ax, by_episode, **means)
    ax.set(xlim=(0.5, episodes + 0.5), xticks=episode_ticks(episodes))
    ax.set(xlabel="episode", ylabel="return of an episode")

    shade_prior(ax, prior_episodes, episodes, words)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, title=seeds_note(seeds))
    if title:
        figure.suptitle(title)
    return figure


def shade_prior(ax: Axes, prior_episodes: int, episodes: int, words: Words = OF_Z) -> None:
    """Shades the episodes whose z came from the prior, and says above the axes which is which."""
    edge = min(prior_episodes, episodes) + 0.5
    if prior_episodes > 0:
        ax.axvspan(0.5, edge, color="#EDEDED", zorder=0, linewidth=0)
        _above(ax, (0.5 + edge) / 2, words.before)
    if prior_episodes < episodes:
        _above(ax, (edge + episodes + 0.5) / 2, words.after)


def _above(ax: Axes, x: float, text: str) -> None:
    ax.text(x, 1.02, text, transform=ax.get_xaxis_transform(), ha="center", va="bottom", size=11)


def _legend_above(ax: Axes, columns: int, title: str | None = None) -> None:
    ax.legend(loc=(0.0, 1.02), ncols=columns, borderaxespad=0.2, title=title, alignment="left")
