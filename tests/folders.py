"""What is in folders, and whether two of them hold the same."""

import csv
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from structlat_jax.report.run_files import read_run
from structlat_jax.store import array_files, npz


def listing(folder):
    """Everything in a folder, so that two of them tell whether something has changed."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *folder.rglob("*"))
    }


def results_of(run):
    """A run's ``results.json``."""
    return json.loads((run / "results.json").read_text())


def rows_of(run, name="metrics.csv"):
    """The rows of a table in a run folder, as text."""
    with (run / name).open(newline="") as file:
        return list(csv.DictReader(file))


TIMINGS = {"compile_seconds", "wall_seconds", "updates_per_second"}
WORDS = ("latent", "algorithm", "title", "preset", "env", "env_options", "inference", "jax_version")


def assert_same_numbers(run, other):
    """But for timings, and for the last bits: the other run has another number of devices."""
    found, expected = ({**results_of(r)} for r in (run, other))
    for name in TIMINGS | {"device"}:
        del found[name], expected[name]
    assert [found.pop(name) for name in WORDS] == [expected.pop(name) for name in WORDS]
    assert flattened(found) == pytest.approx(flattened(expected), rel=1e-3, abs=1e-4)
    for row, its in zip(rows_of(run), rows_of(other), strict=True):
        assert row.keys() == its.keys()
        for name in row.keys() - {"seconds"}:
            assert as_number(row[name]) == pytest.approx(
                as_number(its[name]), rel=1e-2, abs=1e-3, nan_ok=True
            )
    with np.load(run / "adaptation.npz") as ours, np.load(other / "adaptation.npz") as its:
        assert set(ours) == set(its)
        for name in set(ours) - {"axes"}:
            np.testing.assert_allclose(ours[name], its[name], rtol=1e-2, atol=1e-3)


def as_number(text):
    return float(text) if text else -1.0


def flattened(results):
    leaves, _ = jax.tree.flatten_with_path(results)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves if leaf is not None}


def assert_same_run(one: Path, other: Path) -> None:
    """Fails unless two finished runs hold the same bits, but for what they took in time."""
    a, b = read_run(one), read_run(other)
    assert {**a.results, **dict.fromkeys(TIMINGS)} == {**b.results, **dict.fromkeys(TIMINGS)}
    for mine, its in ((a.arrays, b.arrays), (a.metrics, b.metrics)):
        assert mine.keys() == its.keys()
        for name in mine.keys() - {"seconds"}:
            np.testing.assert_array_equal(mine[name], its[name], err_msg=name)
    for name in ("checkpoint", "best"):
        last = [
            max((run / name).iterdir(), key=lambda path: int(path.name)) for run in (one, other)
        ]
        assert last[0].name == last[1].name
        _assert_same_arrays(*last)


def _assert_same_arrays(one: Path, other: Path) -> None:
    mine, its = _arrays(one), _arrays(other)
    assert mine.keys() == its.keys()
    assert len(mine) > 10
    for name in mine:
        assert mine[name].dtype == its[name].dtype
        assert mine[name].tobytes() == its[name].tobytes(), name


def _arrays(folder: Path) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint, by item and name."""
    files = sorted((folder / array_files.FOLDER).glob("*.npz"))
    found = {path.stem: npz.read(path) for path in files}
    return {f"{item}.{k}": v for item, arrays in found.items() for k, v in arrays.items()}
