"""Folders that a program is to write: what is refused, and that none is given to two."""

import concurrent.futures
import threading
import time
from pathlib import Path

import pytest
from program import assert_refused
from tiny import setup

import structlat_jax as sl
from experiments import ablations, limits, table1
from structlat_jax import paths
from structlat_jax.cli import commands, finished_commands, train
from structlat_jax.envs import EnvError
from structlat_jax.errors import InputError
from structlat_jax.run import folders, lanes


@pytest.mark.parametrize("name", ["runs/a:b", "a:", "lr:0.1/x", "run[lr=0.1]", "C:/run"])
def test_what_only_looks_like_an_address_is_a_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert paths.local("--out", name) == Path(name)
    folders.require_writable(Path(name))
    folders.make_folder(Path(name))
    assert Path(name).is_dir()


@pytest.mark.parametrize(
    ("command", "before"),
    [
        (commands.train, []),
        (commands.sweep, []),
        (table1.command, []),
        (ablations.command, []),
        (finished_commands.figures, ["run"]),
        (finished_commands.evaluate, ["run"]),
        (limits.command, []),
    ],
    ids=["train", "sweep", "table1", "ablations", "figures", "evaluate", "limits"],
)
def test_no_program_takes_an_address(tmp_path, monkeypatch, in_process, command, before):
    monkeypatch.chdir(tmp_path)
    line = assert_refused(in_process(command, *before, "--out", "gs://bucket/x"))
    assert "--out must be a path of this machine's file system" in line
    assert "'gs://bucket/x'" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [finished_commands.figures, finished_commands.evaluate], ids=["figures", "evaluate"]
)
def test_no_run_is_read_from_an_address(in_process, command):
    line = assert_refused(in_process(command, "s3://bucket/run"))
    assert "must be a path of this machine's file system" in line
    assert "'s3://bucket/run'" in line


@pytest.mark.parametrize("address", ["gs://b/x", "s3://b", "file:///tmp/x", "https://a.b/c"])
def test_neither_from_python(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    said = f"addresses such as '{address}' are not supported"
    with pytest.raises(InputError, match=said):
        sl.load(address)
    with pytest.raises(EnvError, match=f"addresses such as '{address}:make' are not supported"):
        sl.envs.make(f"{address}:make")
    for given in ({"out": address}, {"out": "run", "from_run": address}, {"from_run": address}):
        with pytest.raises(InputError, match=said):
            sl.train(setup(), **given)
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
        (commands.train, "point_robot-dir2x4-gau2-DATE"),
        (commands.sweep, "sweep-DATE"),
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
