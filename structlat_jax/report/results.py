"""What a run writes about itself: results, the evaluation array, and the metrics table."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from structlat_jax.report.statistics import student_interval
from structlat_jax.run_folder import write_in_one_piece, write_json, write_whole

RESULTS_SCHEMA = 1
ADAPTATION_AXES = ("seed", "task", "repeat", "episode")
_MEANS = (
    "prior_return",
    "first_posterior_return",
    "tasks_reached_by_prior",
    "oracle_return",
    "percent_of_oracle",
    "episodes_to_80_percent",
)


def over_seeds(per_seed: np.ndarray) -> dict[str, Any]:
    """Mean, standard deviation and Student's 95 % interval over the finite ones of ``[S]``.

    The spread and the interval are None for a single seed, the mean too if there is none, and so
    is each seed that is not finite.
    """
    every = np.asarray(per_seed, dtype=float)
    values = every[np.isfinite(every)]
    count = len(values)
    mean = float(values.mean()) if count else None
    std = float(values.std(ddof=1)) if count > 1 else None
    interval = student_interval(values)
    listed = [value if np.isfinite(value) else None for value in every.tolist()]
    return {"mean": mean, "std": std, "ci95": interval, "per_seed": listed}


def last_episode(returns: np.ndarray) -> np.ndarray:
    """The headline of each seed: ``[S, T, R, E]`` to the last episode's mean return ``[S]``."""
    return returns[..., -1].mean(axis=(1, 2))


def episodes_until(returns: np.ndarray, share: float) -> int:
    """The first episode (from 1) whose mean return is ``share`` of the last one's."""
    curve = returns.mean(axis=(0, 1, 2))
    reached = curve >= share * curve[-1]
    return int(np.argmax(reached)) + 1


def episodes_until_level(returns: np.ndarray, level: float) -> int | None:
    """The first episode (from 1) whose mean return is at least ``level``, or None."""
    reached = returns.mean(axis=(0, 1, 2)) >= level
    return int(np.argmax(reached)) + 1 if reached.any() else None


def summarise(
    test: np.ndarray,
    train: np.ndarray,
    amortised: np.ndarray,
    oracle_test: np.ndarray,
    prior_episodes: int,
) -> dict[str, Any]:
    """The numbers of an evaluation.

    Args:
      test, train: Returns ``[S, T, R, E]`` on test and on training tasks.
      amortised: Returns on test tasks with the encoder's posterior, ``[S, T, R, E]``.
      oracle_test: Return of the oracle on the test tasks, ``[S, T]``.
      prior_episodes: How many episodes used the prior.

    Returns:
      The fields of ``results.json`` that come from the evaluation. Seeds with a return that is not
      finite are left out of all means; without any other seed these are None.
    """
    headline = over_seeds(last_episode(test))
    amortised_headline, train_headline = (over_seeds(last_episode(x)) for x in (amortised, train))
    finite = np.isfinite(test).all(axis=(1, 2, 3))
    if not finite.any():
        return {
            "test_return": headline,
            "amortised_return": amortised_headline,
            "train_return": train_headline,
            **dict.fromkeys(_MEANS),
        }
    test, oracle_test = test[finite], oracle_test[finite]
    oracle = float(oracle_test.mean())
    first_posterior = float(test[..., prior_episodes].mean())
    reached = (test[..., :prior_episodes] > 0).any(axis=-1)
    return {
        "test_return": headline,
        "amortised_return": amortised_headline,
        "train_return": train_headline,
        "prior_return": float(test[..., :prior_episodes].mean()),
        "first_posterior_return": first_posterior,
        "tasks_reached_by_prior": float(reached.mean()),
        "oracle_return": oracle,
        "percent_of_oracle": 100.0 * headline["mean"] / oracle,
        "episodes_to_80_percent": episodes_until(test, 0.8),
    }


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Writes ``results.json``, in one piece."""
    write_json(path, {"schema_version": RESULTS_SCHEMA, **results})


def write_adaptation(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes ``adaptation.npz``: the arrays and, under ``axes``, the names of the leading axes."""
    axes = np.array(ADAPTATION_AXES)
    write_in_one_piece(path, lambda file: np.savez_compressed(file, axes=axes, **arrays))


def write_metrics(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes ``metrics.csv``, one row per meta-step and seed; empty where nothing was measured."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())
