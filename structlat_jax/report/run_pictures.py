"""The pictures that a run leaves in its folder."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from structlat_jax.config import Config
from structlat_jax.envs.base import AnyEnv
from structlat_jax.latents import LatentSpace, block_names
from structlat_jax.report.figures_belief import belief
from structlat_jax.report.figures_learning import adaptation_curve, learning_curve
from structlat_jax.report.figures_style import save
from structlat_jax.report.finished_run import factors_of, name_of_labels
from structlat_jax.report.parts import Words, believed, shown_blocks, title, words
from structlat_jax.report.plane import run_maps

__all__ = ["of_run", "save"]


def of_run(
    env: AnyEnv,
    config: Config,
    arrays: Mapping[str, np.ndarray],
    rows: list[dict[str, Any]],
    results: dict[str, Any],
) -> dict[str, Callable[[], Figure]]:
    """The pictures by their names, drawn when they are called; the first seed is shown where there
    is one to be shown.

    Args:
      env: The environment.
      config: The run's.
      arrays: As in ``adaptation.npz``, without the seeds that are not finite.
      rows: Of ``metrics.csv``.
      results: The fields of ``results.json``.
    """
    about, prior = f"{title(config)} on {env.name}", config.structure.blind_episodes
    space = believed(config)
    spread, own = arrays.get("spread_test"), words(config)
    made = {
        "learning_curve": lambda: _learning(
            space, rows, results, f"Return while training\n{about}", own
        ),
        "adaptation_curve": lambda: adaptation_curve(
            *(arrays["returns_test"], prior, f"Return on tasks never seen before\n{about}"),
            *(arrays.get("oracle_test"), arrays["floor_test"], own),
        ),
    }
    if space.blocks:
        made["belief"] = lambda: belief(
            *(shown_blocks(space), arrays["belief_test"][0, :, 0], arrays["label_test"][0]),
            *(name_of_labels(arrays["label_test"], factors_of(arrays, "test")), prior),
            title=f"What the agent believes before each episode\n{about}",
            kl=arrays["kl_test"][0, :, 0],
            spread=None if spread is None else spread[0, :, 0],
        )
    if env.plane is None:
        return made
    return {**made, **run_maps.of_run(env.plane, arrays, prior, about, own)}


def _learning(
    space: LatentSpace,
    rows: list[dict[str, Any]],
    results: dict[str, Any],
    title: str,
    own: Words,
) -> Figure:
    measured = [row for row in rows if "test_return" in row]
    failed = {one["seed"] for one in results.get("failed_seeds", [])}
    seeds = sorted({row["seed"] for row in measured} - failed)
    names = block_names(space)

    def column(name):
        each = [[row[name] for row in measured if row["seed"] == seed] for seed in seeds]
        return np.array(each)

    kl = None
    if names and all(f"kl {name}" in row for row in measured for name in names):
        kl = np.stack([column(f"kl {name}") for name in names], axis=-1)
    return learning_curve(
        updates=np.array([row["updates"] for row in measured if row["seed"] == seeds[0]]),
        test_return=column("test_return"),
        train_return=column("train_return"),
        prior_return=column("test_prior_return"),
        title=title,
        oracle=results.get("oracle_return"),
        floor=results.get("floor_return"),
        kl=kl,
        block_names=names,
        words=own,
    )
