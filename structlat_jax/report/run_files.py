"""Finished runs read back: the one reader of ``results.json``, ``adaptation.npz``, ``metrics.csv``.

Nothing is unpickled: opening a stranger's folder executes no code.
"""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from structlat_jax.array_files import read_npz
from structlat_jax.checkpoint import CONFIG_FILE, CheckpointError, read_config
from structlat_jax.config import Config
from structlat_jax.report.results import RESULTS_SCHEMA

RESULTS_FILE = "results.json"
ADAPTATION_FILE = "adaptation.npz"
METRICS_FILE = "metrics.csv"

_TEXT = {"axes"}
_DEPTHS = {
    **dict.fromkeys(("returns", "amortised", "path", "z", "belief", "kl"), 4),
    "oracle": 2,
    "label": 2,
}


class RunFiles(NamedTuple):
    """What a finished run wrote about itself.

    Attributes:
      path: The run folder.
      config: Its configuration.
      results: ``results.json`` as it is.
      arrays: ``adaptation.npz`` by name, for instance ``returns_test [S, T, R, E]``; the names and
        axes are those of `evaluate.Adaptation`, with ``_train`` or ``_test`` behind.
      metrics: ``metrics.csv`` by column, float ``[rows]``, NaN where a field is empty; one row per
        meta-step and seed.
    """

    path: Path
    config: Config
    results: dict[str, Any]
    arrays: dict[str, np.ndarray]
    metrics: dict[str, np.ndarray]

    @property
    def latent(self) -> str:
        """The latent spec, for instance ``dir:2x4,gau:2``."""
        return str(self.config.latent_space())

    @property
    def seeds(self) -> int:
        """How many seeds the run has."""
        return self.arrays["returns_test"].shape[0]


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
        except PermissionError:
            raise CheckpointError(f"{path} cannot be read: permission denied.") from None
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
            f"(--resume --out {path} finishes it)."
        )
    arrays = read_npz(path / ADAPTATION_FILE)
    _check_arrays(path / ADAPTATION_FILE, config, arrays)
    return RunFiles(
        path,
        config,
        _read_results(path / RESULTS_FILE),
        arrays,
        _read_metrics(path / METRICS_FILE),
    )


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
    chosen = np.flatnonzero(~np.isnan(metrics["oracle_return"]))
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
        results = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from None
    if not isinstance(results, dict) or results.get("schema_version") != RESULTS_SCHEMA:
        raise CheckpointError(f"{path} does not have schema_version {RESULTS_SCHEMA}.")
    return results


def _check_arrays(path: Path, config: Config, arrays: dict[str, np.ndarray]) -> None:
    """Every array is numeric and has the axes that the configuration says."""
    s = config.structure
    for kind in ("train", "test"):
        for name in _DEPTHS:
            if f"{name}_{kind}" not in arrays:
                raise CheckpointError(f"{path} has no array {name}_{kind}.")
    seeds = arrays["returns_test"].shape[:1]
    for kind, tasks in (("train", s.train_tasks), ("test", s.test_tasks)):
        axes = (*seeds, tasks, s.eval_repeats, s.eval_episodes)
        for name, depth in _DEPTHS.items():
            array = arrays[f"{name}_{kind}"]
            if seeds in ((), (0,)) or array.shape[:depth] != axes[:depth]:
                raise CheckpointError(
                    f"{path}: {name}_{kind} must begin with the axes {list(axes[:depth])}, "
                    f"not {list(array.shape)}."
                )
    for name in arrays.keys() - _TEXT:
        if not np.issubdtype(arrays[name].dtype, np.number):
            raise CheckpointError(f"{path}: {name} must hold numbers, not {arrays[name].dtype}.")


def _read_metrics(path: Path) -> dict[str, np.ndarray]:
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
