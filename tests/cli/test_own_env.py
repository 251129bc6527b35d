"""An environment of a file, through every command: nothing in it is goal-reaching."""

import functools
import json
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import own_env
import pytest
from folders import assert_same_run, listing, results_of, rows_of
from own_env import SEEDS, UPDATES, times_run
from program import assert_refused, interrupt_at

import structlat_jax as sl
from experiments import table1
from structlat_jax.cli import commands, finished_commands
from structlat_jax.envs import BUILT_IN, EnvError
from structlat_jax.report import album, effect
from structlat_jax.report.run_files import read_run

TRAIN = ("--env", "own.py", "--seeds", SEEDS, "--evals", 2)
NAME_IT = "is code of its own, which is not run unasked: name it again (--env own.py:make"
ABSENT = ("oracle", "percent_of_oracle", "success", "reached", "found")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    own_env.write(folder)
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder of a test, with the file in it."""
    own_env.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trained(shared, here, monkeypatch):
    """A finished run, not to be changed: its folder, and what was said."""
    with monkeypatch.context() as patch:
        patch.chdir(shared)
        if not (shared / "said").exists():
            done = here(*TRAIN, "--out", "run")
            assert done.code == 0, done.err
            (shared / "said").write_text(done.out)
    return shared / "run", (shared / "said").read_text()


@pytest.fixture
def copy(trained, place):
    """A copy of it in the working folder."""
    return shutil.copytree(trained[0], place / "run")


def test_what_nobody_knows_is_left_out(trained):
    run, said = trained
    found, rows = results_of(run), rows_of(run)
    for names in (found, rows[0]):
        assert not [name for name in names if any(word in name for word in ABSENT)]
    assert "%" not in said.replace("95 %", "").replace("80 %", "")
    assert found["preset"] == "quick"
    assert found["updates"] == UPDATES
    assert found["floor_return"] < -10
    assert found["test_return"]["mean"] < -10
    pictures = {path.name for path in run.glob("*.png")}
    assert pictures == {"learning_curve.png", "adaptation_curve.png", "belief.png"}


def test_the_configuration_names_it(trained):
    env = json.loads((trained[0] / "config.json").read_text())["env"]
    assert env == {"name": "own.py:make", "options": {}, "title": "slope", "widths": [2, 1, 6]}


def test_what_follows_the_end_of_an_episode_is_masked(trained):
    arrays = read_run(trained[0]).arrays
    length, path = arrays["length_test"], arrays["path_test"]
    assert length.min() < 6
    returns = arrays["returns_test"]
    assert np.all(returns <= -10.0 * length)  # every step costs as much, and no other does
    assert np.all(returns > -10.0 * (length + 1) - 40.0)
    for at in np.argwhere(length < 6):
        after = path[tuple(at)][length[tuple(at)] :]
        np.testing.assert_array_equal(after, np.broadcast_to(after[0], after.shape))
        assert np.abs(after[0, 0]) > 0.5


def test_interrupted_and_resumed(trained, place, here, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_at(patch, 10)
        done = here(*TRAIN, "--out", "run")
    assert done.code == 130
    assert "continue with --resume --out run --env own.py" in " ".join(done.out.split())
    with pytest.raises(FileNotFoundError, match=r"--resume --out run --env .*own.py:make finishes"):
        read_run(Path("run"))
    ran, before = times_run(place), listing(place)
    assert ran == 1
    line = assert_refused(here("--resume", "--out", "run"))
    assert NAME_IT in line
    assert times_run(place) == ran  # nothing of it was run
    assert listing(place) == before
    done = here("--resume", "--out", "run", "--env", "own.py")
    assert done.code == 0, done.err
    assert_same_run(place / "run", trained[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--env-option edge=0.7", "--env-option is {} there and {'edge': 0.7} here"),
        ("--env own.py --env-option edge=0.7", "--env-option is {} there"),
        ("--env own.py --env-option size=1", "size"),
        ("--env absent.py", "there is no file absent.py"),
        ("--env point_robot", "action_dim is 1 there and 2 here"),
        ("--env own.py --width 9", "--width is 4 there and 9 here"),
    ],
)
def test_another_environment_is_refused(copy, here, arguments, said):
    (copy / "results.json").unlink()
    before = listing(copy)
    assert said in assert_refused(here("--resume", "--out", copy, *arguments.split()))
    assert listing(copy) == before


def test_a_file_that_has_changed_is_refused(copy, place, here):
    (copy / "results.json").unlink()
    (place / "own.py").write_text(own_env.SOURCE.replace("obs_dim: int = 2", "obs_dim: int = 3"))
    line = assert_refused(here("--resume", "--out", copy, "--env", "own.py"))
    assert "is not the one that was trained on" in line
    assert "obs_dim is 2 there and 3 here" in line


def test_evaluated_again(copy, place, in_process):
    run = functools.partial(in_process, finished_commands.evaluate)
    arms = ("--arms", "eval_prior_episodes=1", "--out", "again.json")
    assert NAME_IT in assert_refused(run("run", *arms))
    assert times_run(place) == 0
    done = run("run", *arms, "--env", "own.py")
    assert done.code == 0, done.err
    unchanged, other = json.loads((place / "again.json").read_text())["rows"]
    expected = results_of(copy)["test_return"]["per_seed"]
    assert unchanged["last_return"]["per_seed"] == pytest.approx(expected, abs=1e-4)
    assert len(other["difference"]["per_seed"]) == SEEDS
    assert not [name for name in unchanged if any(word in name for word in ABSENT)]
    assert "oracle" not in done.out


@pytest.mark.slow
def test_evaluated_with_another_option(copy, place, in_process):
    """What the environment's file takes, on top of what the run says."""
    run = functools.partial(
        in_process, finished_commands.evaluate, "run", "--arms", "eval_prior_episodes=1"
    )
    option = ("--env-option", "edge=9")
    done = run("--env", "own.py", *option, "--out", "again.json")
    assert done.code == 0, done.err
    written = json.loads((place / "again.json").read_text())
    last = np.array(written["rows"][0]["last_return"]["per_seed"])
    assert np.all(last < -60)  # all six steps of every episode
    assert written["env"] == "own.py:make (edge=9)"
    assert NAME_IT in assert_refused(run(*option))
    assert NAME_IT in assert_refused(in_process(finished_commands.figures, "run", *option))


def test_swept(copy, place, in_process):
    run = functools.partial(in_process, commands.sweep)
    grid = ("--seeds", 1, "--grid", "lr=0.001,0.01")  # as many lanes as the other runs have
    done = run(*TRAIN, *grid, "--out", "sweep")
    assert done.code == 0, done.err
    rows = rows_of(place / "sweep", "sweep.csv")
    assert len(rows) == 2 * 2
    assert not [name for name in rows[0] if any(word in name for word in ABSENT)]
    first = read_run(place / "sweep" / rows[0]["run"])
    for name in ("returns_test", "floor_test", "length_test"):  # lr is the default's there
        np.testing.assert_allclose(first.arrays[name][0], read_run(copy).arrays[name][0], rtol=1e-4)
    (place / "sweep" / rows[-1]["run"] / "results.json").unlink()
    assert NAME_IT in assert_refused(run("--resume", "--out", "sweep"))
    assert run("--resume", "--out", "sweep", "--env", "own.py").code == 0
    for one, other in zip(rows_of(place / "sweep", "sweep.csv"), rows, strict=True):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}


def test_a_table_of_it(copy, place, in_process):
    done = in_process(table1.command, *TRAIN, "--latents", "cat:1x2,gau:1", "--out", "table")
    assert done.code == 0, done.err
    (row,) = json.loads((place / "table" / "table.json").read_text())["rows"]
    expected = results_of(copy)["test_return"]["mean"]
    assert row["test_return"]["mean"] == pytest.approx(expected, rel=1e-5)
    text = (place / "table" / "table.md").read_text()
    for word in ("oracle", "| paper", "ordering", "reached", "nan"):
        assert word not in text.lower()
        assert word not in done.out.lower()


def test_drawn(copy, place, in_process, monkeypatch):
    monkeypatch.setattr(effect, "DRAWS", 64)
    monkeypatch.setattr(album, "FORMATS", ("png",))
    run = functools.partial(in_process, finished_commands.figures)
    done = run("run", "--out", "plain")
    assert done.code == 0, done.err
    assert times_run(place) == 0
    assert "is code of its own, which is not run unasked" in " ".join(done.out.split())
    done = run("run", "--out", "figures", "--env", "own.py")
    assert done.code == 0, done.err
    assert times_run(place) == 1
    drawn = {path.stem for path in (place / "figures").iterdir()}
    assert drawn >= {"learning_curves", "adaptation_curves"}
    assert not {name for name in drawn if name.startswith(("figure", "maps", "task"))}


def test_loaded_elsewhere(trained, place):
    with pytest.raises(EnvError, match="not run unasked"):
        sl.load(trained[0])
    assert times_run(place) == 0
    agent = sl.load(trained[0], seed=1, env=place / "own.py")
    assert agent.env.name == "slope"
    z = agent.sample_z(agent.prior(), jax.random.key(0))
    assert agent.act(np.zeros(2), z).shape == (1,)


def test_a_module_is_named_like_a_file(place, here, monkeypatch):
    """From the working folder, whatever started the program."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    (place / "mine").mkdir()
    (place / "mine" / "__init__.py").touch()
    own_env.write(place / "mine", "own_module.py")
    try:
        done = here("--env", "mine.own_module:make", "--seeds", SEEDS, "--out", "run")
        assert done.code == 0, done.err
        assert sl.load("run", env="mine.own_module:make").env.name == "slope"
    finally:
        for name in ("mine", "mine.own_module"):
            sys.modules.pop(name, None)
    (place / "run" / "results.json").unlink()
    line = assert_refused(here("--resume", "--out", "run"))
    assert "name it again (--env mine.own_module:make" in line
    assert "mine.own_module" not in sys.modules


def test_the_list_says_what_is_known_of_it(place, in_process):
    assert in_process(commands.envs).out.split() == list(BUILT_IN)
    done = in_process(commands.envs, "--env", "own.py", "--env-option", "horizon=9")
    assert "slope: obs_dim 2, action_dim 1" in done.out
    assert "horizon 9; it knows no ground truth" in done.out
    assert "presets quick, cpu, paper" in done.out
