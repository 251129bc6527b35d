"""Tables of environments that know less than others, or more: which columns there are."""

import json

import made_up
import numpy as np
import pytest

from structlat_jax.envs.base import Plane
from structlat_jax.report import cells, table, table_text

SEEDS = {"gau:5": [4.0, 8.0, 6.0, 2.0], "cat:2x4": [3.0, 8.0, 7.0, 1.0], "dir:2x4": [14.0] * 4}


def made(**changes):
    return {latent: made_up.run(latent, values) for latent, values in {**SEEDS, **changes}.items()}


def unknown(**changes):
    """Returns from -80 to -20, and nothing known that an environment need not know."""
    return [made_up.unknown(one) for one in made(**changes).values()]


def test_what_nobody_knows_has_no_column():
    found = table.build(unknown())
    text = table_text.markdown(found)
    assert text.count("\n## ") == 2  # returns and how it gets there, then the comparisons
    assert "| latent | seeds | mean | IQM | train tasks |" in text
    assert "| latent | prior | first posterior | share of last | seconds" in text
    for word in ("oracle's", "reached", "found:", "Encoder", "nan", "None", "far", "% of oracle"):
        assert word not in text
    assert "The untrained policy returns -80.00; nobody knows the best return." in text
    row = found["rows"][0]
    assert row["first_posterior_share"] == pytest.approx(0.5)
    assert "oracle_return" not in row
    assert row["links"] == {}
    json.dumps(found, allow_nan=False)


def test_a_seed_that_is_not_finite_brings_no_column_back():
    runs = unknown()
    runs[0].arrays["returns_test"][1] = np.nan
    text = table_text.markdown(table.build(runs))
    assert "| gau:5 | 4 | not finite in seed 1 | - | - |" in text
    assert "oracle's" not in text


def test_rows_that_know_less_than_others_have_dashes():
    runs = list(made().values())
    del runs[0].arrays["amortised_test"]
    found = table.build(runs)
    (lines,) = (s for s in table_text.sections(found) if "encoder's\nposterior" in s.heads)
    assert [row[-1] == cells.NOTHING for row in lines.rows] == [True, False, False]


def test_far_goals_have_columns_where_there_are_goals():
    runs = list(made().values())
    for run in runs:
        for kind, tasks in (("train", 4), ("test", 2)):
            run.arrays[f"goal_{kind}"] = np.zeros((4, tasks, 2))
        run.arrays["goal_test"][:, 0] = 5.0
    text = table_text.markdown(table.build(runs, plane=Plane(project=None, radius=0.2)))
    assert "| near: % of oracle | far: % of oracle | share of far |" in text
    assert "| 50 % |" in text
    assert "Far: " in text


def test_the_oracle_counts_from_the_floor():
    run = made_up.run("gau:5", [4.0, 4.0])
    for name in ("returns_test", "returns_train", "oracle_test", "floor_test"):
        run.arrays[name] = run.arrays[name] - 80.0
    row, plain = table.row(run), table.row(made_up.run("gau:5", [4.0, 4.0]))
    names = ("percent_of_oracle", "first_posterior_share", "episodes_to_80_percent_of_oracle")
    assert [row[name] for name in names] == pytest.approx([plain[name] for name in names])
    assert row["links"] == plain["links"]
    assert (row["oracle_return"], row["floor_return"]) == (-64.0, -80.0)
