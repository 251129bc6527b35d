"""The command ``structlat``: what it lists, what each of its commands says of itself, and what it
needs."""

import subprocess
import sys

import pytest
from program import ROOT, assert_refused, start

import structlat_jax
from structlat_jax.cli import group, main
from structlat_jax.envs import BUILT_IN

COMMANDS = (
    "train",
    "sweep",
    "tune",
    "suite",
    "join",
    "evaluate",
    "figures",
    "view",
    "film",
    "config",
    "envs",
)
SHOWN = [name for name in COMMANDS if name != "envs"]  # those with an example


@pytest.fixture
def structlat(in_process):
    """Runs it in this process."""

    def run(*arguments):
        return in_process(group.make(main._COMMANDS), *arguments)

    return run


def test_the_group_lists_its_commands(structlat):
    done = structlat("--help")
    assert done.code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in done.out
    assert set(main._COMMANDS) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_takes(structlat, name):
    done = structlat(name, "--help")
    assert done.code == 0
    assert f"{name} [OPTIONS]" in done.out
    assert {"suite": "--families ", "join": "SUITES"}.get(name, "--env ") in done.out
    assert "--help" in done.out


@pytest.mark.parametrize("name", SHOWN)
def test_the_example_of_a_command_is_not_wrapped(structlat, name):
    lines = [line.strip() for line in structlat(name, "--help").out.splitlines()]
    (example,) = [line for line in lines if line.startswith(f"structlat {name} ")]
    assert len(example) > len(f"structlat {name} ")


def test_its_version(structlat):
    assert structlat_jax.__version__ in structlat("--version").out


@pytest.mark.parametrize("arguments", ["fly", "--fly", "train --fly", "train --lr"])
def test_what_there_is_not_is_refused(structlat, arguments):
    said = assert_refused(structlat(*arguments.split()))
    assert arguments.split()[-1] in said
    assert ".;" not in said


def test_without_a_command_it_shows_what_there_is(structlat):
    done, asked = structlat(), structlat("--help")
    assert (done.code, done.err) == (0, "")
    assert done.out == asked.out


HEAVY = ("flax", "optax", "distrax", "scipy", "matplotlib", "optuna", "structlat_jax.run.loop")
"""What takes its time to be imported, and does no part of saying what a program takes."""

HELP = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended.code
"""
PROGRAMS = [f"structlat_jax.cli.main {name}" for name in COMMANDS]
PROGRAMS += [
    f"experiments.{name}"
    for name in ("ablations", "figures", "point_robot", "protocols", "suite", "sweep", "table1")
]


@pytest.mark.parametrize("program", ["structlat_jax.cli.main", *PROGRAMS])
def test_help_does_not_wait_for_what_a_program_needs_to_work(program):
    code = f"{HELP}print([name for name in {HEAVY} if name in sys.modules])"
    command = [sys.executable, "-c", code, *program.split(), "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Usage: " in done.stdout


ABSENT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
sys.argv = ["structlat", "train", "--help"]
from structlat_jax.cli.main import main
main()
"""


@pytest.mark.parametrize("module", ["click", "rich"])
def test_what_it_needs_is_said_in_one_sentence(module):
    done = subprocess.run(
        [sys.executable, "-c", ABSENT.format(module=module)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert "pip install 'structlat-jax[cli]'" in line


def test_in_its_own_process(tmp_path):
    done = start("envs", program="structlat_jax.cli.main", cwd=tmp_path)
    assert (done.code, done.out.split(), done.err) == (0, list(BUILT_IN), "")
