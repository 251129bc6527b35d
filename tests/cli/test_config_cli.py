"""A run from its configuration: the same bits, flags on top, and code that is named again."""

import functools
import json
import shutil

import numpy as np
import own_env
import pytest
from folders import assert_same_run, results_of
from own_env import times_run
from program import OPTIONS, TINY, assert_refused

from experiments import table1
from structlat_jax.cli import commands, train
from structlat_jax.config import preset
from structlat_jax.envs import point_robot
from structlat_jax.run import lanes
from structlat_jax.run.loop import Job


class Begun(Exception):
    pass


@pytest.fixture
def show(in_process):
    """What a command line makes of itself, as a dictionary."""

    def run(*arguments):
        done = in_process(commands.config, *arguments)
        assert done.code == 0, done.err
        return json.loads(done.out)

    return run


@pytest.fixture
def begin(here, monkeypatch):
    """Starts a run as far as its training: the job that would be done."""

    def stop(job, resume, logger):
        raise Begun(job)

    def run(*arguments) -> Job:
        with monkeypatch.context() as patch:
            patch.setattr(train, "run", stop)
            with pytest.raises(Begun) as begun:
                here(*arguments)
        return begun.value.args[0]

    return run


@pytest.fixture
def alone(finished):
    """A finished run, not to be changed."""
    return finished[0]


@pytest.mark.slow
def test_the_same_run_with_the_same_bits(here, tmp_path):
    """Both in this process, whose devices may be fewer than those of one of their own."""
    first, again = tmp_path / "first", tmp_path / "again"
    for arguments in ((*TINY, "--out", first), ("--config", first / "config.json", "--out", again)):
        done = here(*arguments)
        assert done.code == 0, done.err
    assert (again / "config.json").read_text() == (first / "config.json").read_text()
    assert_same_run(again, first)


def test_what_is_shown_starts_the_same_run(show, begin, tmp_path):
    shown = show(*TINY)
    (tmp_path / "shown.json").write_text(json.dumps(shown))
    job = begin("--config", tmp_path / "shown.json", "--out", tmp_path / "run")
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == shown
    assert job.plan == begin(*TINY, "--out", tmp_path / "other").plan
    assert show("--config", tmp_path / "shown.json") == shown


def test_flags_come_on_top(alone, begin, tmp_path):
    own = ["--config", alone / "config.json", "--out", tmp_path / "run"]
    flags = ["--seed", 9, "--updates", 5, "--lr", 0.02, "--width", 5, "--env-option", "horizon=7"]
    job = begin(*own, *flags)
    usual = begin(*own[:2], "--out", tmp_path / "other")
    assert (job.plan.seed, job.plan.updates) == (9, 5)
    assert job.plan.seeds == usual.plan.seeds == OPTIONS["seeds"]
    assert job.setup.env.horizon == 7
    assert dict(job.plan.config.env.options) == {"horizon": 7}
    assert job.plan.config.env.widths == (2, 2, 7)
    changed = usual.plan.config.replace(lr=0.02, width=5, env=job.plan.config.env)
    assert job.plan.config == changed


def test_options_of_the_environment_come_on_top_of_those_in_the_file(show, begin, tmp_path):
    first = show("--env-option", "horizon=7", "--env-option", "goal_radius=0.3")
    (tmp_path / "first.json").write_text(json.dumps(first))
    job = begin(
        "--config", tmp_path / "first.json", "--env-option", "horizon=9", "--out", tmp_path / "run"
    )
    assert dict(job.plan.config.env.options) == {"horizon": 9, "goal_radius": 0.3}
    assert (job.setup.env.horizon, job.setup.env.plane.radius) == (9, 0.3)


TOML = """
seeds = 3
updates = 1_000

[env]
name = "point_robot"
options = { horizon = 8, anchors = [0.0, 1.5] }

[structure]
latent = "gau:2"
width = 16
prior_factor = false

[hyper]
lr = 2e-3
"""


def test_a_toml_file_holds_the_same_fields(begin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(TOML)
    job = begin("--config", "mine.toml", "--seed", 2)
    usual, _ = preset(None, point_robot.make())  # of what the file does not say
    expected = usual.replace(latent="gau:2", width=16, prior_factor=False, lr=2e-3)
    assert job.plan.config.structure == expected.structure
    assert job.plan.config.hyper == expected.hyper
    assert (job.plan.seeds, job.plan.seed, job.plan.updates) == (3, 2, 1_000)
    assert (job.plan.evals, job.plan.preset) == (10, "mine.toml")
    assert job.setup.env.horizon == 8
    assert dict(job.plan.config.env.options) == {"horizon": 8, "anchors": (0.0, 1.5)}


def test_an_empty_file_is_the_default_run(begin, tmp_path):
    (tmp_path / "empty.toml").write_text("")
    job = begin("--config", tmp_path / "empty.toml", "--out", tmp_path / "run")
    usual = begin("--out", tmp_path / "usual")
    assert job.plan.config == usual.plan.config
    assert (job.plan.seeds, job.plan.updates) == (usual.plan.seeds, usual.plan.updates)


def test_a_file_may_name_the_preset_that_it_stands_on(begin, tmp_path):
    (tmp_path / "mine.toml").write_text('preset = "rl2"\n[structure]\nwidth = 16\n')
    job = begin("--config", tmp_path / "mine.toml", "--out", tmp_path / "run")
    expected, updates = preset("rl2", point_robot.make())
    assert job.plan.config == expected.replace(width=16, env=job.plan.config.env)
    assert (job.plan.preset, job.plan.updates) == ("rl2", updates)


def test_code_of_a_file_is_named_again(show, begin, here, tmp_path, monkeypatch):
    own_env.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    shown = show("--env", "own.py", "--env-option", "edge=0.7", "--seeds", 2)
    assert shown["env"]["name"] == "own.py:make"
    (tmp_path / "config.json").write_text(json.dumps(shown))
    ran = times_run(tmp_path)
    line = assert_refused(here("--config", "config.json", "--out", "run"))
    assert "is not run unasked: name it again (--env own.py:make" in line
    assert times_run(tmp_path) == ran
    assert not (tmp_path / "run").exists()
    job = begin("--config", "config.json", "--env", "own.py", "--out", "run")
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == shown
    assert job.setup.env.name == "slope"


def test_code_that_has_moved(show, begin, tmp_path, monkeypatch):
    own_env.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(show("--env", "own.py")))
    (tmp_path / "moved").mkdir()
    shutil.move("own.py", "moved/mine.py")
    job = begin("--config", "config.json", "--env", "moved/mine.py", "--out", "run")
    assert job.plan.config.env.name == "moved/mine.py:make"
    assert job.setup.env.name == "slope"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"seeds": 0}', "--seeds must be a whole number from 1"),
        ('{"seeds": "2"}', "--seeds must be a whole number from 1"),
        ('{"env": "point_robot"}', "env must be an object"),
        ('{"env": {"name": "nowhere"}}', "env must be one of point_robot"),
        ('{"env": {"options": {"size": 2}}}', "has no option 'size'"),
        ('{"env": {"widths": [3, 2, 20]}}', "obs_dim is 3 there and 2 here"),
        ('{"hyper": {"lr": "fast"}}', "lr must be a number, not 'fast'"),
        ('{"latent": "gau:2"}', "latent is none of checkpoint_seconds, env, evals, hyper, preset"),
        ('{"preset": "huge"}', "preset must be one of cpu, "),
        ('{"preset": ["cpu"]}', "preset must be one of"),
        ('{"structure": []}', "'structure' and 'hyper' objects"),
    ],
)
def test_what_cannot_be_is_refused(here, tmp_path, text, said):
    (tmp_path / "x.json").write_text(text)
    line = assert_refused(here("--config", tmp_path / "x.json", "--out", tmp_path / "run"))
    assert said in line
    assert not (tmp_path / "run").exists()


def test_a_table_and_a_sweep_from_a_run(alone, in_process, tmp_path, monkeypatch):
    asked = {}

    def train_all(rows, out, finished, logger):
        asked[out.name] = rows
        raise Begun

    monkeypatch.setattr(lanes, "train_all", train_all)
    own = ["--config", alone / "config.json"]
    table = functools.partial(in_process, table1.command, *own, "--latents", "gau:2;gau:3")
    swept = functools.partial(in_process, commands.sweep, *own, "--grid", "lr=0.1,0.2")
    for name, run in (("table", table), ("sweep", swept)):
        with pytest.raises(Begun):
            run("--out", tmp_path / name)
    base = asked["table"][0].plan
    assert (base.seeds, base.updates, base.config.structure.width) == (2, 18, OPTIONS["width"])
    assert [row.plan.config.structure.latent for row in asked["table"]] == ["gau:2", "gau:3"]
    assert [row.plan.config.hyper.lr for row in asked["sweep"]] == [0.1, 0.2]
    assert {row.plan.config.structure.latent for row in asked["sweep"]} == {OPTIONS["latent"]}


def test_the_files_of_results_say_how_they_were_made(alone):
    found = results_of(alone)
    assert found["env"] == "point_robot"
    assert found["env_options"] == {}
    assert np.isfinite(found["floor_return"])
