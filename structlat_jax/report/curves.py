"""Finished runs as lines of the figures that compare them."""

import numpy as np

from structlat_jax.report.figures_compare import Curve
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.run_files import evaluations


def learning(label: str, run: RunFiles) -> Curve:
    """Return of the last episode on test tasks against updates, from that of the untrained policy.

    Raises:
      CheckpointError: if the run does not have it.
    """
    updates, returns = evaluations(run, "test_return")
    if len(returns) == len(run.floor()):
        start = run.floor().mean(axis=1, keepdims=True)
        updates, returns = np.r_[0.0, updates], np.concatenate([start, returns], axis=1)
    return Curve(label, updates, returns, **_bounds(run))


def adapting(label: str, run: RunFiles) -> Curve:
    """Return on test tasks against the number of the episode."""
    return _by_episode(label, run.returns(), **_bounds(run))


def solving(label: str, run: RunFiles) -> Curve:
    """Test tasks that an episode solves, in percent, against the number of the episode; for runs
    whose environment says when it succeeds."""
    return _by_episode(label, 100.0 * run.success())


def _by_episode(label: str, measured: np.ndarray, **bounds: float | None) -> Curve:
    """Of ``[S, T, R, E]``."""
    by_episode = measured.mean(axis=(1, 2))
    return Curve(label, np.arange(1, by_episode.shape[1] + 1), by_episode, **bounds)


def _bounds(run: RunFiles) -> dict[str, float | None]:
    """Mean return on test tasks of the oracle, if anybody knows it, and of the untrained policy."""
    oracle = run.oracle()
    return {
        "oracle": None if oracle is None else float(oracle.mean()),
        "floor": float(run.floor().mean()),
    }
