"""Text of users and of strangers is shown as it is, whatever it would mean as markup."""

import pytest
from rich.table import Table
from rich.text import Text
from test_architecture import FILES, ROOT

from structlat_jax.cli import evaluate
from structlat_jax.cli.console import make_console
from structlat_jax.report import cells, results_table, shares_table
from structlat_jax.run.loggers.console import Meter

NASTY = ["runs/[bold]x[/nope]", "[/]", "[red]", "[link=x", ":smile:", "\\[b]"]
each_text = pytest.mark.parametrize("text", NASTY)

RESULTS = {"latent": "gau:1", "updates": 10, "seeds": 1, "kl_nats": {}, "updates_per_second": 1.0}
RESULTS |= {"wall_seconds": 1.0, "compile_seconds": 1.0}


@pytest.fixture
def show(capsys):
    def shown(thing):
        make_console(width=100).print(thing)
        return capsys.readouterr().out

    return shown


@each_text
def test_lines_titles_and_cells(show, text):
    assert text in show(text)
    table = Table("run", title=text)
    table.add_row(text)
    assert show(table).count(text) == 2
    assert text in show(cells.Section(text, ("run", "value"), [(text, "1")]).grid)


@each_text
def test_tables_of_results(show, text):
    found = results_table.results_table({**RESULTS, "latent": text, "kl_nats": {text: 1.0}})
    assert show(found).count(text) == 2
    part = {"mean": 0.5, "per_seed": [0.5]}
    parts = [{"name": text, "position": {"alone": part, "with_interactions": part}}]
    assert show(shares_table.shares_table(text, "position", {text: parts})).count(text) == 3


@each_text
def test_arms(capsys, text):
    row = {"arm": text, "last_return": {"mean": 1.0, "ci95": None}, "few_shot_return": None}
    row |= {"episodes_to_80_percent": 3}
    console = make_console(width=100)
    evaluate._show([row], text, console)
    assert capsys.readouterr().out.count(text) == 2


@each_text
def test_the_status_line(text):
    console = make_console(width=200, force_terminal=True, force_interactive=True)
    with console.capture() as shown, Meter([10], console) as meter:
        meter.show(5, text, 1.0, evaluated=False)
        meter.message(text)
        meter._bar.refresh()
    assert Text.from_ansi(shown.get()).plain.count(text) >= 2


def test_nothing_else_makes_a_console():
    users = [p for p in FILES if "Console(" in p.read_text().replace("make_console(", "")]
    assert [str(path.relative_to(ROOT)) for path in users] == ["structlat_jax/cli/console.py"]
