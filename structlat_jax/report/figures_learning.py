"""Return against gradient updates while training, and against episodes while adapting."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from structlat_jax.report.figures_style import (
    PALETTE,
    arrays,
    colours,
    episode_ticks,
    from_zero,
    oracle_line,
    percent_axis,
    seed_lines,
    seeds_note,
    styled,
    top_at,
)


@styled
def learning_curve(
    updates: ArrayLike,
    test_return: ArrayLike,
    train_return: ArrayLike,
    prior_return: ArrayLike,
    oracle: float,
    title: str,
    kl: ArrayLike,
    block_names: Sequence[str],
) -> Figure:
    """Return and KL while training: mean over seeds, 95 % t-interval, thin lines for seeds.

    Args:
      updates: Gradient updates done at each evaluation, ``[P]``.
      test_return: Return of the last episode on test tasks, per evaluation, ``[S, P]``.
      train_return: The same on training tasks, ``[S, P]``.
      prior_return: Return of episodes whose z came from the prior, ``[S, P]``.
      oracle: Mean return of the controller that knows the task.
      title: Stands above the figure, for instance the latent spec.
      kl: KL of the posterior to the prior in nats, ``[S, P, blocks]``.
      block_names: One per block of the latent space, for instance ``dir:2x4``.

    Raises:
      ValueError: if the shapes do not fit each other.
    """
    updates, test, train, prior, kl = arrays(
        updates=(updates, "P"),
        test_return=(test_return, "S P"),
        train_return=(train_return, "S P"),
        prior_return=(prior_return, "S P"),
        kl=(kl, f"S P {len(block_names)}"),
    )
    thousands = updates / 1000.0
    figure = Figure(figsize=(6.8, 6.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.3, 1.0))

    seed_lines(top, thousands, test, PALETTE[0], "test tasks")
    seed_lines(top, thousands, train, PALETTE[5], "training tasks", "--")
    seed_lines(top, thousands, prior, PALETTE[7], "test tasks, z from prior", "-.")
    oracle_line(top, oracle)
    from_zero(top, test, train, prior)
    top.set_ylabel("return of an episode")
    top_at(top, oracle, test, train, prior)
    percent_axis(top, oracle)
    _legend_above(top, columns=2, title=seeds_note(test.shape[0]))

    for i, (name, colour) in enumerate(zip(block_names, colours(len(block_names)), strict=True)):
        seed_lines(bottom, thousands, kl[:, :, i], colour, name)
    from_zero(bottom, kl)
    bottom.set(ylabel="KL to prior\n(nats)", xlabel="gradient updates (thousands)")
    _legend_above(bottom, columns=4)
    bottom.margins(x=0.01)

    figure.align_ylabels([top, bottom])
    figure.suptitle(title)
    return figure


@styled
def adaptation_curve(
    returns: ArrayLike, oracle: ArrayLike, prior_episodes: int, title: str = ""
) -> Figure:
    """Return against episode number on tasks that the agent must find out about.

    Args:
      returns: Sparse return of each episode, ``[S, T, R, E]``.
      oracle: Return of the controller that knows the task, ``[S, T]``.
      prior_episodes: Episodes at the start whose z came from the prior, 0 to E.
      title: Stands above the figure.

    Raises:
      ValueError: if the shapes do not fit each other.
    """
    returns, oracle = arrays(returns=(returns, "S T R E"), oracle=(oracle, "S T"))
    seeds, _, _, episodes = returns.shape
    ceiling = float(np.mean(oracle))
    number = np.arange(1, episodes + 1)
    figure = Figure(figsize=(6.8, 4.4), layout="constrained")
    ax = figure.subplots()

    seed_lines(ax, number, returns.mean(axis=(1, 2)), PALETTE[0], "agent")
    oracle_line(ax, ceiling)
    ax.set(xlim=(0.5, episodes + 0.5), xticks=episode_ticks(episodes))
    from_zero(ax, returns)
    top_at(ax, ceiling, returns.mean(axis=(1, 2)))
    ax.set(xlabel="episode", ylabel="return of an episode")
    percent_axis(ax, ceiling)

    shade_prior(ax, prior_episodes, episodes)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, title=seeds_note(seeds))
    if title:
        figure.suptitle(title)
    return figure


def shade_prior(ax: Axes, prior_episodes: int, episodes: int) -> None:
    """Shades the episodes whose z came from the prior, and says above the axes which is which."""
    edge = min(prior_episodes, episodes) + 0.5
    if prior_episodes > 0:
        ax.axvspan(0.5, edge, color="#EDEDED", zorder=0, linewidth=0)
        _above(ax, (0.5 + edge) / 2, "z from prior")
    if prior_episodes < episodes:
        _above(ax, (edge + episodes + 0.5) / 2, "z from posterior")


def _above(ax: Axes, x: float, text: str) -> None:
    ax.text(x, 1.02, text, transform=ax.get_xaxis_transform(), ha="center", va="bottom", size=11)


def _legend_above(ax: Axes, columns: int, title: str | None = None) -> None:
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        title=title,
        alignment="left",
    )
