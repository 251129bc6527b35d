"""Where the return that is missing to the oracle goes: which tasks fail, and at which link."""

from typing import Any

import numpy as np

from structlat_jax.report.run_files import RunFiles
from structlat_jax.train.setup import make_setup


def links(run: RunFiles) -> dict[str, Any]:
    """The chain from a task to its return, on test tasks.

    Returns:
      ``tasks_found``: share of tasks (and repeats) rewarded in any episode before the last;
      ``found_percent``: return of the last episode on those, in % of the oracle's;
      ``far_share``: share of tasks whose goal lies farther than the reward's radius from every
      training goal; ``near_percent`` and ``far_percent``: return of the last episode on the other
      tasks and on those, in % of the oracle's. The last three are None for environments without
      goals; a percentage is None where there is nothing to take it of.
    """
    returns, oracle = run.arrays["returns_test"], run.arrays["oracle_test"]
    last = returns[..., -1]  # [S, T, R]
    best = np.broadcast_to(oracle[..., None], last.shape)
    found = (returns[..., :-1] > 0).any(axis=-1)
    far = _far(run)
    split = None if far is None else np.broadcast_to(far[..., None], last.shape)
    return {
        "tasks_found": float(found.mean()),
        "found_percent": _percent(last, best, found),
        "far_share": None if far is None else float(far.mean()),
        "near_percent": None if far is None else _percent(last, best, ~split),
        "far_percent": None if far is None else _percent(last, best, split),
    }


def _percent(values: np.ndarray, oracle: np.ndarray, where: np.ndarray) -> float | None:
    ceiling = float(oracle[where].sum())
    return 100.0 * float(values[where].sum()) / ceiling if ceiling > 0 else None


def _far(run: RunFiles) -> np.ndarray | None:
    """Which test goals no training goal is near, ``[S, T]``."""
    env = make_setup(run.config).env
    if env.goal is None or "goal_test" not in run.arrays:
        return None
    test, train = run.arrays["goal_test"], run.arrays["goal_train"]
    distance = np.linalg.norm(test[:, :, None] - train[:, None], axis=-1)
    return distance.min(axis=-1) > env.goal_radius
