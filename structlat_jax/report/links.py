"""Where the return that is missing to the oracle goes: what is not found, and what is then lost."""

from typing import Any

import numpy as np

from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.results import percent_of_way


def links(run: RunFiles) -> dict[str, Any]:
    """The chain from a task to its return, on test tasks.

    Returns:
      ``tasks_found``: share of tasks (and repeats) with a success in any episode before the last;
      ``found_percent``: return of the last episode on those, in % of the oracle's, None if there
      are none. What needs something that the environment does not have is left out.
    """
    success = run.success()
    if success is None:
        return {}
    found = success[..., :-1].any(axis=-1)
    share = {"tasks_found": float(found.mean())}
    return share if run.oracle() is None else {**share, "found_percent": percent(run, found)}


def percent(run: RunFiles, where: np.ndarray) -> float | None:
    """Return of the last episode on some test tasks, in percent of the way from the untrained
    policy's to the oracle's.

    Args:
      run: Of an environment with an oracle.
      where: Which tasks and repeats, ``[S, T, R]``.

    Returns:
      The percentage, or None if there is nothing to take it of.
    """
    if not where.any():
        return None
    last = run.returns()[..., -1]
    floor, oracle = (
        float(np.broadcast_to(x[..., None], last.shape)[where].mean())
        for x in (run.floor(), run.oracle())
    )
    return percent_of_way(float(last[where].mean()), floor, oracle)
