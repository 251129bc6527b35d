"""The evaluation again: the run's own numbers, other protocols, and arms that need training."""

import functools
import json
import shutil
from typing import NamedTuple

import jax
import numpy as np
import pytest
from program import TINY, assert_refused
from rich.console import Console
from tiny import config, evaluator, following_z, programs, quick_compile, setup

from structlat_jax.cli import evaluate, finished_commands
from structlat_jax.report.run_files import RunFiles
from structlat_jax.store import npz
from structlat_jax.store.checkpoint import CheckpointError
from structlat_jax.train import parallel
from structlat_jax.train.evaluate import References

ARMS = "inference=amortised;eval_prior_episodes=1+choice=thompson;evidence_weight=0"


@pytest.fixture
def run_here(in_process):
    return functools.partial(in_process, finished_commands.evaluate)


@pytest.fixture
def found(finished, tmp_path, run_here):
    """The results of the finished run and those of the program by arm."""
    run, _ = finished
    done = run_here(run, "--arms", ARMS, "--out", tmp_path / "new" / "protocols.json")
    assert done.code == 0, done.err
    written = json.loads((tmp_path / "new" / "protocols.json").read_text())
    assert "unchanged" in done.out
    return json.loads((run / "results.json").read_text()), written


@pytest.mark.slow
def test_the_file_compares_every_arm_with_the_run(found):
    run, written = found
    rows = {row["arm"]: row for row in written["rows"]}
    assert list(rows) == ["unchanged", *ARMS.split(";")]
    assert (written["seeds"], written["first_seed"]) == (run["seeds"], run["first_seed"])
    last = {arm: row["last_return"]["per_seed"] for arm, row in rows.items()}
    assert last["unchanged"] == pytest.approx(run["test_return"]["per_seed"], abs=1e-5)
    assert "difference" not in rows["unchanged"]
    for arm in ARMS.split(";"):
        expected = np.subtract(last[arm], last["unchanged"])
        assert rows[arm]["difference"]["per_seed"] == pytest.approx(expected)
    assert all(row["few_shot_return"] is None for row in rows.values())  # four episodes only
    assert {"found_early", "episodes_to_80_percent"} <= rows["unchanged"].keys()
    assert written["env"] == "point_robot"


def test_other_tasks_than_those_of_training_are_refused(finished, tmp_path, run_here):
    """However they came to be others; here the stored ones are."""
    run = shutil.copytree(finished[0], tmp_path / "run")
    arrays = npz.read(run / "adaptation.npz")
    arrays["label_test"] = arrays["label_test"] + 0.5
    np.savez(run / "adaptation.npz", **arrays)
    done = run_here(run, "--arms", ARMS)
    assert "trained on other tasks" in assert_refused(done)


@pytest.mark.slow
def test_arms_are_other_evaluations_of_the_same_agents(tmp_path, kept_programs):
    """On the line, where agents that have learned nothing find the goal now and then."""
    made, hyper = programs(2)
    numbers = parallel.seed_numbers(made, 3)
    state = made.init(numbers)
    state = state._replace(params=jax.vmap(following_z)(state.params))
    learned = parallel.trim(made, state.learned)
    run = evaluator(2)(hyper, state, numbers, 40)
    split = made.setup.structure.seen_tasks
    arrays = {"returns_test": np.array(run.returns[:, split:])}
    files = RunFiles(tmp_path, config(), {"first_seed": 3, "updates": 40}, arrays, {})

    def again(**changes):
        with quick_compile():
            return evaluate.evaluate(setup(**changes), learned, files)

    own, paper, chance = again(), again(inference="amortised"), again(choice="thompson")
    np.testing.assert_allclose(own.returns, arrays["returns_test"], atol=1e-5)
    np.testing.assert_allclose(paper.returns, run.encoder[:, split:], atol=1e-5)
    assert np.ptp(own.returns) > 0.5
    assert not np.allclose(own.returns, chance.returns, atol=1e-3)
    arrays["returns_test"][0] = np.nan
    np.testing.assert_array_equal(again().returns, own.returns[1:])
    arrays["returns_test"][1] = np.nan
    with pytest.raises(CheckpointError, match="no seed that is finite"):
        again()


class Found(NamedTuple):
    """As much of an adaptation as its measures read."""

    returns: np.ndarray
    success: np.ndarray | None = None


def evaluated(returns, success=None, floor=0.0, oracle=None):
    shape = returns.shape[:2]
    known = None if oracle is None else np.full(shape, oracle)
    return Found(returns, success), References(np.full(shape, floor), known)


def test_measures_by_hand():
    returns = np.zeros((2, 1, 2, 7))
    returns[:, 0, :, 5] = [[1.0, 3.0], [5.0, 7.0]]  # the sixth episode
    returns[:, 0, :, 6] = [[8.0, 8.0], [10.0, 6.0]]
    returns[0, 0, 0, 4] = 0.1  # found early
    own = evaluate.measures(*evaluated(returns, returns > 0, oracle=5.0), None)
    assert own["last_return"]["per_seed"] == [8.0, 8.0]
    assert own["few_shot_return"]["per_seed"] == [2.0, 6.0]
    assert own["found_early"] == 0.25
    assert own["episodes_to_80_percent"] == 7
    assert own["episodes_to_80_percent_of_oracle"] == 6
    assert own["percent_of_oracle"] == pytest.approx(160.0)
    other = evaluate.measures(*evaluated(returns - 1.0, returns > 0, oracle=5.0), own)
    assert other["difference"]["per_seed"] == [-1.0, -1.0]
    assert other["episodes_to_80_percent_of_oracle"] == 7


def test_measures_count_from_the_floor():
    """Returns from -80 to -20, of which the first half of the way is gone after three episodes."""
    returns = np.broadcast_to([-80.0, -70.0, -50.0, -35.0, -20.0], (2, 1, 2, 5))
    own = evaluate.measures(*evaluated(returns, floor=-80.0, oracle=-5.0), None)
    assert own["episodes_to_80_percent"] == 5  # -32 is 80 % of the way to -20
    assert own["episodes_to_80_percent_of_oracle"] == 5  # and -20 to -5
    below = evaluate.measures(*evaluated(returns - 90.0, floor=-80.0), None)
    assert below["episodes_to_80_percent"] is None


def test_what_nobody_knows_is_left_out(capsys):
    returns = np.broadcast_to([-80.0, -70.0, -50.0, -35.0, -20.0], (2, 1, 2, 5))
    own = evaluate.measures(*evaluated(returns), None)
    assert own.keys() == {"last_return", "few_shot_return", "episodes_to_80_percent"}
    evaluate._show([{"arm": "unchanged", **own}], "title", Console(width=120))
    shown = capsys.readouterr().out
    assert "-20.00" in shown
    assert "oracle" not in shown
    assert "found" not in shown


@pytest.mark.slow
def test_the_environment_may_draw_other_tasks(here, tmp_path, run_here):
    """Anchors in place of mixtures of them, and references of these tasks."""
    out, file = tmp_path / "run", tmp_path / "other.json"
    assert here(*TINY, "--env", "speed_mix", "--out", out).code == 0
    found = {}
    for name, given in {"own": (), "other": ("--env-option", "concentration=0.001")}.items():
        done = run_here(out, *given, "--arms", "eval_repeats=1", "--out", file)
        assert done.code == 0, done.err
        found[name] = json.loads(file.read_text())
    assert found["own"]["env"] == "speed_mix"
    assert found["other"]["env"] == "speed_mix (concentration=0.001)"
    results = json.loads((out / "results.json").read_text())
    first = found["own"]["rows"][0]
    assert first["last_return"]["per_seed"] == pytest.approx(results["test_return"]["per_seed"])
    assert first["percent_of_oracle"] == pytest.approx(results["percent_of_oracle"], abs=1e-3)
    other = [found["other"]["rows"][0][name] for name in ("last_return", "percent_of_oracle")]
    assert other != [first[name] for name in ("last_return", "percent_of_oracle")]
    assert "horizon is 30 there and 5 here" in assert_refused(
        run_here(out, "--env-option", "horizon=5")
    )


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ("lr=0.1", "lr is none of them"),
        ("choice=thompson+width=9", "width is none of them"),
        ("choice=greedy", "changes nothing"),
        ("hypotheses=3", "power of two"),
    ],
)
def test_wrong_arms_are_refused(finished, tmp_path, run_here, arms, said):
    done = run_here(finished[0], "--arms", arms, "--out", tmp_path / "x.json")
    assert "--arms" in assert_refused(done)
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_not_finished_is_refused(finished, tmp_path, run_here):
    copy = shutil.copytree(finished[0], tmp_path / "run")
    (copy / "results.json").unlink()
    assert "not a finished run" in assert_refused(run_here(copy))
    assert "is not a run folder" in assert_refused(run_here(tmp_path / "nowhere"))


@pytest.mark.parametrize("wanted", ["hypotheses", "auto"])
def test_agents_without_a_world_model_have_no_hypotheses(finished, tmp_path, run_here, wanted):
    copy = shutil.copytree(finished[0], tmp_path / "run")
    config = json.loads((copy / "config.json").read_text())
    config["structure"]["inference"] = "amortised"
    (copy / "config.json").write_text(json.dumps(config))
    done = run_here(copy, "--arms", f"inference={wanted}")
    assert "no world model" in assert_refused(done)


def test_a_file_that_cannot_be_is_refused(finished, tmp_path, run_here):
    file = tmp_path / "file"
    file.write_text("")
    for out, said in (
        (tmp_path, "must be a file"),
        (file / "x.json", "must be a folder"),
        (tmp_path / ("x" * 300), "too long"),
    ):
        assert said in assert_refused(run_here(finished[0], "--out", out))
    assert file.read_text() == ""
