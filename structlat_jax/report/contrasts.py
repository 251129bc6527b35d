"""What a run differs from another in, paired by seed: the measures in which structure may help."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from structlat_jax.report import results
from structlat_jax.report.finished_run import RunFiles


def _first_posterior(run: RunFiles) -> np.ndarray:
    return results.first_posterior(run.returns(), run.config.structure.blind_episodes)


def _last(found: np.ndarray | None) -> np.ndarray | None:
    return None if found is None else results.last_episode(found)


def _reached(run: RunFiles) -> np.ndarray | None:
    found = run.success()
    if found is None:
        return None
    return results.reached_by_prior(found, run.config.structure.blind_episodes)


MEASURES: Mapping[str, Callable[[RunFiles], np.ndarray | None]] = MappingProxyType(
    {
        "test_return": lambda run: results.last_episode(run.returns()),
        "first_posterior_return": _first_posterior,
        "amortised_return": lambda run: _last(run.encoder()),
        "test_success": lambda run: _last(run.success()),
        "tasks_reached_by_prior": _reached,
    }
)
"""By name, as in `table.row`, from a run to one number per seed, ``[S]``, on its test tasks; None
where the environment or the run has no such thing."""


def contrasts(run: RunFiles, first: RunFiles) -> dict[str, dict[str, Any] | None]:
    """By measure, the difference of a run to another one of the same seeds.

    Args:
      run: A run.
      first: What it is compared with.

    Returns:
      Of each of `MEASURES`, `results.over_seeds` of the differences, where both are finite; None
      where one of the two has no such measure.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for name, measure in MEASURES.items():
        ours, theirs = measure(run), measure(first)
        known = ours is not None and theirs is not None
        found[name] = results.over_seeds(ours - theirs) if known else None
    return found
