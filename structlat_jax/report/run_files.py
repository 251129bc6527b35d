"""Finished runs read back: the one reader of ``results.json``, ``adaptation.npz``, ``metrics.csv``.

Nothing is unpickled: opening a stranger's folder executes no code, and takes no more memory than
`npz.MOST`.
"""

import csv
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from structlat_jax.config import Config
from structlat_jax.report.finished_run import AXES, RunFiles
from structlat_jax.report.results import RESULTS_SCHEMA
from structlat_jax.store import npz
from structlat_jax.store.run_folder import (
    CONFIG_FILE,
    CheckpointError,
    read_config,
    read_json,
    reason,
    require_small,
)

RESULTS_FILE = "results.json"
ADAPTATION_FILE = "adaptation.npz"
METRICS_FILE = "metrics.csv"

_MOST_METRICS = 2**30  # bytes: of some million rows
_TEXT = {AXES}
_ALWAYS = {**dict.fromkeys(("returns", "path", "z", "belief", "kl"), 4), "label": 2}
_SOMETIMES = {
    **dict.fromkeys(("amortised", "success", "length", "reward", "spread"), 4),
    **dict.fromkeys(("oracle", "floor", "leads", "leads_weight"), 2),
}


def find_runs(paths: Iterable[str | Path]) -> list[Path]:
    """Run folders among the given ones and, where one is none, in its direct subfolders.

    Args:
      paths: Run folders, or folders that hold run folders.

    Returns:
      The run folders in the order given, subfolders by name, each once.

    Raises:
      FileNotFoundError: if a path does not exist or has no run in it.
      CheckpointError: (a `ValueError`) if one is a file or cannot be read.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        try:
            runs = _runs_in(path)
        except FileNotFoundError:
            raise
        except OSError as error:  # it may not be read, or its name is too long
            raise CheckpointError(f"{path} cannot be read: {reason(error)}.") from None
        if not runs:
            raise FileNotFoundError(
                f"{path} is not a run folder and has none in it: there is no {CONFIG_FILE}."
            )
        for run in runs:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def read_run(path: Path) -> RunFiles:
    """Reads a finished run.

    Raises:
      FileNotFoundError: if the folder is no run, or the run is not finished.
      CheckpointError: (a `ValueError`) naming the file that cannot be read, or does not fit the
        configuration.
    """
    path = Path(path)
    try:
        config, _ = read_config(path)
        missing = [
            name
            for name in (RESULTS_FILE, ADAPTATION_FILE, METRICS_FILE)
            if not (path / name).is_file()
        ]
    except PermissionError:
        raise CheckpointError(f"{path} cannot be read: permission denied.") from None
    if missing:
        raise FileNotFoundError(
            f"{path} is not a finished run: it has no {missing[0]} "
            f"(--resume --out {path}{config.env.flag_again} finishes it)."
        )
    adaptation = path / ADAPTATION_FILE
    arrays = npz.read(adaptation, partial(_check_arrays, adaptation, config))
    return RunFiles(
        path,
        config,
        _read_results(path / RESULTS_FILE),
        arrays,
        read_metrics(path / METRICS_FILE),
    )


def read_metrics(path: Path) -> dict[str, np.ndarray]:
    """Reads ``metrics.csv`` by column, as `RunFiles` has it.

    Raises:
      CheckpointError: (a `ValueError`) if it cannot be read.
    """
    require_small(path, _MOST_METRICS)
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
            columns = reader.fieldnames or []
        if any(len(row) != len(columns) or None in row.values() for row in rows):
            raise ValueError("its rows differ in length")
        return {
            name: np.array([float(row[name]) if row[name] else np.nan for row in rows])
            for name in columns
        }
    except (OSError, ValueError, csv.Error) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from None


def evaluations(run: RunFiles, column: str) -> tuple[np.ndarray, np.ndarray]:
    """A column of ``metrics.csv`` at the evaluations along training.

    Args:
      run: From `read_run`.
      column: For instance ``test_return``.

    Returns:
      Updates done at each evaluation, ``[P]``, and the values, ``[S, P]``; NaN where a seed has
      diverged.

    Raises:
      CheckpointError: if a column is missing, if nothing was evaluated, or if a seed lacks a row.
    """
    where = run.path / METRICS_FILE
    for name in ("updates", "seed", column):
        if name not in run.metrics:
            raise CheckpointError(f"{where} has no column {name}.")
    updates, seed, values = (run.metrics[name] for name in ("updates", "seed", column))
    points = np.unique(updates[~np.isnan(values)])
    chosen = np.isin(updates, points)
    table = [values[chosen & (seed == one)] for one in np.unique(seed)]
    if points.size == 0 or any(row.size != points.size for row in table):
        raise CheckpointError(f"{where} does not have one row per seed for every {column}.")
    return points, np.stack(table)


def evaluated(metrics: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """The rows of ``metrics.csv`` at which there was an evaluation, without what was not measured.

    Seeds and updates are whole numbers, all else is as in `RunFiles`.
    """
    # A seed that is not finite has no return, and yet a row; the others tell when that was.
    columns = [metrics[name] for name in ("test_return", "oracle_return") if name in metrics]
    measured = np.any([~np.isnan(column) for column in columns], axis=0)
    chosen = np.flatnonzero(np.isin(metrics["updates"], metrics["updates"][measured]))
    whole = ("seed", "updates")
    return [
        {name: int(metrics[name][i]) for name in whole}
        | {
            name: float(column[i])
            for name, column in metrics.items()
            if name not in whole and not np.isnan(column[i])
        }
        for i in chosen
    ]


def _runs_in(path: Path) -> list[Path]:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist.")
    if not path.is_dir():
        raise CheckpointError(f"{path} is a file; a run folder is needed.")
    if (path / CONFIG_FILE).is_file():
        return [path]
    return [inner for inner in sorted(path.iterdir()) if (inner / CONFIG_FILE).is_file()]


def _read_results(path: Path) -> dict[str, Any]:
    try:
        results = read_json(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {reason(error)}.") from None
    if not isinstance(results, dict) or results.get("schema_version") != RESULTS_SCHEMA:
        raise CheckpointError(f"{path} does not have schema_version {RESULTS_SCHEMA}.")
    return results


def _check_arrays(path: Path, config: Config, arrays: Mapping[str, npz.Header]) -> None:
    """Every array is numeric and has the axes that the configuration says."""
    s = config.structure
    for name in (f"{name}_{kind}" for kind in ("train", "test") for name in _ALWAYS):
        if name not in arrays:
            raise CheckpointError(f"{path} has no array {name}.")
    seeds = arrays["returns_test"].shape[:1]
    for kind, tasks in (("train", s.seen_tasks), ("test", s.test_tasks)):
        axes = (*seeds, tasks, s.eval_repeats, s.eval_episodes)
        for name, depth in _depths(arrays, kind).items():
            array = arrays[name]
            if seeds in ((), (0,)) or array.shape[:depth] != axes[:depth]:
                raise CheckpointError(
                    f"{path}: {name} must begin with the axes {list(axes[:depth])}, "
                    f"not {list(array.shape)}."
                )
    for name in arrays.keys() - _TEXT:
        dtype = arrays[name].dtype
        if not (np.issubdtype(dtype, np.number) or np.issubdtype(dtype, np.bool_)):
            raise CheckpointError(f"{path}: {name} must hold numbers, not {dtype}.")


def _depths(arrays: Iterable[str], kind: str) -> dict[str, int]:
    """How many leading axes each array has that is there, by its whole name."""
    found = {f"{name}_{kind}": depth for name, depth in {**_ALWAYS, **_SOMETIMES}.items()}
    factors = (name for name in arrays if name.startswith("factor_") and name.endswith(f"_{kind}"))
    found |= dict.fromkeys(factors, 2)
    return {name: depth for name, depth in found.items() if name in arrays}
