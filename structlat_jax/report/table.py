"""The numbers of a table of runs side by side: one row per run, each compared with another.

A seed fixes the tasks: rows with the same seeds are paired by seed. What an environment does not
have, an oracle or success, is in no row.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from structlat_jax.envs.base import Plane
from structlat_jax.report import intervals, results
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.links import links
from structlat_jax.report.plane.far import near_and_far
from structlat_jax.report.run_files import RESULTS_FILE
from structlat_jax.store.run_folder import CheckpointError

TABLE_SCHEMA = 1
SECONDS = "seconds_per_seed_and_core"
SHARE_OF_ORACLE = results.SHARE

_SETTINGS = ("preset", "env", "seeds", "first_seed", "updates", "jax_version", "device")
_FIRST = "Each row against the first"
_NEIGHBOURS = "Each row against the one before it"


class Published(NamedTuple):
    """What a paper says about the same runs.

    Attributes:
      returns: Its returns by latent spec.
      question: What it asks to compare each row with the row before it: a title.
      note: What must be known about its numbers, a sentence.
    """

    returns: Mapping[str, float]
    question: str
    note: str

    def order(self, latents: Iterable[str]) -> list[str]:
        """From its lowest return to its highest; others behind, in the order given."""
        return sorted(latents, key=lambda latent: self.returns.get(latent, math.inf))


def build(
    runs: Sequence[RunFiles], published: Published | None = None, plane: Plane | None = None
) -> dict[str, Any]:
    """The table of latent spaces, ready for JSON.

    Args:
      runs: Finished runs of different latent spaces with the same seeds.
      published: Adds ``paper_return`` to each row and decides their order, which is otherwise the
        one given.
      plane: The environment's, for what distance costs.

    Returns:
      ``settings``, ``rows`` (see `row`), and ``comparisons`` (see `compare`) of each row but the
      first with the row before it.

    Raises:
      CheckpointError: if a run lacks a number, or if they do not share environment, seeds and
        test tasks.
    """
    by_latent = {run.latent: run for run in runs}
    order = published.order(by_latent) if published else list(by_latent)
    rows = _rows({latent: by_latent[latent] for latent in order}, plane)
    pairs = zip(rows[1:], rows[:-1], strict=True)
    made = _table(by_latent[order[0]], rows, pairs, _NEIGHBOURS)
    if published:
        for one in rows:
            one["paper_return"] = published.returns.get(one["latent"])
        made |= {"comparisons_title": published.question, "paper_note": published.note}
    return made


def build_arms(runs: dict[str, RunFiles], plane: Plane | None = None) -> dict[str, Any]:
    """A table of variants of one latent space, by label; as `build`, but every row is compared
    with the first."""
    rows = _rows(runs, plane)
    pairs = ((one, rows[0]) for one in rows[1:])
    return _table(next(iter(runs.values())), rows, pairs, _FIRST)


def _rows(runs: dict[str, RunFiles], plane: Plane | None) -> list[dict[str, Any]]:
    first, *others = runs.values()
    for run in others:
        _require_pairs(first, run)
    return [{**row(run, plane), "latent": label} for label, run in runs.items()]


def _table(
    run: RunFiles, rows: list[dict], pairs: Iterable[tuple[dict, dict]], title: str
) -> dict[str, Any]:
    return {
        "schema_version": TABLE_SCHEMA,
        "settings": {name: _field(run, name) for name in _SETTINGS} | {"env_options": run.env[1]},
        "rows": rows,
        "comparisons": [compare(*pair) for pair in pairs],
        "comparisons_title": title,
    }


def row(run: RunFiles, plane: Plane | None = None) -> dict[str, Any]:
    """One run.

    Returns:
      ``latent``, ``seeds``, ``not_finite_seeds`` (seed numbers; the measures are None unless it is
      empty), ``seconds_per_seed_and_core``, and the measures that its environment allows.
      ``test_return`` holds mean, std, ``mean_ci95``, ``iqm``, ``iqm_ci95``, per_seed;
      ``amortised_return`` the same for the encoder's posterior, ``test_success`` for the share of
      test tasks whose last episode succeeds; ``links`` are those of
      `links.links` and `far.near_and_far`.
    """
    finite, first = run.finite, _number(run, "first_seed")
    return {
        "latent": run.latent,
        "seeds": run.seeds,
        "not_finite_seeds": [first + int(seed) for seed in np.flatnonzero(~finite)],
        SECONDS: seconds(run),
        **(_measures(run, plane) if finite.all() else dict.fromkeys(_measurable(run))),
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
    wins = intervals.paired_wins(*pair)
    # Student's, not the bootstrap: it is honest with few seeds, and `seeds_needed` is about it.
    difference = results.over_seeds(pair[0] - pair[1])
    interval = difference["ci95"]
    apart = None if interval is None else intervals.excludes_zero(interval)
    return {
        **names,
        "probability": {"value": float(wins.mean()), "ci95": intervals.bootstrap_interval(wins)},
        "difference": difference,
        "told_apart": apart,
        "seeds_needed": None if apart else intervals.seeds_needed(pair[0] - pair[1]),
    }


def _measurable(run: RunFiles) -> list[str]:
    """The measures that the run's environment allows."""
    names = ["test_return", "train_return", "prior_return", "first_posterior_return"]
    names += ["first_posterior_share", "floor_return", "links"]
    names += [] if run.encoder() is None else ["amortised_return"]
    names += [] if run.success() is None else ["test_success", "tasks_reached_by_prior"]
    oracle = ("oracle_return", "percent_of_oracle", "episodes_to_80_percent_of_oracle")
    return names if run.oracle() is None else [*names, *oracle]


def _measures(run: RunFiles, plane: Plane | None) -> dict[str, Any]:
    """Those measures, of a run whose seeds are all finite."""
    summary = results.summarise(
        *(run.returns(), run.returns("train"), run.encoder(), run.oracle()),
        run.config.structure.blind_episodes,
        *(run.floor(), run.success()),
    )
    last, first = summary["test_return"]["mean"], summary["first_posterior_return"]
    floor, oracle = summary["floor_return"], summary.get("oracle_return")
    share = None if floor is None else results.percent_of_way(first, floor, last)
    own = {
        "test_return": _over_seeds(summary["test_return"]),
        "train_return": summary["train_return"]["mean"],
        "first_posterior_share": None if share is None else share / 100.0,
        "links": {**links(run), **near_and_far(run, plane)},
    }
    if run.encoder() is not None:
        own["amortised_return"] = _over_seeds(summary["amortised_return"])
    if run.success() is not None:
        own["test_success"] = _over_seeds(summary["test_success"])
    if summary.get("percent_of_oracle") is not None:
        level = results.way(floor, oracle, SHARE_OF_ORACLE)
        own["episodes_to_80_percent_of_oracle"] = results.episodes_until_level(run.returns(), level)
    return {name: own.get(name, summary.get(name)) for name in _measurable(run)}


def _over_seeds(headline: dict[str, Any]) -> dict[str, Any]:
    per_seed = np.array(headline["per_seed"])
    iqm = intervals.interquartile_mean
    return {
        "mean": headline["mean"],
        "std": headline["std"],
        "mean_ci95": intervals.bootstrap_interval(per_seed),
        "iqm": float(iqm(per_seed)),
        "iqm_ci95": intervals.bootstrap_interval(per_seed, iqm),
        "per_seed": headline["per_seed"],
    }


def seconds(run: RunFiles) -> float:
    """Training and evaluation of one seed without compilation; a device runs its seeds in turn,
    those of other runs of a sweep among them. Runs that were joined say it themselves."""
    if SECONDS in run.results:
        return _number(run, SECONDS)
    devices = re.match(r"[1-9]\d*(?= x )", str(_field(run, "device")))
    if devices is None:
        raise CheckpointError(f"{run.path / RESULTS_FILE} does not say how many devices it had.")
    whole = _number(run, "wall_seconds") - _number(run, "compile_seconds")
    lanes = _number(run, "lanes") if "lanes" in run.results else run.seeds
    return whole / math.ceil(lanes / int(devices[0]))


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
    if one.env != other.env:
        raise CheckpointError(f"{one.path} and {other.path} have other environments.")
    for name in ("seeds", "first_seed"):
        if _field(one, name) != _field(other, name):
            raise CheckpointError(f"{one.path} and {other.path} differ in {name}.")
    for ours, theirs in zip(_tasks(one), _tasks(other), strict=False):
        if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=1e-4, equal_nan=True):
            raise CheckpointError(f"{one.path} and {other.path} have other test tasks.")


def _tasks(run: RunFiles) -> list[np.ndarray]:
    """What is known of the test tasks, each ``[S, T, ...]``."""
    oracle = run.oracle()
    return [run.label(), *([] if oracle is None else [oracle]), *run.factors().values()]
