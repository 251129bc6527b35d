"""No input whatever leads to a traceback, to a hang, or to half of something."""

import contextlib
import io
import json
import random
import shutil
import signal
import sys
import warnings

import fuzz
import jax
import pytest
from drawable import write_run
from folders import listing
from tiny import assert_same, config, one_seed, setup, train

import structlat_jax as sl
from experiments import ablations, point_robot, table1
from structlat_jax.cli import commands, errors, evaluate, finished, finished_commands, join
from structlat_jax.cli import train as training
from structlat_jax.config import Config
from structlat_jax.report import table
from structlat_jax.report.run_files import read_run
from structlat_jax.run import lanes, machine
from structlat_jax.store import checkpoint
from structlat_jax.store.checkpoint import CheckpointError, Checkpoints

COMMANDS = {
    "point_robot": point_robot.command,
    "table1": table1.command,
    "ablations": ablations.command,
    "sweep": commands.sweep,
    "tune": commands.tune,
    "evaluate": finished_commands.evaluate,
    "figures": finished_commands.figures,
    "view": finished_commands.view,
    "film": finished_commands.film,
    "suite": commands.suite,
    "join": finished_commands.join,
    "config": commands.config,
}
SHORT = dict.fromkeys(COMMANDS, 30) | dict.fromkeys(("point_robot", "suite", "tune", "film"), 60)
LONG = dict.fromkeys(COMMANDS, 180) | {"point_robot": 380}  # 2,360 in all
PATIENCE = 20
OWN_ENV = """
from structlat_jax.envs import point_robot
def make(size: float = 1.0, **more):
    return point_robot.make(goal_radius=0.2 * size)
"""


class Begun(Exception):
    """Training or drawing was about to start: the input was good."""


@contextlib.contextmanager
def not_hanging():
    def give_up(*_):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def begin(*_):
    raise Begun


@pytest.fixture
def place(tmp_path, monkeypatch):
    """What the command lines find: runs, other people's files, and folders that are read-only."""

    def lay_out():
        for path in list(tmp_path.iterdir()):
            path.chmod(0o755)
            (shutil.rmtree if path.is_dir() else type(path).unlink)(path)
        (tmp_path / "in").mkdir()
        here = tmp_path / "in"
        (here / "file").write_text("a file")
        (here / "own.py").write_text(OWN_ENV)
        (here / "settings.toml").write_text("[structure]\nwidth = 8\n")
        (here / "full").mkdir()
        (here / "full" / "thesis.tex").write_text("precious")
        plan = {"preset": "cpu", "seeds": 1, "seed": 0, "updates": 300, "evals": 1}
        whole = {"schema_version": 1, **plan, "checkpoint_seconds": 1.0, **Config().to_dict()}
        for name in ("run", "kept"):
            (here / name).mkdir()
            (here / name / "config.json").write_text(json.dumps(whole))
        family = here / "suite" / "triangle"
        family.mkdir(parents=True)
        said = {"families": ["triangle"], "latents": ["gau:3"]}
        (family.parent / "suite_config.json").write_text(json.dumps(said))
        (family / "table_config.json").write_text(json.dumps({"latents": ["gau:3"]}))
        (here / "kept").chmod(0o555)
        monkeypatch.chdir(here)
        return here

    monkeypatch.setattr(machine, "configure", lambda seeds: None)
    monkeypatch.setattr(training, "run", begin)
    monkeypatch.setattr(lanes, "train_all", begin)
    monkeypatch.setattr(evaluate, "read_run", begin)
    monkeypatch.setattr(join, "read_run", begin)
    monkeypatch.setattr(finished, "read_run", begin)
    monkeypatch.setattr(errors, "leave_at_once", sys.exit)
    yield lay_out
    lay_out()


def run(command, line, monkeypatch):
    """The exit code (None if training would have begun), and both streams."""
    monkeypatch.setattr(sys, "argv", ["program", *line])
    out, err = io.StringIO(), io.StringIO()
    code = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), not_hanging():
        try:
            errors.main(command)
        except SystemExit as ended:
            code = ended.code or 0
        except Begun:
            pass
    return code, out.getvalue(), err.getvalue()


def check_command_lines(name, count, seed, place, monkeypatch):
    here, codes = place(), {None: 0, 0: 0, 2: 0}
    before = listing(here)
    for line in fuzz.command_lines(name, count, seed):
        code, _, err = run(COMMANDS[name], line, monkeypatch)
        assert code in codes, (line, code, err)
        codes[code] += 1
        if code == 2:
            assert err.startswith("error: "), (line, err)
            assert err.count("\n") == 1, (line, err)
            assert len(err) > 20, (line, err)
            assert listing(here) == before, line
        else:
            assert not err, (line, err)
            here = place()
            before = listing(here)
    return codes


@pytest.mark.parametrize("name", COMMANDS)
def test_command_lines(name, place, monkeypatch):
    codes = check_command_lines(name, SHORT[name], 0, place, monkeypatch)
    assert codes[2] > 0.3 * SHORT[name]
    assert codes[0 if name == "config" else None] > 0


@pytest.mark.slow
@pytest.mark.idle
@pytest.mark.parametrize("name", COMMANDS)
def test_many_command_lines(name, place, monkeypatch):
    codes = check_command_lines(name, LONG[name], 1, place, monkeypatch)
    print(name, codes)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A finished run with two checkpoints, and the states in them, the newest last."""
    folder = write_run(
        tmp_path_factory.mktemp("fuzz") / "run", "cat:1x3,gau:1", 1, checkpoint=False
    )
    results_file = folder / "results.json"
    rest = {"schema_version": 1, "preset": "cpu", "seeds": 1, "first_seed": 0, "updates": 20}
    rest |= {"wall_seconds": 9.0, "compile_seconds": 1.0, "jax_version": "0", "device": "1 x cpu"}
    rest |= {"env": "point_robot", "latent": "cat:1x3,gau:1"}
    results_file.write_text(json.dumps(rest))
    plan = {"preset": "cpu", "seeds": 1, "seed": 0, "updates": 20, "evals": 2}
    plan["checkpoint_seconds"] = 0.0
    checkpoint.write_config(folder, config(), **plan)
    states = [train(1, seed, 0)[0] for seed in (1, 2)]
    identity = {**plan, **config().to_dict()}
    with Checkpoints(folder, identity=identity) as saved:
        for step, state in enumerate(states, 3):
            saved.save(step, state, [])
    return folder, states, identity


def is_sentence(error):
    text = str(error)
    return (
        isinstance(error, ValueError | FileNotFoundError)
        and text.endswith(".")
        and ("\n" not in text and 20 < len(text) < 3_000)
    )


def outcome_of(read):
    """What it gives, or None if it was refused in a sentence."""
    with not_hanging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read()
        except Exception as error:
            if not is_sentence(error):
                raise
            return None


def check_files(original, tmp_path, monkeypatch, count, seed):
    folder, states, identity = original
    rng, refused = random.Random(seed), 0
    monkeypatch.setattr(machine, "configure", lambda seeds: None)
    monkeypatch.setattr(training, "run", begin)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    top = [path for path in files if len(path.parts) == 1 and path.name != ".lock"]
    for case in range(count):
        run_ = shutil.copytree(folder, tmp_path / str(case))
        name = rng.choice(top if case % 2 else files)
        how = fuzz.damage(run_ / name, rng)
        assert outcome_of(lambda run_=run_: sl.load(run_)) is None, how  # it is not a point robot
        agent = outcome_of(lambda run_=run_: checkpoint.load_learned(run_, 0, setup()))
        if agent is not None:
            assert any(_same(agent, one_seed(state.learned)) for state in states), how
        state = outcome_of(
            lambda run_=run_: Checkpoints(run_, identity=identity).restore(states[0])
        )
        if state is not None:
            assert any(_same(state[0], one) for one in states), how
        read = outcome_of(lambda run_=run_: table.build([read_run(run_)]))
        refused += None in (agent, state, read)
        if name.name == "config.json":
            code, _, err = run(
                COMMANDS["point_robot"], ["--resume", "--out", str(run_)], monkeypatch
            )
            assert code in (None, 0, 2), (how, err)
        shutil.rmtree(run_)
    return refused


def _same(one, other):
    try:
        assert_same(jax.tree.map(jax.numpy.asarray, one), other)
    except AssertionError:
        return False
    return True


@pytest.mark.slow
def test_files(original, tmp_path, monkeypatch):
    assert check_files(original, tmp_path, monkeypatch, 40, 0) > 10


@pytest.mark.slow
@pytest.mark.idle
def test_many_files(original, tmp_path, monkeypatch):
    print("refused", check_files(original, tmp_path, monkeypatch, 500, 1), "of 500")


def test_what_cannot_be_loaded():
    for path in ("", "absent", "x" * 300, "\udcff"):
        with pytest.raises((CheckpointError, FileNotFoundError)) as caught:
            sl.load(path)
        assert is_sentence(caught.value)
