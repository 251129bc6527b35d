"""A run folder as a place: whole files, one writer, and no remains."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import filelock
import pytest
from holder import HOLD

import structlat_jax
from structlat_jax.store import run_folder
from structlat_jax.store.run_folder import CheckpointError, WriteError, locked

ROOT = Path(structlat_jax.__file__).resolve().parents[1]


@pytest.fixture
def holder(tmp_path):
    """Another process that has locked the folder."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_the_second_process_is_refused_until_the_first_is_killed(holder, tmp_path):
    with pytest.raises(CheckpointError, match="in use by another process"), locked(tmp_path):
        raise AssertionError("two have it")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked(tmp_path):
        pass


def test_one_process_may_lock_twice(tmp_path):
    with locked(tmp_path), locked(tmp_path / "."):
        pass


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"), locked(tmp_path / "file"):
        pass


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file.txt"
    run_folder.write_whole(path, "old")

    def half(file):
        file.write(b"ne")
        assert path.read_text() == "old"
        raise OSError(28, "No space left on device")

    with pytest.raises(WriteError) as caught:
        run_folder.write_in_one_piece(path, half)
    assert str(caught.value) == f"{path} cannot be written: No space left on device."
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    run_folder.write_whole(path, "new")
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(30, "Read-only file system"), "Read-only file system"),
        (ValueError("UNKNOWN: [x]\nNo space left on device; more"), "No space left on device"),
        (ValueError("first\n  second."), "first second"),
        (KeyError(), "KeyError"),
    ],
)
def test_reasons_are_short(error, words):
    assert run_folder.reason(error) == words


def test_removing_a_folder_halfway_leaves_it_to_tidy(tmp_path, monkeypatch):
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "inside").write_text("x")
    with monkeypatch.context() as patch:
        patch.setattr(run_folder.shutil, "rmtree", lambda path: None)  # killed before the end
        run_folder.remove(folder)
    assert not folder.exists()
    run_folder.tidy(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch, capsys, number):
    def acquire(self):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    with locked(tmp_path):
        run_folder.write_whole(tmp_path / "file", "written")
    assert "without locks" in capsys.readouterr().err
