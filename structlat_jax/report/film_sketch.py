"""The moving part of a film where the environment says how what it observes is drawn as lines."""

import functools
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from structlat_jax.report.figures_style import INK, of_episode

_AROUND = 0.8  # of the larger of width and height, on each side of what is drawn


def drawer(
    sketch: Callable[[np.ndarray], np.ndarray], obs: np.ndarray, length: np.ndarray, prior: int
) -> Callable[[Axes, int, int], None]:
    """A function that draws a step of an episode: the lines of that step, and how far it got.

    Args:
      sketch: `Env.sketch`.
      obs: Observations, ``[E, H + 1, obs_dim]``.
      length: Steps of each episode, ``[E]``.
      prior: Episodes at the start whose z came from the prior.
    """

    @functools.lru_cache(maxsize=2)
    def lines_of(episode: int) -> np.ndarray:
        return np.asarray(sketch(obs[episode, : length[episode] + 1]))

    @functools.cache
    def size() -> np.ndarray:
        """Width and height of what is drawn, the widest of the first episode."""
        points = lines_of(0).reshape(len(lines_of(0)), -1, 2)
        return np.ptp(points, axis=1).max(axis=0)

    def draw(ax: Axes, episode: int, step: int) -> None:
        lines = lines_of(episode)
        middles = lines[:, 0].mean(axis=1)
        tint = of_episode(episode, prior)
        wide, high = size() + 2 * _AROUND * size().max()
        here, below = middles[step, 0], 0.1 * high
        ax.axhline(0.0, color=INK, linewidth=0.8)
        ax.plot(*middles[: step + 1].T, color=tint, linewidth=1.2)
        ax.add_collection(LineCollection(lines[step], colors=INK, linewidths=4, capstyle="round"))
        ax.set(xlim=(here - wide / 2, here + wide / 2), ylim=(-below, high - below))
        ax.set(xlabel="metres along", aspect="equal")
        ax.set_title(f"step {step} of {length[episode]}", fontsize=11)

    return draw
