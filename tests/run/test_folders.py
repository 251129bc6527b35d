"""Folders that a program is to write: what is refused, and that none is given to two."""

import concurrent.futures
import functools
import threading
import time
from pathlib import Path

import pytest
from program import assert_refused

from experiments import ablations, table1
from structlat_jax.cli import evaluate, figures, sweep, train
from structlat_jax.errors import InputError
from structlat_jax.run import folders, lanes

ADDRESSES = ("gs://bucket/run", "s3://bucket/run", "file:///tmp/run", "https://host/run")


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_no_folder(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    for check in (
        folders.require_writable,
        folders.require_writable_file,
        folders.unused,
        functools.partial(folders.require_empty, overwrite=True),
    ):
        with pytest.raises(InputError, match="must be a path of this machine's file system"):
            check(Path(address))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["runs/a:b", "a:", "lr:0.1/x", "run[lr=0.1]", "C:/run"])
def test_what_only_looks_like_one_is_a_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    folders.require_writable(Path(name))
    folders.make_folder(Path(name))
    assert Path(name).is_dir()


@pytest.mark.parametrize(
    ("command", "before"),
    [
        (train.command, []),
        (sweep.command, []),
        (table1.command, []),
        (ablations.command, []),
        (figures.command, ["run"]),
        (evaluate.command, ["run"]),
    ],
    ids=["train", "sweep", "table1", "ablations", "figures", "evaluate"],
)
def test_no_program_takes_an_address(tmp_path, monkeypatch, in_process, command, before):
    monkeypatch.chdir(tmp_path)
    line = assert_refused(in_process(command, *before, "--out", "gs://bucket/x"))
    assert "--out must be a path of this machine's file system, not 'gs:/bucket/x'" in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_given_again(tmp_path):
    wanted = tmp_path / "runs" / "run-1"
    found = [folders.unused(wanted).name for _ in range(3)]
    assert found == ["run-1", "run-1-2", "run-1-3"]


def test_jobs_of_one_moment_do_not_meet(tmp_path):
    count = 8
    together = threading.Barrier(count)

    def claim(_):
        together.wait()
        return folders.unused(tmp_path / "runs" / "run")

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        found = list(pool.map(claim, range(count)))
    assert len(set(found)) == count
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {path.name for path in found}


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (train.command, "point_robot-dir2x4-gau2-DATE"),
        (sweep.command, "sweep-DATE"),
        (table1.command, "table1-DATE"),
        (ablations.command, "ablations-DATE"),
    ],
    ids=["train", "sweep", "table1", "ablations"],
)
def test_two_jobs_in_one_second(tmp_path, monkeypatch, in_process, command, name):
    class Begun(Exception):
        pass

    def begin(*_):
        raise Begun

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda *_: "DATE")
    monkeypatch.setattr(train, "run", begin)
    monkeypatch.setattr(lanes, "train_all", begin)
    for _ in range(2):
        with pytest.raises(Begun):
            in_process(command)
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {name, f"{name}-2"}
    for path in (tmp_path / "runs").iterdir():
        assert list(path.glob("*config.json"))
