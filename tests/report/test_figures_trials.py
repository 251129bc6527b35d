"""The trials of a search: which is the best, how they are told and how they are drawn."""

from pathlib import Path

import numpy as np
import pytest

from structlat_jax.report import trials
from structlat_jax.report.figures_trials import search_history
from structlat_jax.report.results import over_seeds
from structlat_jax.report.trials import Tried

NAN = float("nan")


def made(*returns):
    """Trials with these returns by seed."""
    return [
        Tried(
            i,
            Path("run"),
            {"lr": 10.0 ** -(i + 1), "choice": "ab"[i % 2], "depth": i},
            over_seeds(np.array(own)),
        )
        for i, own in enumerate(returns)
    ]


TRIED = made([-3.0, -5.0], [-2.0, NAN], [NAN, NAN], [-2.0, -2.0])


def test_a_trial_is_worth_the_mean_of_its_finite_seeds():
    assert [one.value for one in TRIED] == [-4.0, -2.0, None, -2.0]
    assert [one.seeds for one in TRIED] == [2, 1, 0, 2]
    assert trials.best(TRIED).number == 1  # the first of equal ones
    assert trials.best(made([NAN], [NAN])) is None


def test_a_row_has_all_that_a_program_wants():
    assert TRIED[1].row() == {
        "trial": 1,
        "lr": 0.01,
        "choice": "b",
        "depth": 1,
        "train_return": -2.0,
        "seeds": 1,
        "state": "complete",
    }
    failed = TRIED[2].row()
    assert (failed["train_return"], failed["seeds"], failed["state"]) == ("", 0, "failed")


def test_the_table_shows_the_best_first():
    table = trials.table(TRIED, shown=2)
    columns = {column.header: list(column.cells) for column in table.columns}
    assert columns["trial"] == ["1", "3"]
    assert columns["seeds"] == ["1 of 2", "2 of 2"]
    assert columns["std"] == ["", "0.00"]
    assert "4 trials; in 1 no seed" in table.title


def test_the_picture_has_a_panel_per_field_and_every_trial_in_it():
    figure = search_history(TRIED, ["lr"])
    top, *panels = figure.axes
    assert [panel.get_xlabel() for panel in panels] == ["lr", "choice", "depth"]
    assert [panel.get_xscale() for panel in panels] == ["log", "linear", "linear"]
    assert [tick.get_text() for tick in panels[1].get_xticklabels()] == ["a", "b"]
    (best,) = [line for line in top.lines if line.get_label() == "best so far"]
    assert best.get_ydata().tolist() == [-4.0, -2.0, -2.0, -2.0]
    for panel in figure.axes:
        discs, chosen, failed = panel.lines[-3:]
        assert (len(discs.get_xdata()), len(failed.get_xdata())) == (3, 1)
        assert chosen.get_ydata().tolist() == [-2.0]


def test_without_a_value_there_is_no_picture():
    with pytest.raises(ValueError, match="a trial that has a value"):
        search_history(made([NAN]))
