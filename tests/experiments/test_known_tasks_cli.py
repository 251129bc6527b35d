"""What the posteriors of training tasks say, read in three ways."""

import json

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from read_runs import read_by

import structlat_jax as sl
from experiments import known_tasks
from structlat_jax.envs import make
from structlat_jax.errors import InputError

SPACE = sl.latent_space("dir:1x3,gau:2")
SMALL = {"latent": str(SPACE), "train_tasks": 8, "posterior": "task", "inference": "amortised"}


@pytest.fixture
def truth():
    return np.random.default_rng(0).dirichlet(0.3 * np.ones(3), 60)


def test_each_block_says_what_is_in_it(truth):
    styles = np.random.default_rng(1).normal(size=(60, 2))
    beliefs = np.concatenate([truth[:, [2, 0, 1]], styles], axis=1)
    found = known_tasks.read(SPACE, beliefs, {"mixture": truth, "style": styles})
    own, other = found["dir:1x3"]["mixture"], found["gau:2"]["mixture"]
    assert own["linear"] == pytest.approx(1.0, abs=1e-4)
    assert own["matched"] == pytest.approx(1.0, abs=1e-6)
    assert own["nearest"] > 0.8
    assert max(other["linear"], other["nearest"]) < 0.2
    assert "matched" not in other
    assert found["gau:2"]["style"]["linear"] > 0.99
    assert found["dir:1x3"]["style"]["linear"] < 0.2
    assert "matched" not in found["dir:1x3"]["style"]
    for k, place in enumerate(own["places"]):
        nearly = truth[:, k] > known_tasks.NEARLY
        np.testing.assert_allclose(place, truth[nearly].mean(axis=0))


def test_what_is_arranged_in_another_way_is_there_and_not_matched(truth):
    """Once around the edge of the simplex, so that no corner is where it was."""
    angle = 2 * np.pi * np.linspace(0, 1, 300, endpoint=False)
    line = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = known_tasks.read(sl.latent_space("gau:1"), angle[:, None], {"place": line})
    assert found["gau:1"]["place"]["nearest"] > 0.99
    assert found["gau:1"]["place"]["linear"] < 0.7


def test_tasks_in_one_place_are_not_their_own_neighbours():
    x, y = np.zeros((20, 2)), np.arange(20.0)[:, None]
    assert known_tasks.nearest(x, y) < 0.2
    assert known_tasks.nearest(np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])) < 0


def test_no_task_is_nearly_a_base_task_that_is_missing():
    weights = np.array([[0.95, 0.05, 0.0], [0.3, 0.3, 0.4], [0.0, 0.02, 0.98]])
    first, second, third = known_tasks.places(weights, weights)
    assert (first, second, third) == ([0.95, 0.05, 0.0], None, [0.0, 0.02, 0.98])


@pytest.mark.slow
def test_a_run_is_read(tmp_path, kept_programs):
    run, shown, said = read_by(known_tasks.command, tiny.config(**SMALL), tmp_path)
    with tiny.quick_compile():
        space, beliefs, factors, first = known_tasks.of_run(run.path)
    assert (said["latent"], said["tasks"], first) == ("dir:1x3,gau:2", 8, 4)
    assert [row["seed"] for row in said["seeds"]] == [4, 5]
    assert (str(space), beliefs.shape, factors["mixture"].shape) == (
        *("dir:1x3,gau:2", (2, 8, 5)),
        (2, 8, 3),
    )
    stored = np.load(run.path / "adaptation.npz")["factor_mixture_train"]
    np.testing.assert_allclose(factors["mixture"], stored, rtol=1e-6)
    value = said["seeds"][1]["blocks"]["gau:2"]["mixture"]["nearest"]
    assert value == known_tasks.nearest(beliefs[1, :, 3:], factors["mixture"][1])
    assert f"{value:.2f}" in shown


@pytest.mark.slow
def test_what_follows_from_factors_is_read_beside_them(tmp_path, kept_programs):
    with tiny.quick_compile():
        env = make("triangle", rotation=0.7, gain=0.3)
        sl.train(tiny.config(**SMALL), env, seeds=1, updates=5, evals=1, out=tmp_path / "run")
        _, _, factors, _ = known_tasks.of_run(tmp_path / "run")
    angle, gain, motion = (factors[name][0] for name in ("rotation", "gain", "motion"))
    expected = np.exp(gain) * np.stack([np.cos(angle), np.sin(angle)])
    np.testing.assert_allclose(motion.T, expected.reshape(2, -1), rtol=1e-5)


@pytest.mark.slow
def test_several_runs_are_one_list(tmp_path, kept_programs):
    run, _, said = read_by(known_tasks.command, tiny.config(**SMALL), tmp_path)
    out = tmp_path / "both.json"
    with tiny.quick_compile():
        done = CliRunner().invoke(known_tasks.command, [*[str(run.path)] * 2, "--out", str(out)])
    assert done.exit_code == 0, done.output
    both = json.loads(out.read_text())
    assert both == {**said, "seeds": said["seeds"] * 2}


def test_runs_of_other_latents_are_no_list(monkeypatch):
    def of_run(run, named):
        space = sl.latent_space("gau:1" if run.name == "one" else "gau:2")
        return space, np.zeros((1, 4, space.dim)), {}, 0

    monkeypatch.setattr(known_tasks, "of_run", of_run)
    done = CliRunner().invoke(known_tasks.command, ["one", "other"])
    assert isinstance(done.exception, InputError)
    expected = "other has gau:2 and 4 training tasks, but one has gau:1 and 4."
    assert str(done.exception) == expected


@pytest.mark.slow
def test_a_run_without_posteriors_of_its_tasks_is_refused(tmp_path, kept_programs):
    with tiny.quick_compile():
        config = tiny.config(posterior="context", inference="amortised")
        sl.train(config, "triangle", seeds=1, updates=5, evals=1, out=tmp_path / "run")
        with pytest.raises(InputError, match="training tasks have no posteriors of their own"):
            known_tasks.of_run(tmp_path / "run", None)
