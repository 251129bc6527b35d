"""Training end to end: its files, resuming, and interruptions."""

import json
import shutil

import jax
import numpy as np
import pytest
from folders import assert_same_numbers, results_of, rows_of
from program import LATENT, OPTIONS, PER_STEP, SEEDS, TINY, interrupt_at

import structlat_jax as sl
from structlat_jax import config as configuration
from structlat_jax.cli import train

PICTURES = {
    "learning_curve.png",
    "adaptation_curve.png",
    "belief.png",
    "task_map.png",
    "prior_paths.png",
    "adaptation_paths.png",
}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run, to be changed."""
    return shutil.copytree(finished[0], tmp_path / "run")


def test_ends_well(finished):
    run, done = finished
    assert done.code == 0, done.err
    assert str(run) in " ".join(done.out.split())
    assert "Traceback" not in done.err
    assert "test return, last episode" in done.out
    assert "% of oracle" in done.out


def test_all_files_are_there(finished):
    run, _ = finished
    names = {path.name for path in run.iterdir()}
    numbers = {"config.json", "metrics.csv", "results.json", "adaptation.npz"}
    assert names == numbers | PICTURES | {"checkpoint", "best", "tensorboard", ".lock"}
    for name in PICTURES:
        content = (run / name).read_bytes()
        assert content.startswith(PNG)
        assert len(content) > 5000


def test_results(finished):
    found = results_of(finished[0])
    assert found["schema_version"] == 1
    assert (found["latent"], found["preset"], found["env"]) == (LATENT, "cpu", "point_robot")
    assert (found["env_options"], found["inference"]) == ({}, "hypotheses")
    assert (found["seeds"], found["first_seed"]) == (SEEDS, OPTIONS["seed"])
    assert found["updates"] == 4 * PER_STEP  # rounded up to whole meta-steps
    assert found["env_steps"] == 4 * 4 * 4 * 20  # meta-steps, tasks, episodes, horizon
    for name in ("test_return", "train_return", "amortised_return", "encoder_return"):
        assert set(found[name]) == {"mean", "std", "ci95", "per_seed"}
        assert len(found[name]["per_seed"]) == SEEDS
        assert found[name]["mean"] == pytest.approx(np.mean(found[name]["per_seed"]))
    assert set(found["kl_nats"]) == {"cat:1x2", "gau:1"}
    assert all(value >= 0 for value in found["kl_nats"].values())
    assert set(found["block_used"]) == {"cat:1x2", "gau:1"}
    assert set(found["recovery"]) == set(found["recovery_matched"]) == {"mixture"}
    assert set(found["recovery"]["mixture"]) == {"cat:1x2", "gau:1"}
    assert set(found["recovery_matched"]["mixture"]) == {"cat:1x2"}
    assert all(value < 1.0 for value in found["recovery"]["mixture"].values())
    assert 10 < found["oracle_return"] < 16
    floor = found["floor_return"]
    share = 100 * (found["test_return"]["mean"] - floor) / (found["oracle_return"] - floor)
    assert found["percent_of_oracle"] == pytest.approx(share)
    assert 0 <= found["tasks_reached_by_prior"] <= 1
    assert 0 < found["compile_seconds"] < found["wall_seconds"]
    assert found["updates_per_second"] > 0
    assert found["jax_version"] == jax.__version__
    assert "cpu" in found["device"].lower()
    assert found["prior_return"] >= 0


def test_adaptation_agrees_with_the_results(finished):
    found = results_of(finished[0])
    with np.load(finished[0] / "adaptation.npz") as data:
        assert data["axes"].tolist() == ["seed", "task", "repeat", "episode"]
        for kind, tasks in (("test", 2), ("train", 3)):
            returns = data[f"returns_{kind}"]
            assert returns.shape == data[f"amortised_{kind}"].shape == (SEEDS, tasks, 2, 4)
            assert data[f"path_{kind}"].shape == (SEEDS, tasks, 2, 4, 21, 2)
            assert data[f"z_{kind}"].shape == (SEEDS, tasks, 2, 4, 3)
            assert data[f"kl_{kind}"].shape == (SEEDS, tasks, 2, 4, 2)
            assert data[f"goal_{kind}"].shape == (SEEDS, tasks, 2)
            assert data[f"floor_{kind}"].shape == data[f"label_{kind}"].shape == (SEEDS, tasks)
            assert data[f"factor_mixture_{kind}"].shape == (SEEDS, tasks, 2)
            assert np.all(data[f"length_{kind}"] == 20)
            np.testing.assert_array_equal(data[f"success_{kind}"], returns > 0)
            last = returns[..., -1].mean(axis=(1, 2))
            np.testing.assert_allclose(found[f"{kind}_return"]["per_seed"], last, rtol=1e-5)
        last = data["amortised_test"][..., -1].mean(axis=(1, 2))
        np.testing.assert_allclose(found["amortised_return"]["per_seed"], last, rtol=1e-5)
        np.testing.assert_allclose(found["oracle_return"], data["oracle_test"].mean(), rtol=1e-5)
        np.testing.assert_allclose(found["floor_return"], data["floor_test"].mean(), rtol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(data["goal_test"], axis=-1), 1.0, rtol=1e-5)


def test_metrics_have_a_row_per_meta_step_and_seed(finished):
    rows = rows_of(finished[0])
    expected = [(u, s) for u in (5, 10, 15, 20) for s in (4, 5)]
    assert [(int(row["updates"]), int(row["seed"])) for row in rows] == expected
    evaluated = [int(row["updates"]) for row in rows if row["test_return"]]
    assert evaluated == [10, 10, 20, 20]
    measured = {"q", "v", "policy", "world_dynamics", "world_reward", "kl cat:1x2", "kl gau:1"}
    assert measured | {"kl_weight"} <= set(rows[0])
    assert all(np.isfinite(float(row[name])) for row in rows for name in measured)
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    found = results_of(finished[0])
    for name in ("test", "train"):
        last = found[f"{name}_return"]["per_seed"][-1]
        assert float(rows[-1][f"{name}_return"]) == pytest.approx(last, abs=1e-6)
    last = found["amortised_return"]["per_seed"][-1]
    assert float(rows[-1]["test_amortised_return"]) == pytest.approx(last, abs=1e-6)
    with np.load(finished[0] / "adaptation.npz") as data:
        floor, oracle = data["floor_test"][-1].mean(), data["oracle_test"][-1].mean()
        reached = data["success_test"][-1, ..., -1].mean()
    assert float(rows[-1]["floor_return"]) == pytest.approx(floor, abs=1e-6)
    assert float(rows[-1]["oracle_return"]) == pytest.approx(oracle, abs=1e-5)
    assert float(rows[-1]["test_success"]) == pytest.approx(reached)
    share = 100 * (float(rows[-1]["test_return"]) - floor) / (oracle - floor)
    assert float(rows[-1]["percent_of_oracle"]) == pytest.approx(share, abs=1e-3)


def test_a_run_can_be_loaded(finished):
    for seed in range(SEEDS):
        agent = sl.load(finished[0], seed)
        z = agent.sample_z(agent.prior(), jax.random.key(0))
        assert agent.act(np.zeros(2, np.float32), z).shape == (2,)
        assert agent.config.structure.latent == LATENT
        drawn = agent.prior().state.hypotheses
        assert drawn.z.shape == (OPTIONS["hypotheses"], agent.space.dim)
        assert drawn.reading.shape == (OPTIONS["hypotheses"], 2)


@pytest.mark.slow
def test_a_run_with_the_papers_inference(tmp_path, here):
    run = tmp_path / "run"
    options = ("--inference", "amortised", "--seeds", 1, "--updates", 2 * PER_STEP, "--evals", 1)
    done = here(*TINY, *options, "--out", run)
    assert done.code == 0, done.err
    found = results_of(run)
    assert found["test_return"] == found["amortised_return"]
    assert not {name for name in rows_of(run)[0] if name.startswith("world_")}
    with np.load(run / "adaptation.npz") as data:
        for kind in ("train", "test"):
            np.testing.assert_array_equal(data[f"returns_{kind}"], data[f"amortised_{kind}"])
    agent, env = sl.load(run), sl.envs.point_robot.make()
    assert agent.learned.inference == {}
    z = agent.sample_z(agent.prior(), jax.random.key(0))
    state = env.reset(jax.random.key(1), env.sample_tasks(jax.random.key(2), 1)[0])
    obs = env.observe(state)
    seen = sl.Transition(obs, agent.act(obs, z), 1.0, 0.0, obs, 0.0)
    belief = agent.update(agent.prior(), seen)
    assert int(belief.steps) == 1
    assert np.all(np.isfinite(agent.sample_z(belief, jax.random.key(3))))


def test_resume_of_a_finished_run_changes_nothing(copy, here):
    before = times_of(copy)
    done = here("--resume", "--out", copy)
    assert done.code == 0, done.err
    assert "finished" in done.out
    assert times_of(copy) == before


def times_of(run):
    """All but the lock's, which older releases of filelock truncate when they take it."""
    return {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != ".lock"}


def test_files_that_a_finished_run_lacks_are_written(finished, copy, here):
    """As after an interruption between the last checkpoint and the results."""
    for name in ("results.json", "adaptation.npz", "belief.png"):
        (copy / name).unlink()
    done = here("--resume", "--out", copy)
    assert done.code == 0, done.err
    assert (copy / "belief.png").read_bytes().startswith(PNG)
    assert_same_numbers(copy, finished[0])


def test_interrupted_and_resumed_equals_uninterrupted(finished, tmp_path, here, monkeypatch):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 10)
        done = here(*TINY, "--out", run)
    assert done.code == 130
    assert "--resume" in done.out
    assert "Traceback" not in done.err
    names = {path.name for path in run.iterdir()}
    assert names == {"config.json", "metrics.csv", "checkpoint", "best", ".lock"}
    assert [int(row["updates"]) for row in rows_of(run)][-1] == 10

    done = here("--resume", "--out", run, *TINY)  # the same options may be given again
    assert done.code == 0, done.err
    assert_same_numbers(run, finished[0])


@pytest.mark.parametrize(
    "option",
    [("--width", "5"), ("--seeds", "3"), ("--updates", "15"), ("--latent", "gau:1")],
)
def test_resume_refuses_other_options(copy, here, option):
    before = times_of(copy)
    done = here("--resume", "--out", copy, *option)
    assert done.code == 2
    (line,) = done.err.strip().splitlines()
    assert line.startswith("error: ")
    assert option[0] in line
    assert option[1] in line
    assert times_of(copy) == before


def test_overwrite_replaces_a_run(copy, here, monkeypatch):
    """Up to the training, which is not needed to see it."""

    class Begun(Exception):
        pass

    def begin(job, resume, logger):
        raise Begun

    monkeypatch.setattr(train, "run", begin)
    with pytest.raises(Begun):
        here(*TINY, "--seed", 7, "--out", copy, "--overwrite")
    assert {path.name for path in copy.iterdir()} == {"config.json", ".lock"}
    assert json.loads((copy / "config.json").read_text())["seed"] == 7


def test_help_mentions_everything(here):
    done = here("--help")
    assert done.code == 0
    text = " ".join(done.out.split())
    for name, field in configuration.fields().items():
        assert "--" + name.replace("_", "-") in text
        for choice in field.metadata["choices"] or ():
            assert choice in text
    names = ("--seeds", "--seed", "--updates", "--evals", "--out", "--overwrite", "--resume")
    for name in (*names, "--env", "--env-option", "--config", "--log", "--preset"):
        assert name in text
    for preset in configuration.PRESETS:
        assert preset in text
