"""The numbers of a table of latent spaces: one row per run, each compared with the row before it.

Rows stand in the order of the paper's returns, so that comparing neighbours asks whether the
paper's ordering holds. A seed fixes the tasks: rows with the same seeds are paired by seed.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from structlat_jax.checkpoint import CheckpointError
from structlat_jax.report import results, statistics
from structlat_jax.report.links import links
from structlat_jax.report.run_files import RESULTS_FILE, RunFiles

TABLE_SCHEMA = 1
SHARE_OF_ORACLE = 0.8

PAPER_RETURNS = {
    "gau:5": 10.2,
    "cat:2x4": 4.6,
    "cat:2x4,gau:2": 9.5,
    "dir:2x4": 11.3,
    "dir:2x4,gau:2": 12.2,
}
"""Table 1 of the paper, in its order; it gives neither seeds nor spread."""

_SETTINGS = ("preset", "env", "seeds", "first_seed", "updates", "jax_version", "device")
_KINDS = ("train", "test")
_MEASURES = (
    "test_return",
    "percent_of_oracle",
    "amortised_return",
    "train_return",
    "prior_return",
    "first_posterior_return",
    "first_posterior_share",
    "tasks_reached_by_prior",
    "episodes_to_80_percent_of_oracle",
    "links",
)


def paper_order(latents: Iterable[str]) -> list[str]:
    """From the paper's lowest return to its highest; others behind, in the order given."""
    return sorted(latents, key=lambda latent: PAPER_RETURNS.get(latent, np.inf))


def build(runs: Sequence[RunFiles]) -> dict[str, Any]:
    """The table of latent spaces, ready for JSON.

    Args:
      runs: Finished runs of different latent spaces with the same seeds, in any order.

    Returns:
      ``settings``, ``rows`` (see `row`) in `paper_order`, and ``comparisons`` (see `compare`) of
      each row but the first with the row before it.

    Raises:
      CheckpointError: if a run lacks a number, or if they do not share seeds and test tasks.
    """
    by_latent = {run.latent: run for run in runs}
    ordered = paper_order(by_latent)
    rows = _rows({latent: by_latent[latent] for latent in ordered})
    pairs = zip(rows[1:], rows[:-1], strict=True)
    title = "Does the paper's ordering hold? Each row against the one before it"
    return _table(by_latent[ordered[0]], rows, pairs, title)


def build_arms(runs: dict[str, RunFiles]) -> dict[str, Any]:
    """A table of variants of one latent space, by label; as `build`, but every row is compared
    with the first."""
    rows = _rows(runs)
    pairs = ((one, rows[0]) for one in rows[1:])
    return _table(next(iter(runs.values())), rows, pairs, "Each row against the first")


def _rows(runs: dict[str, RunFiles]) -> list[dict[str, Any]]:
    first, *others = runs.values()
    for run in others:
        _require_pairs(first, run)
    return [{**row(run), "latent": label} for label, run in runs.items()]


def _table(
    run: RunFiles, rows: list[dict], pairs: Iterable[tuple[dict, dict]], title: str
) -> dict[str, Any]:
    return {
        "schema_version": TABLE_SCHEMA,
        "settings": {name: _field(run, name) for name in _SETTINGS},
        "rows": rows,
        "comparisons": [compare(*pair) for pair in pairs],
        "comparisons_title": title,
    }


def row(run: RunFiles) -> dict[str, Any]:
    """One run.

    Returns:
      ``latent``, ``paper_return`` (None if it has none), ``seeds``, ``not_finite_seeds`` (seed
      numbers; the measures are None unless it is empty), ``oracle_return``,
      ``seconds_per_seed_and_core``, and the measures. ``test_return`` holds mean, std,
      ``mean_ci95``, ``iqm``, ``iqm_ci95``, per_seed; ``amortised_return`` the same for the
      encoder's posterior, as in the paper; ``links`` are those of `links.links`.
    """
    finite, first = _finite(run), _number(run, "first_seed")
    return {
        "latent": run.latent,
        "paper_return": PAPER_RETURNS.get(run.latent),
        "seeds": run.seeds,
        "not_finite_seeds": [first + int(seed) for seed in np.flatnonzero(~finite)],
        "oracle_return": float(run.arrays["oracle_test"].mean()),
        "seconds_per_seed_and_core": _seconds(run),
        **(_measures(run) if finite.all() else dict.fromkeys(_MEASURES)),
    }


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Whether one row of `build` is better than another, seed by seed.

    Returns:
      ``latent`` and ``against``; ``probability``: the share of seeds in which the first has the
      higher test return, ties counting half, with its bootstrap interval; ``difference``: mean
      and standard deviation over seeds of the paired differences, with Student's interval;
      ``told_apart``: whether that interval excludes 0; ``seeds_needed`` to tell them apart if
      they are not, None if the seeds give no answer. All None if a row is not finite.
    """
    names = {"latent": ours["latent"], "against": theirs["latent"]}
    if ours["test_return"] is None or theirs["test_return"] is None:
        unknown = ("probability", "difference", "told_apart", "seeds_needed")
        return {**names, **dict.fromkeys(unknown)}
    pair = [np.array(side["test_return"]["per_seed"]) for side in (ours, theirs)]
    wins = statistics.paired_wins(*pair)
    # Student's, not the bootstrap: it is honest with few seeds, and `seeds_needed` is about it.
    difference = results.over_seeds(pair[0] - pair[1])
    interval = difference["ci95"]
    apart = None if interval is None else statistics.excludes_zero(interval)
    return {
        **names,
        "probability": {"value": float(wins.mean()), "ci95": statistics.bootstrap_interval(wins)},
        "difference": difference,
        "told_apart": apart,
        "seeds_needed": None if apart else statistics.seeds_needed(pair[0] - pair[1]),
    }


def _finite(run: RunFiles) -> np.ndarray:
    """Whether all is well with each seed, ``[S]``.

    Returns alone do not tell: a robot at NaN is not within reach of its goal, and is paid 0.
    """
    arrays = [
        run.arrays[f"{a}_{kind}"] for a in ("returns", "amortised", "path", "z") for kind in _KINDS
    ]
    return np.all([np.isfinite(x).reshape(run.seeds, -1).all(axis=1) for x in arrays], axis=0)


def _measures(run: RunFiles) -> dict[str, Any]:
    test, oracle = run.arrays["returns_test"], run.arrays["oracle_test"]
    prior = run.config.structure.eval_prior_episodes
    train, amortised = run.arrays["returns_train"], run.arrays["amortised_test"]
    summary = results.summarise(test, train, amortised, oracle, prior)
    last, level = summary["test_return"]["mean"], SHARE_OF_ORACLE * summary["oracle_return"]
    own = {
        "test_return": _over_seeds(summary["test_return"]),
        "amortised_return": _over_seeds(summary["amortised_return"]),
        "train_return": summary["train_return"]["mean"],
        "first_posterior_share": summary["first_posterior_return"] / last if last else None,
        "episodes_to_80_percent_of_oracle": results.episodes_until_level(test, level),
        "links": links(run),
    }
    return {name: own.get(name, summary.get(name)) for name in _MEASURES}


def _over_seeds(headline: dict[str, Any]) -> dict[str, Any]:
    per_seed = np.array(headline["per_seed"])
    iqm = statistics.interquartile_mean
    return {
        "mean": headline["mean"],
        "std": headline["std"],
        "mean_ci95": statistics.bootstrap_interval(per_seed),
        "iqm": float(iqm(per_seed)),
        "iqm_ci95": statistics.bootstrap_interval(per_seed, iqm),
        "per_seed": headline["per_seed"],
    }


def _seconds(run: RunFiles) -> float:
    """Training and evaluation of one seed without compilation; a device runs its seeds in turn,
    those of other runs of a sweep among them."""
    devices = re.match(r"[1-9]\d*(?= x )", str(_field(run, "device")))
    if devices is None:
        raise CheckpointError(f"{run.path / RESULTS_FILE} does not say how many devices it had.")
    seconds = _number(run, "wall_seconds") - _number(run, "compile_seconds")
    lanes = _number(run, "lanes") if "lanes" in run.results else run.seeds
    return seconds / math.ceil(lanes / int(devices[0]))


def _field(run: RunFiles, name: str) -> Any:
    try:
        return run.results[name]
    except KeyError:
        raise CheckpointError(f"{run.path / RESULTS_FILE} has no {name}.") from None


def _number(run: RunFiles, name: str) -> float:
    value = _field(run, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CheckpointError(f"{run.path / RESULTS_FILE}: {name} must be a number, not {value!r}.")
    return value


def _require_pairs(one: RunFiles, other: RunFiles) -> None:
    for name in ("seeds", "first_seed"):
        if _field(one, name) != _field(other, name):
            raise CheckpointError(f"{one.path} and {other.path} differ in {name}.")
    oracles = one.arrays["oracle_test"], other.arrays["oracle_test"]
    if oracles[0].shape != oracles[1].shape or not np.allclose(*oracles, rtol=1e-4):
        raise CheckpointError(f"{one.path} and {other.path} have other test tasks.")
