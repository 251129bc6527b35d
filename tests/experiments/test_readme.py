"""What the README prints works as printed."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

README = pathlib.Path(__file__).parents[2] / "README.md"


def block(kind, name):
    """The code block that follows the mark ``<!-- kind: name -->``."""
    pattern = rf"<!-- {kind}: {name} -->\s*```\w+\n(.*?)```"
    return re.search(pattern, README.read_text(), re.DOTALL)[1]


def test_online_example_adapts(finished, capsys):
    """It explores and then acts greedily, as the evaluation does, and says what it returned."""
    run, _ = finished
    code = block("example", "online")
    assert len(code.strip().splitlines()) <= 20
    assert '"runs/first"' in code
    scope = {}
    exec(code.replace('"runs/first"', repr(str(run))), scope)
    assert int(scope["belief"].steps) == 20 * scope["env"].horizon
    assert np.all(np.isfinite(scope["belief"].state.total))
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == [f"episode {i}" for i in range(1, 21)]
    assert said[-1] == f"episode 20: {scope['total']:.2f}"
    assert float(scope["total"]) >= 0


@pytest.mark.parametrize("name", ["main", "tests"])
def test_commands_set_everything_up(name):
    command = block("command", name)
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install")
    printed = subprocess.run(
        [sys.executable, README.parent / ".ci" / "readme_command.py", name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == command.strip()


def test_main_command_has_no_unknown_option():
    from experiments.point_robot import command

    words = block("command", "main").split("experiments.point_robot")[1].split()
    command.make_context("point_robot", words)
