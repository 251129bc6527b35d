"""What goes wrong on the way: a sentence, an exit code that says so, and nothing lost."""

import json
import os
import signal
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from folders import as_number, listing, results_of, rows_of
from holder import HOLD
from program import OPTIONS, PER_STEP, ROOT, SEEDS, TINY, assert_refused, interrupt_at
from rich.console import Console
from test_train_cli import PICTURES

import structlat_jax as sl
from structlat_jax.cli import errors, tables, train
from structlat_jax.run import failures
from structlat_jax.store import array_files
from structlat_jax.train import parallel

FIRST = OPTIONS["seed"]


@pytest.fixture
def sick(monkeypatch):
    """Makes the step sizes of some seeds so large that their numbers overflow."""

    def infect(indices, lr=1e30):
        spread = parallel.spread

        def spread_with(programs, hyper):
            wide = spread(programs, hyper)
            sizes = jnp.where(jnp.isin(jnp.arange(programs.padded), indices), lr, wide.lr)
            return type(wide)(**{**vars(wide), "lr": sizes, "encoder_lr": sizes})

        monkeypatch.setattr(parallel, "spread", spread_with)

    return infect


@pytest.mark.slow
def test_a_sick_seed_is_named_and_disturbs_no_other(finished, tmp_path, here, sick):
    run = tmp_path / "run"
    sick(jnp.array([1]))
    done = here(*TINY, "--out", run)
    assert done.code == 1
    (line,) = done.err.strip().splitlines()
    found = results_of(run)
    (failed,) = found["failed_seeds"]
    assert failed["seed"] == FIRST + 1
    assert 1 <= failed["update"] <= 20
    assert f"seed {FIRST + 1} at update {failed['update']}" in line
    assert f"seed {FIRST + 1} is not finite any more" in done.out
    assert found["test_return"]["per_seed"][1] is None
    assert found["test_return"]["std"] is None
    healthy = results_of(finished[0])
    for name in ("test_return", "train_return", "amortised_return"):
        mine = found[name]["per_seed"][0]
        assert mine == found[name]["mean"]
        assert mine == pytest.approx(healthy[name]["per_seed"][0], rel=1e-3, abs=1e-4)
    assert "NaN" not in (run / "results.json").read_text()
    assert {path.name for path in run.iterdir()} >= PICTURES
    with np.load(run / "adaptation.npz") as data, np.load(finished[0] / "adaptation.npz") as its:
        assert np.all(np.isnan(data["returns_test"][1]))
        np.testing.assert_allclose(data["path_test"][0], its["path_test"][0], rtol=1e-2, atol=1e-3)
    for row, its in zip(rows_of(run), rows_of(finished[0]), strict=True):
        if row["seed"] == str(FIRST):
            assert row["not_finite_at"] == ""
            for name in its.keys() - {"seconds"}:
                assert as_number(row[name]) == pytest.approx(
                    as_number(its[name]), rel=1e-2, abs=1e-3, nan_ok=True
                )
    assert [row["not_finite_at"] for row in rows_of(run)].count("") == len(rows_of(run)) - 1
    sl.load(run)


@pytest.mark.slow
def test_nothing_goes_on_without_a_healthy_seed(tmp_path, here, sick):
    run = tmp_path / "run"
    sick(jnp.arange(SEEDS))
    done = here(*TINY, "--updates", 10 * PER_STEP, "--out", run)
    assert done.code == 1
    assert "not finite" in done.out
    found = results_of(run)
    assert [one["seed"] for one in found["failed_seeds"]] == [FIRST, FIRST + 1]
    assert found["test_return"]["mean"] is None
    assert found["percent_of_oracle"] is None
    assert len(rows_of(run)) < 10 * SEEDS
    assert not {path.name for path in run.iterdir()} & PICTURES
    assert here("--resume", "--out", run).code == 0


@pytest.mark.slow
def test_an_evaluation_before_the_last_seed_failed_does_not_stand_for_the_run(
    tmp_path, here, monkeypatch
):
    run, mark = tmp_path / "run", failures.mark

    def mark_later(rows, updates, known):
        at = rows[0]["updates"]
        return mark(rows, np.full(SEEDS, at if at > 10 else 0), known)

    monkeypatch.setattr(failures, "mark", mark_later)
    done = here(*TINY, "--updates", 10 * PER_STEP, "--evals", 5, "--out", run)
    assert done.code == 1
    rows = rows_of(run)
    assert [row["updates"] for row in rows] == ["5", "5", "10", "10", "15", "15"]
    assert [bool(row["test_return"]) for row in rows] == [False] * 2 + [True] * 2 + [False] * 2
    assert results_of(run)["test_return"]["mean"] is None
    with np.load(run / "adaptation.npz") as data:
        assert np.all(np.isnan(data["returns_test"]))


def test_a_table_says_which_seeds_failed(tmp_path, capsys):
    built = {"rows": [{"latent": "gau:1", "not_finite_seeds": [3, 5]}]}
    built["rows"].append({"latent": "gau:2", "not_finite_seeds": []})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "table_text", type("", (), {"markdown": str, "terminal": str}))
        assert tables.report(built, tmp_path, Console()) == errors.EXIT_FAILED
        assert "(gau:1: 3, 5)" in capsys.readouterr().err
        built["rows"].pop(0)
        assert tables.report(built, tmp_path, Console()) == 0


@pytest.fixture
def interrupted(tmp_path, here, monkeypatch):
    """A run that was interrupted after 10 of 20 updates."""
    with monkeypatch.context() as patch:
        interrupt_at(patch, 10)
        assert here(*TINY, "--out", tmp_path / "run").code == 130
    return tmp_path / "run"


def test_a_full_disk(interrupted, here, monkeypatch):
    """The real error of a file system is tried elsewhere: see the tests of checkpoints."""
    before = listing(interrupted / "checkpoint")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(array_files, "write", full)
        done = here("--resume", "--out", interrupted)
    assert done.code == 1
    (line,) = done.err.strip().splitlines()
    assert "No space left on device" in line
    assert "Checkpoint 2 is intact; --resume continues from it." in line
    after = listing(interrupted / "checkpoint")
    assert before.keys() == after.keys()
    assert all(before[path][1] == after[path][1] for path in before)
    assert here("--resume", "--out", interrupted).code == 0


def test_results_that_cannot_be_written(interrupted, here, monkeypatch):
    (interrupted / "adaptation.npz").mkdir()
    done = here("--resume", "--out", interrupted)
    assert done.code == 1
    (line,) = done.err.strip().splitlines()
    assert f"{interrupted / 'adaptation.npz'} cannot be written" in line
    assert not (interrupted / "results.json").exists()
    (interrupted / "adaptation.npz").rmdir()
    assert here("--resume", "--out", interrupted).code == 0


def test_a_damaged_checkpoint_is_passed_over(finished, tmp_path, here, monkeypatch):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 15)
        assert here(*TINY, "--checkpoint-seconds", 0, "--out", run).code == 130
    (run / "checkpoint" / "3" / "history.json").write_text("[]")
    done = here("--resume", "--out", run)
    assert done.code == 0, done.err
    assert "checkpoint 3 of" in " ".join(done.out.split())
    assert "is damaged: its file history.json is not as it was written" in " ".join(
        done.out.split()
    )
    assert [row["updates"] for row in rows_of(run)] == [r["updates"] for r in rows_of(finished[0])]


@pytest.mark.slow
def test_a_configuration_edited_by_hand_is_refused(interrupted, here):
    path = interrupted / "config.json"
    path.write_text(path.read_text().replace('"lr": 0.001', '"lr": 0.002'))
    done = here("--resume", "--out", interrupted)
    assert done.code == 2
    assert "lr is 0.001 in it and 0.002 in config.json" in done.err
    with pytest.raises(ValueError, match=r"lr is 0\.001 in it"):
        sl.load(interrupted)


def test_a_signal_while_evaluating(finished, tmp_path, here, monkeypatch):
    """The evaluation is abandoned, and made good first when the run goes on."""
    run, compile_programs = tmp_path / "run", parallel.compile_programs

    def compiled(programs, hyper):
        ready, seconds = compile_programs(programs, hyper)

        def evaluate(*arguments):
            signal.raise_signal(signal.SIGINT)
            return ready.evaluate(*arguments)

        return ready._replace(evaluate=evaluate), seconds

    with monkeypatch.context() as patch:
        patch.setattr(parallel, "compile_programs", compiled)
        assert here(*TINY, "--out", run).code == 130
    assert [row["updates"] for row in rows_of(run)] == ["5", "5", "10", "10"]
    assert "test_return" not in rows_of(run)[-1]
    assert here("--resume", "--out", run).code == 0
    assert [bool(row["test_return"]) for row in rows_of(run)] == [
        bool(row["test_return"]) for row in rows_of(finished[0])
    ]


def test_two_processes_on_one_folder(interrupted, here, monkeypatch):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    before = listing(interrupted)
    command = [sys.executable, "-c", HOLD, str(interrupted)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout.readline() == "locked\n"
        for arguments in (["--resume"], [*TINY, "--overwrite"]):
            done = here(*arguments, "--out", interrupted)
            assert "in use by another process" in assert_refused(done)
        process.kill()
    assert listing(interrupted) == before
    assert json.loads((interrupted / "config.json").read_text())["seeds"] == SEEDS


def test_not_enough_memory(tmp_path, here, monkeypatch):
    def run(*_):
        raise MemoryError

    monkeypatch.setattr(train, "run", run)
    done = here(*TINY, "--out", tmp_path / "run")
    assert done.code == 1
    assert done.err.strip().count("\n") == 0
    assert "not enough memory" in done.err
