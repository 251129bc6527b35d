"""Values that options take."""

import click
import numpy as np
import pytest

from experiments import ablations, limits, table1
from structlat_jax.cli import changes, commands, finished_commands
from structlat_jax.cli.values import Whole
from structlat_jax.errors import InputError
from structlat_jax.options import ConfigError, whole

COMMANDS = [
    ablations.command,
    limits.command,
    table1.command,
    finished_commands.figures,
    commands.suite,
]
COMMANDS += [commands.sweep, commands.train]


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e4", 10_000), ("20.0", 20), ("2.5e1", 25), ("-3", -3), (" 7 ", 7), ("1E2", 100)],
)
def test_whole_numbers_may_have_exponents(text, number):
    assert whole(text) == number
    assert type(whole(text)) is int


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1.5", "1e400", "1e-3", "x", "", "0x10"])
def test_what_is_no_whole_number(text):
    with pytest.raises(ValueError, match=r"."):
        whole(text)
    option = click.Option(["--updates"])
    with pytest.raises(InputError) as caught:
        Whole(1, 10).convert(text, option, None)
    assert str(caught.value) == f"--updates must be a whole number from 1 to 10, not {text!r}."


@pytest.mark.parametrize("text", ["0", "11", "1e2"])
def test_what_is_out_of_range(text):
    with pytest.raises(InputError, match="from 1 to 10, not"):
        Whole(1, 10).convert(text, click.Option(["--updates"]), None)
    assert Whole().convert(text, click.Option(["--width"]), None) == int(float(text))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_whole_number_of_every_program_is_read_alike(command):
    kinds = [p.type for p in command.params]
    assert not [k for k in kinds if isinstance(k, type(click.INT) | click.IntRange)]
    assert any(isinstance(k, Whole) for k in kinds)


def test_so_are_those_of_grids_and_arms():
    assert changes.axes(["width=1e2,3"]) == {"width": [100, 3]}
    assert changes.parse("hypotheses=1e3") == ("hypotheses", 1000)
    assert changes.parse("lr=1e-3") == ("lr", np.float64(0.001))
    with pytest.raises(ConfigError, match="width must be a whole number"):
        changes.parse("width=1.5")
