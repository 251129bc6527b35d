"""Runs that differ in their seeds alone, as one run of all of these seeds."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from structlat_jax.report.finished_run import AXES, RunFiles
from structlat_jax.report.parts import believed
from structlat_jax.report.record import recovered
from structlat_jax.report.table import SECONDS, seconds
from structlat_jax.store.run_folder import CheckpointError

_AS_THEY_ARE = ("latent", "preset", "env", "env_options", "updates")
_IN_WORDS = ("jax_version", "device")
_BY_BLOCK = ("kl_nats", "block_used")


def join(runs: Sequence[RunFiles]) -> RunFiles:
    """One run of the seeds of several, the lowest first, as if it had trained them all.

    Args:
      runs: Finished runs, at least one.

    Returns:
      What a run has in memory, under the path of the one with the lowest seeds. Its results are
      what arrays do not say (what was trained, seconds per seed, ``kl_nats`` and ``block_used``),
      weighed by seeds, and recovery.

    Raises:
      CheckpointError: if the runs differ in more than their seeds, or if two have a seed in common
        or the seeds in between are missing.
    """
    runs = sorted(runs, key=_first)
    first = runs[0]
    for one, later in itertools.pairwise(runs):
        _require_next(one, later)
    names = [name for name in first.arrays if all(name in run.arrays for run in runs)]
    arrays = {
        name: first.arrays[name]
        if name == AXES
        else np.concatenate([run.arrays[name] for run in runs])
        for name in names
    }
    columns = [name for name in first.metrics if all(name in run.metrics for run in runs)]
    metrics = {name: np.concatenate([run.metrics[name] for run in runs]) for name in columns}
    whole = first._replace(arrays=arrays, metrics=metrics)
    return whole._replace(results=_results(runs, whole))


def _results(runs: Sequence[RunFiles], whole: RunFiles) -> dict[str, Any]:
    first = runs[0].results
    return {
        **{name: first[name] for name in _AS_THEY_ARE if name in first},
        **{name: _all_of([run.results.get(name) for run in runs]) for name in _IN_WORDS},
        "seeds": whole.seeds,
        "first_seed": _first(runs[0]),
        SECONDS: float(np.average([seconds(run) for run in runs], weights=[r.seeds for r in runs])),
        **{name: _by_block(name, runs) for name in _BY_BLOCK},
        **recovered(believed(whole.config), whole.arrays, whole.finite),
    }


def _by_block(name: str, runs: Sequence[RunFiles]) -> dict[str, float]:
    """The mean of a number per block over the seeds that are finite, as each run's own is."""
    known = [run for run in runs if run.finite.any()]
    own = [run.results.get(name, {}) for run in known]
    counts = [run.finite.sum() for run in known]
    blocks = [block for block in (own[0] if own else {}) if all(block in one for one in own)]
    return {
        block: float(np.average([one[block] for one in own], weights=counts)) for block in blocks
    }


def _all_of(values: Sequence[Any]) -> str:
    """What the runs were trained with: each thing once."""
    return ", ".join(dict.fromkeys(map(str, values)))


def _require_next(one: RunFiles, later: RunFiles) -> None:
    """That the seeds of a run follow those of another one, and that all else is the same."""
    both = f"{one.path} and {later.path}"
    if (one.config, one.env) != (later.config, later.env):
        raise CheckpointError(f"{both} differ in more than their seeds.")
    for name in ("updates", "preset"):
        if one.results.get(name) != later.results.get(name):
            raise CheckpointError(f"{both} differ in {name}.")
    begins, ended = _first(later), _first(one) + one.seeds
    if begins < ended:
        raise CheckpointError(f"{both} both have seed {begins}.")
    if begins > ended:
        missing = f"{ended}" if begins == ended + 1 else f"{ended} to {begins - 1}"
        raise CheckpointError(f"{both} have no seeds in between: {missing} missing.")


def _first(run: RunFiles) -> int:
    first = run.results.get("first_seed")
    if isinstance(first, bool) or not isinstance(first, int):
        raise CheckpointError(f"the results of {run.path} do not say its first_seed.")
    return first
