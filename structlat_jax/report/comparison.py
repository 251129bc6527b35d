"""Algorithms side by side: what they return by episode, and what it takes to get there.

Rows are those of `table.build_arms`, each compared with the first, seed by seed; beside them stand
environment steps, all that a run takes, and seconds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from structlat_jax.envs.base import Plane
from structlat_jax.report import cells, intervals, results, table
from structlat_jax.report.album import Album
from structlat_jax.report.cells import NOTHING, Cell, Row, Section
from structlat_jax.report.curves import adapting, learning
from structlat_jax.report.figures_compare import Curve, adaptation_curves, learning_curves
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.run_files import evaluations

Runs = Mapping[str, RunFiles]


def build(runs: Runs, plane: Plane | None = None) -> dict[str, Any]:
    """The table, ready for JSON: `table.build_arms` with more in each row.

    Args:
      runs: Finished runs of one environment and the same seeds by label.
      plane: The environment's.

    Returns:
      As there; each row has ``updates``, ``env_steps`` and ``seconds`` (per seed; those of the
      machine that ran it), ``by_episode`` (mean return of each episode over the finite seeds,
      ``[E]``), ``curve`` (of ``env_steps``, ``seconds`` and ``test_return``), and
      ``steps_to_share`` (see `steps_to_share`; None without an oracle).

    Raises:
      CheckpointError: as `table.build_arms`.
    """
    built = table.build_arms(dict(runs), plane)
    for row in built["rows"]:
        run = runs[row["latent"]]
        points, returns = evaluations(run, "test_return")
        steps = points * per_update(run)
        row |= {
            "updates": run.results["updates"],
            "env_steps": run.results["env_steps"],
            "seconds": row["seconds_per_seed_and_core"],
            "by_episode": _by_episode(run),
            "curve": {
                "env_steps": steps.tolist(),
                "seconds": seconds_at(run, points).tolist(),
                "test_return": [_known(one) for one in returns],
            },
            "steps_to_share": steps_to_share(run, steps, returns),
        }
    return built


def _by_episode(run: RunFiles) -> list[float | None]:
    """Mean return of each episode over the seeds that are finite, ``[E]``; None without any."""
    returns = run.returns()[run.finite]
    return returns.mean(axis=(0, 1, 2)).tolist() if len(returns) else [None] * returns.shape[-1]


def _known(values: np.ndarray) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]


def per_update(run: RunFiles) -> float:
    """Environment steps per gradient update of a seed."""
    return run.results["env_steps"] / run.results["updates"]


def seconds_at(run: RunFiles, points: np.ndarray) -> np.ndarray:
    """Seconds since the start at some updates ``[P]``, of all seeds of the run together."""
    updates, seconds = run.metrics["updates"], run.metrics["seconds"]
    return np.array([seconds[updates == point].max() for point in points])


def steps_to_share(run: RunFiles, steps: np.ndarray, returns: np.ndarray) -> dict[str, Any] | None:
    """Environment steps until the last episode on test tasks has made `results.SHARE` of the way
    from the untrained policy to the oracle, at the evaluations along training.

    Args:
      run: Of an algorithm.
      steps: At each evaluation, ``[P]``.
      returns: ``[S, P]``.

    Returns:
      ``per_seed`` (None where a seed never got there), ``reached`` (share of seeds) and, if all
      did, the ``median`` and its bootstrap interval ``ci95``. None if nobody knows the oracle.
    """
    oracle = run.oracle()
    if oracle is None:
        return None
    floor, best = run.floor().mean(axis=1), oracle.mean(axis=1)
    there = returns >= (floor + results.SHARE * (best - floor))[:, None]
    first = [float(steps[np.argmax(one)]) if one.any() else None for one in there]
    found = {"per_seed": first, "reached": float(there.any(axis=1).mean())}
    if None in first:
        return {**found, "median": None, "ci95": None}
    interval = intervals.bootstrap_interval(np.array(first), np.median)
    return {**found, "median": float(np.median(first)), "ci95": interval}


def draw(title: str, runs: Runs, album: Album) -> dict[str, str]:
    """Adds the figures; what each shows, by its name. Seeds that are not finite are left out."""
    whole = {label: run.only_finite() for label, run in runs.items() if run.finite.any()}
    prior = [run.config.structure.blind_episodes for run in whole.values()]
    if not whole:
        return {}
    adapted = [adapting(*each) for each in whole.items()]
    album.add("by_episode", adaptation_curves, adapted, prior, title)
    along_steps, along_time = ([_along(*each, how) for each in whole.items()] for how in _ALONG)
    million, minutes = "environment steps (millions)", "minutes, all seeds of a run"
    album.add("by_steps", learning_curves, along_steps, title, million)
    album.add("by_time", learning_curves, along_time, title, minutes)
    shown = {
        "by_episode": "Return by episode of a trial on test tasks",
        "by_steps": "Return of the last episode against environment steps",
        "by_time": "Return of the last episode against time",
    }
    return {name: text for name, text in shown.items() if name in album.figures}


def _in_thousandths_of_millions(run: RunFiles, updates: np.ndarray) -> np.ndarray:
    return updates * per_update(run) / 1e3


def _in_thousandths_of_minutes(run: RunFiles, updates: np.ndarray) -> np.ndarray:
    later = seconds_at(run, updates[updates > 0])
    return np.concatenate([np.zeros(len(updates) - len(later)), later]) * 1e3 / 60.0


_ALONG = (_in_thousandths_of_millions, _in_thousandths_of_minutes)


def _along(label: str, run: RunFiles, how: Any) -> Curve:
    made = learning(label, run)
    return made._replace(x=how(run, np.asarray(made.x)))


def sections(built: dict[str, Any]) -> list[Section]:
    """The cells of what `build` gives."""
    episodes = len(built["rows"][0]["by_episode"])
    shown = sorted({1, 2, 3, 5, 10, episodes} & set(range(1, episodes + 1)))
    by_episode = {"algorithm": cells.latent} | {f"episode {n}": _episode(n) for n in shown}
    made = [
        cells.section("Return of the last episode, test tasks", _RETURNS, built["rows"]),
        cells.section("Return by episode, test tasks", by_episode, built["rows"]),
        cells.section("What it takes", _COSTS, built["rows"]),
    ]
    if built["comparisons"]:
        title = built["comparisons_title"]
        made.append(cells.section(title, _COMPARED, built["comparisons"]))
    return [one for one in made if len(one.heads) > 1]


def markdown(built: dict[str, Any], shown: Mapping[str, str]) -> str:
    """The whole text of ``compare.md``, with its pictures: what each shows, by its path."""
    s = built["settings"]
    last = s["first_seed"] + s["seeds"] - 1
    options = "".join(f", {name}={value}" for name, value in s["env_options"].items())
    notes = [
        f"{s['env']}{options}; seeds {s['first_seed']} to {last}, the same in every row: a seed "
        f"fixes the tasks. Every algorithm has its own settings and budget. {s['device']}, jax "
        f"{s['jax_version']}.",
        "One protocol: the episodes of a trial on test tasks with the policy's mode. PEARL draws z "
        "from its prior in the first ones, and once per episode behind them; who acts on a belief "
        "updates it at every step; MAML draws its actions in the first ones and adapts once.",
        "In brackets: 95 % intervals over seeds, by percentile bootstrap; of the paired "
        "difference, Student's.",
        "Environment steps: all that one seed takes in training. To 80 %: steps until the last "
        "episode has made 80 % of the way from the untrained policy to the oracle, seen at the "
        "evaluations along training; median over seeds, if all got there.",
        "Seconds: training and evaluation of one seed on one device, without compilation.",
    ]
    parts = [f"## {one.title}\n\n{one.markdown}" for one in sections(built)]
    pictures = [f"![{text}]({path})\n" for path, text in shown.items()]
    return "\n".join([*parts, *pictures, "\n".join(f"* {note}" for note in notes), ""])


def _episode(number: int) -> Cell:
    def tell(row):
        value = row["by_episode"][number - 1]
        return None if value is None else f"{value:.2f}"

    return tell


def _whole(name: str) -> Cell:
    return lambda row: f"{row[name]:,.0f}"


def _steps_needed(row: Row) -> str | None:
    found = row["steps_to_share"]
    if found is None:
        return None
    if found["median"] is None:
        return f"{NOTHING} ({100 * found['reached']:.0f} % of seeds)"
    return cells.spread(found["median"], found["ci95"], ",.0f")


def _told_apart(one: Row) -> str | None:
    return None if one["told_apart"] is None else ("yes" if one["told_apart"] else "no")


_RETURNS: dict[str, Cell] = {
    "algorithm": cells.latent,
    "mean": cells.mean,
    "IQM": cells.over_seeds("iqm"),
    "% of oracle": cells.number("percent_of_oracle", 0),
    "% of tasks solved": cells.solved,
    "first episodes": cells.number("prior_return"),
    "untrained": cells.number("floor_return"),
    "training tasks": cells.number("train_return"),
}

_COSTS: dict[str, Cell] = {
    "algorithm": cells.latent,
    "environment steps": _whole("env_steps"),
    "updates": _whole("updates"),
    "seconds": _whole("seconds"),
    "steps to 80 %": _steps_needed,
}

_COMPARED: dict[str, Cell] = {
    "algorithm": cells.latent,
    "against": lambda one: one["against"],
    "difference": cells.difference,
    "told apart": _told_apart,
}
