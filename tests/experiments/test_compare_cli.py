"""The comparison of algorithms end to end, with rows that are made up instead of trained."""

import functools
import json

import made_up
import numpy as np
import pytest
from program import assert_refused
from tiny import SIZES

from experiments import compare
from structlat_jax.algos.options import ALGORITHMS
from structlat_jax.report import comparison
from structlat_jax.report.run_files import METRICS_FILE

SMALL = {name: value for name, value in SIZES.items() if name not in ("latent", "updates_per_step")}
MADE = [f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items()]
MADE += ["--seeds=3", "--algorithms", "pearl,varibad,rl2", "--latents", "gau:2;dir:1x3"]
LABELS = ["pearl gau:2", "pearl dir:1x3", "varibad gau:2", "varibad dir:1x3", "rl2"]


def told(done):
    """What was complained of, without its line breaks."""
    return " ".join(done.err.split())


@pytest.fixture
def run_here(in_process):
    return functools.partial(in_process, compare.command)


@pytest.fixture
def trained(monkeypatch):
    """Each arm returns 2 more than the one before it; the groups that were asked for."""

    def returns(member):
        base = 4.0 + 2.0 * LABELS.index(member.label)
        return [base, base + 1, base]

    made = made_up.in_place_of_training(monkeypatch, returns, lambda member: {"env_steps": 4000})
    write = made_up.results.write_metrics

    def with_curve(path, rows):
        curve = [(10, 1.0), (20, 4.0)]
        write(
            path,
            [
                {"updates": at, "seed": seed, "seconds": 3.0 * at, "test_return": value}
                for at, value in curve
                for seed in range(3)
            ],
        )

    monkeypatch.setattr(made_up.results, "write_metrics", with_curve)
    return made


@pytest.fixture
def folder(tmp_path, run_here, trained):
    done = run_here(*MADE, "--out", tmp_path / "all")
    assert done.code == 0, done.err
    return tmp_path / "all"


def test_every_algorithm_has_its_own_settings_and_each_latent_its_run(folder, trained):
    plans = {one.label: one.plan for group in trained for one in group}
    assert list(plans) == LABELS
    assert plans["rl2"].config.structure.algorithm == "rl2"
    assert plans["rl2"].config.hyper.discount == 0.985
    assert plans["varibad dir:1x3"].config.structure.latent == "dir:1x3"
    assert plans["pearl gau:2"].config.structure.algorithm == "pearl"
    assert all(plan.config.structure.width == SIZES["width"] for plan in plans.values())
    assert plans["rl2"].preset == "rl2"
    assert plans["rl2"].updates != plans["pearl gau:2"].updates
    folders = {one.folder.name for group in trained for one in group}
    assert folders == {"pearl-gau-2", "pearl-dir-1x3", "varibad-gau-2", "varibad-dir-1x3", "rl2"}


def test_what_it_writes(folder):
    made = json.loads((folder / "compare.json").read_text())
    assert [row["latent"] for row in made["rows"]] == LABELS
    first = made["rows"][0]
    assert first["env_steps"] == 4000
    assert first["curve"]["env_steps"] == [2000.0, 4000.0]
    assert first["curve"]["seconds"] == [30.0, 60.0]
    np.testing.assert_allclose(first["by_episode"], np.array(made_up.CURVE) * 13 / 3)
    assert [one["against"] for one in made["comparisons"]] == ["pearl gau:2"] * 4
    np.testing.assert_allclose(made["comparisons"][-1]["difference"]["mean"], 8.0)
    text = (folder / "compare.md").read_text()
    for word in ("environment steps", "episode 1", "told apart", *LABELS):
        assert word in text
    for name in ("by_episode", "by_steps", "by_time"):
        assert (folder / f"{name}.png").is_file()
        assert f"({name}.png)" in text
    assert (folder / "rl2" / METRICS_FILE).is_file()


def test_steps_until_most_of_the_oracle(folder):
    made = json.loads((folder / "compare.json").read_text())
    found = made["rows"][0]["steps_to_share"]
    assert found == {"per_seed": [None] * 3, "reached": 0.0, "median": None, "ci95": None}


def test_a_curve_that_gets_there_says_when():
    run = made_up.run("gau:2", [15.0, 16.0])
    steps, returns = np.array([10.0, 20.0, 30.0]), np.array([[1.0, 13.0, 14.0], [1.0, 2.0, 15.0]])
    found = comparison.steps_to_share(run, steps, returns)
    assert found["per_seed"] == [20.0, 30.0]
    assert (found["reached"], found["median"]) == (1.0, 25.0)
    half = comparison.steps_to_share(run, steps[:2], returns[:, :2])
    assert (half["per_seed"], half["reached"], half["median"]) == ([20.0, None], 0.5, None)


def test_where_nobody_knows_the_oracle_nothing_is_said_of_it():
    run = made_up.unknown(made_up.run("gau:2", [15.0]))
    assert comparison.steps_to_share(run, np.array([1.0]), np.ones((1, 1))) is None


def test_what_is_typed_is_given_to_all_even_if_it_is_the_first_presets(tmp_path, run_here, trained):
    own = ["--discount=0.9", "--updates=30000", "--algorithms=pearl,rl2", "--latents=gau:2"]
    sizes = [one for one in MADE if "=" in one]
    done = run_here(*sizes, *own, "--out", tmp_path / "all")
    assert done.code == 0, done.err
    plans = {one.label: one.plan for group in trained for one in group}
    assert {plan.config.hyper.discount for plan in plans.values()} == {0.9}
    assert {plan.updates for plan in plans.values()} == {30_000}
    trained.clear()
    (tmp_path / "all" / "rl2" / "results.json").unlink()
    assert run_here("--resume", "--out", tmp_path / "all").code == 0
    again = {one.label: one.plan for group in trained for one in group}
    assert again["rl2"] == plans["rl2"]


def test_a_seed_that_is_not_finite_is_in_no_number():
    labels = {name: made_up.run("gau:2", [1.0, 2.0], env_steps=40) for name in ("pearl", "rl2")}
    curve = {"updates": [20.0, 20.0], "seed": [0.0, 1.0], "seconds": [1.0, 1.0]}
    for run in labels.values():
        run.arrays["returns_test"][1] = np.nan
        run.metrics.clear()
        values = {**curve, "test_return": [1.0, np.nan]}
        run.metrics.update({name: np.array(value) for name, value in values.items()})
    built = comparison.build(labels)
    row = built["rows"][0]
    assert row["by_episode"] == [0.0, 0.25, 0.5, 1.0]
    assert row["curve"]["test_return"] == [[1.0], [None]]
    assert row["not_finite_seeds"] == [1]
    json.dumps(built, allow_nan=False)
    for run in labels.values():
        run.arrays["returns_test"][:] = np.nan
    none = comparison.build(labels)
    assert none["rows"][0]["by_episode"] == [None] * 4
    assert comparison.sections(none)


def test_it_continues_and_refuses_another_comparison(folder, run_here, trained):
    count = len(trained)
    done = run_here(*MADE, "--out", folder, "--resume")
    assert done.code == 0, done.err
    assert len(trained) == count  # all were finished
    done = run_here("--algorithms", "pearl", "--out", folder, "--resume")
    assert_refused(done)
    assert "--algorithms" in done.err
    done = run_here("--latents", "gau:3;dir:1x3", "--out", folder, "--resume")
    assert_refused(done)
    assert f"--latents: --resume continues {folder} as it is, with dir:1x3; gau:2." in told(done)
    assert run_here("--latents", "dir:1x3;gau:2", "--out", folder, "--resume").code == 0


def test_unknown_algorithms_are_refused(tmp_path, run_here):
    done = run_here("--algorithms", "pearl,ppo", "--out", tmp_path / "no")
    assert_refused(done)
    assert f"--algorithms must be some of {', '.join(ALGORITHMS)}, not ppo" in told(done)
    done = run_here("--algorithms", "pearl,pearl", "--out", tmp_path / "no")
    assert_refused(done)
    assert "--algorithms must differ" in told(done)
    assert not (tmp_path / "no").exists()
