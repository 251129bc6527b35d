"""The evaluation again: the run's own numbers, other protocols, and arms that need training."""

import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_bad_input import assert_refused
from tiny import config, evaluator, following_z, line, programs, quick_compile

from experiments import protocols
from structlat_jax.checkpoint import CheckpointError
from structlat_jax.report.run_files import RunFiles
from structlat_jax.train import parallel
from structlat_jax.train.setup import make_setup

ARMS = "inference=amortised;eval_prior_episodes=1+choice=thompson;evidence_weight=0"


@pytest.fixture
def run_here(in_process):
    return functools.partial(in_process, protocols.command)


@pytest.fixture
def found(finished, tmp_path, run_here, compiled_once):
    """The results of the finished run and those of the program by arm."""
    run, _ = finished
    done = run_here(run, "--arms", ARMS, "--out", tmp_path / "new" / "protocols.json")
    assert done.code == 0, done.err
    written = json.loads((tmp_path / "new" / "protocols.json").read_text())
    assert "unchanged" in done.out
    return json.loads((run / "results.json").read_text()), written


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


def test_arms_are_other_evaluations_of_the_same_agents(monkeypatch, tmp_path):
    """On the line, where agents that have learned nothing find the goal now and then."""
    made, hyper = programs(2)
    numbers = parallel.seed_numbers(made, 3)
    state = made.init(numbers)
    params = jax.vmap(following_z)(state.params)
    state = state._replace(params=params)
    run = parallel.trim(made, evaluator(2)(hyper, state, numbers, jnp.full_like(numbers, 40)))
    split = made.setup.config.structure.train_tasks
    arrays = {"returns_test": np.array(run.returns[:, split:]), "oracle_test": np.ones((2, 2))}
    files = RunFiles(tmp_path, config(), {"first_seed": 3, "updates": 40}, arrays, {})
    monkeypatch.setattr(protocols, "make_setup", lambda config: make_setup(config, line()))

    def again(**changes):
        with quick_compile():
            return protocols.evaluate(config(**changes), parallel.trim(made, params), files)[0]

    own, paper, chance = again(), again(inference="amortised"), again(choice="thompson")
    np.testing.assert_allclose(own, arrays["returns_test"], atol=1e-5)
    np.testing.assert_allclose(paper, run.amortised[:, split:], atol=1e-5)
    assert np.ptp(own) > 0.5
    assert not np.allclose(own, chance, atol=1e-3)
    arrays["returns_test"][0] = np.nan
    np.testing.assert_array_equal(again(), own[1:])
    arrays["returns_test"][1] = np.nan
    with pytest.raises(CheckpointError, match="no seed that is finite"):
        again()


def test_measures_by_hand():
    returns = np.zeros((2, 1, 2, 7))
    returns[:, 0, :, 5] = [[1.0, 3.0], [5.0, 7.0]]  # the sixth episode
    returns[:, 0, :, 6] = [[8.0, 8.0], [10.0, 6.0]]
    returns[0, 0, 0, 4] = 0.1  # found early
    own = protocols.measures(returns, np.array([[5.0], [5.0]]), None)
    assert own["last_return"]["per_seed"] == [8.0, 8.0]
    assert own["few_shot_return"]["per_seed"] == [2.0, 6.0]
    assert own["found_early"] == 0.25
    assert own["episodes_to_80_percent_of_oracle"] == 6
    other = protocols.measures(returns - 1.0, np.array([[5.0], [5.0]]), own)
    assert other["difference"]["per_seed"] == [-1.0, -1.0]
    assert other["episodes_to_80_percent_of_oracle"] == 7


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ("lr=0.1", "lr needs another training"),
        ("choice=thompson+width=9", "width needs another training"),
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
    assert_refused(run_here(copy))
    assert_refused(run_here(tmp_path / "nowhere"))


def test_agents_without_a_world_model_have_no_hypotheses(finished, tmp_path, run_here):
    copy = shutil.copytree(finished[0], tmp_path / "run")
    config = json.loads((copy / "config.json").read_text())
    config["structure"]["inference"] = "amortised"
    (copy / "config.json").write_text(json.dumps(config))
    done = run_here(copy, "--arms", "inference=hypotheses")
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
