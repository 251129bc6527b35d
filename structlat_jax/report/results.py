"""What a run writes about itself: results, the evaluation array, and the metrics table."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from structlat_jax.report.intervals import student_interval
from structlat_jax.store.run_folder import write_in_one_piece, write_json, write_whole

RESULTS_SCHEMA = 1
ADAPTATION_AXES = ("seed", "task", "repeat", "episode")
SHARE = 0.8
"""Of the way to the last episode's return, or to the oracle's: when adapting counts as done."""


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


def first_posterior(returns: np.ndarray, prior_episodes: int) -> np.ndarray:
    """Of each seed, ``[S, T, R, E]`` to the mean return ``[S]`` of the first episode whose z is
    inferred."""
    return returns[..., prior_episodes].mean(axis=(1, 2))


def reached_by_prior(success: np.ndarray, prior_episodes: int) -> np.ndarray:
    """Of each seed, ``[S, T, R, E]`` to the share ``[S]`` of tasks in which an episode with z from
    the prior succeeded."""
    return success[..., :prior_episodes].astype(bool).any(axis=-1).mean(axis=(1, 2))


def episodes_until_level(returns: np.ndarray, level: float) -> int | None:
    """The first episode (from 1) whose mean return is at least ``level``, or None.

    Args:
      returns: ``[S, T, R, E]``.
      level: A return.
    """
    reached = returns.mean(axis=(0, 1, 2)) >= level
    return int(np.argmax(reached)) + 1 if reached.any() else None


def episodes_until(returns: np.ndarray, floor: float, share: float = SHARE) -> int | None:
    """The first episode (from 1) whose mean return has made ``share`` of the way from the floor to
    the last one's; None if the last is not above the floor."""
    last = float(returns[..., -1].mean())
    if not last > floor:
        return None
    return episodes_until_level(returns, way(floor, last, share))


def way(start: float, end: float, share: float) -> float:
    """The return at a ``share`` of the way from one return to another."""
    return start + share * (end - start)


def percent_of_way(value: float, floor: float, oracle: float) -> float | None:
    """How far a return is on the way from the floor to the oracle, in percent.

    None where that is no way: if the oracle is not above the floor, or one is not finite.
    """
    if not (np.isfinite(oracle - floor) and oracle > floor):
        return None
    return 100.0 * (value - floor) / (oracle - floor)


def summarise(
    test: np.ndarray,
    train: np.ndarray,
    encoder: np.ndarray | None,
    oracle: np.ndarray | None,
    prior_episodes: int,
    floor: np.ndarray | float = 0.0,
    success: np.ndarray | None = None,
) -> dict[str, Any]:
    """The numbers of an evaluation.

    Args:
      test, train: Returns ``[S, T, R, E]`` on test and on training tasks.
      encoder: Returns on test tasks with the encoder's posterior, ``[S, T, R, E]``.
      oracle: Return of the oracle on the test tasks, ``[S, T]``.
      prior_episodes: How many episodes used the prior, at least 1 and below E.
      floor: Return of the untrained policy on the test tasks, ``[S, T]`` or one for all.
      success: Whether each episode on test tasks succeeded, ``[S, T, R, E]``.

    Returns:
      The fields of ``results.json`` that come from the evaluation, without those whose argument is
      None. Seeds with a return that is not finite are left out of all means; without any other
      seed these are None.
    """
    found = {"test_return": over_seeds(last_episode(test))}
    if encoder is not None:
        found["amortised_return"] = found["encoder_return"] = over_seeds(last_episode(encoder))
    found["train_return"] = over_seeds(last_episode(train))
    finite = np.isfinite(test).all(axis=(1, 2, 3))
    if success is not None:
        found["test_success"] = over_seeds(np.where(finite, last_episode(success), np.nan))
    means = _means(
        *(test[finite], None if oracle is None else oracle[finite], prior_episodes),
        np.broadcast_to(floor, test.shape[:2])[finite],
        None if success is None else success[finite],
    )
    return {**found, **means}


def _means(
    test: np.ndarray,
    oracle: np.ndarray | None,
    prior_episodes: int,
    floor: np.ndarray,
    success: np.ndarray | None,
) -> dict[str, Any]:
    """Means over all seeds that are left, of which there may be none."""
    names = ["prior_return", "first_posterior_return", "floor_return"]
    names += [] if success is None else ["tasks_reached_by_prior"]
    names += [] if oracle is None else ["oracle_return", "percent_of_oracle"]
    found: dict[str, Any] = dict.fromkeys([*names, "episodes_to_80_percent"])
    if not len(test):
        return found
    least = float(floor.mean())
    found |= {
        "prior_return": float(test[..., :prior_episodes].mean()),
        "first_posterior_return": float(first_posterior(test, prior_episodes).mean()),
        "floor_return": least if np.isfinite(least) else None,
        "episodes_to_80_percent": episodes_until(test, least),
    }
    if success is not None:
        reached = reached_by_prior(success, prior_episodes)
        found["tasks_reached_by_prior"] = float(reached.mean())
    if oracle is not None:
        best = float(oracle.mean())
        found["oracle_return"] = best if np.isfinite(best) else None
        found["percent_of_oracle"] = percent_of_way(float(test[..., -1].mean()), least, best)
    return found


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
