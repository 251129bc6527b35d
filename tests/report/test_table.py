"""The table of latent spaces: its numbers by hand, its order, its flags, its text."""

import io
import json

import made_up
import numpy as np
import pytest
from rich.console import Console

from experiments import paper
from structlat_jax.envs.spec import EnvSpec
from structlat_jax.report import table, table_text
from structlat_jax.store.checkpoint import CheckpointError

SEEDS = {
    "gau:5": [4.0, 8.0, 6.0, 2.0],
    "cat:2x4": [3.0, 8.0, 7.0, 1.0],
    "dir:2x4": [14.0, 18.0, 16.0, 12.0],
}


def made(**changes):
    return {latent: made_up.run(latent, values) for latent, values in {**SEEDS, **changes}.items()}


def built(**changes):
    return table.build(list(made(**changes).values()), paper.TABLE)


def test_rows_stand_in_the_papers_order():
    given = ["gau:3", "dir:2x4,gau:2", "cat:1x2", "gau:5", "cat:2x4", "dir:2x4", "cat:2x4,gau:2"]
    expected = ["cat:2x4", "cat:2x4,gau:2", "gau:5", "dir:2x4", "dir:2x4,gau:2"]
    assert paper.TABLE.order(given) == [*expected, "gau:3", "cat:1x2"]
    assert [row["latent"] for row in built()["rows"]] == ["cat:2x4", "gau:5", "dir:2x4"]


def test_without_a_paper_rows_stand_in_the_given_order():
    found = table.build(list(made().values()))
    assert [row["latent"] for row in found["rows"]] == list(SEEDS)
    assert [one["against"] for one in found["comparisons"]] == list(SEEDS)[:-1]
    text = table_text.markdown(found)
    assert "| latent | seeds | mean |" in text
    assert "paper gives" not in text
    assert "paper_return" not in found["rows"][0]


@pytest.mark.parametrize(
    ("changes", "its"),
    [
        ({"env": "point_robot"}, True),
        ({"env": "point_robot", "env_options": {}}, True),
        ({"env": "point_robot", "env_options": {"horizon": 30}}, False),
        ({"env": "line"}, False),
    ],
)
def test_the_paper_is_about_its_own_tasks(changes, its):
    runs = [made_up.run(latent, [1.0], **changes) for latent in SEEDS]
    assert paper.published(runs) is (paper.TABLE if its else None)
    assert paper.published([*runs, made_up.run("gau:2", [1.0], env="line")]) is None


def test_a_row_by_hand():
    row = built()["rows"][1]
    found = row["test_return"]
    assert (row["latent"], row["paper_return"], row["seeds"]) == ("gau:5", 10.2, 4)
    assert row["not_finite_seeds"] == []
    assert found["per_seed"] == SEEDS["gau:5"]
    assert found["mean"] == pytest.approx(5.0)
    assert found["std"] == pytest.approx(np.std(SEEDS["gau:5"], ddof=1))
    assert found["iqm"] == pytest.approx(5.0)  # of 4 and 6
    for name in ("mean_ci95", "iqm_ci95"):
        low, high = found[name]
        assert 2.0 <= low < 5.0 < high <= 8.0
    assert row["percent_of_oracle"] == pytest.approx(100 * 5 / 16)
    assert row["train_return"] == pytest.approx(7.5)
    assert (row["oracle_return"], row["floor_return"]) == (made_up.ORACLE, 0.0)
    amortised = row["amortised_return"]
    assert amortised["per_seed"] == [made_up.AMORTISED * value for value in SEEDS["gau:5"]]
    assert amortised["mean"] == amortised["iqm"] == pytest.approx(2.5)
    assert set(amortised) == set(found)
    assert row["prior_return"] == pytest.approx(5 * (0 + 0.25) / 2)
    assert row["first_posterior_return"] == pytest.approx(2.5)
    assert row["first_posterior_share"] == pytest.approx(0.5)
    assert row["tasks_reached_by_prior"] == 1.0
    assert row["test_success"]["per_seed"] == [1.0] * 4
    assert row["seconds_per_seed_and_core"] == pytest.approx((70 - 10) / 2)


def test_a_file_that_takes_the_name_is_not_the_paper():
    run = made_up.run("gau:5", [1.0])
    assert paper.is_its(run)
    elsewhere = run.config.replace(env=EnvSpec("mine.py:make"))
    assert not paper.is_its(run._replace(config=elsewhere))


def test_interquartile_mean_leaves_out_an_outlier():
    found = built(**{"gau:5": [5.0, 5.0, 6.0, 200.0]})["rows"][1]["test_return"]
    assert found["iqm"] == pytest.approx(5.5)
    assert found["mean"] == pytest.approx(54.0)


@pytest.mark.parametrize(
    ("last", "expected"), [(16.0, 4), (12.81, 4), (12.79, None), (26.0, 3), (60.0, 2)]
)
def test_episodes_to_80_percent_of_the_oracle(last, expected):
    """Of the oracle's 16, that is 12.8; `CURVE` is 0, 1/4, 1/2, 1."""
    row = table.row(made_up.run("gau:5", [last, last]))
    assert row["episodes_to_80_percent_of_oracle"] == expected


@pytest.mark.parametrize(
    ("device", "expected"), [("1 x cpu", 15.0), ("3 x cpu", 30.0), ("4 x cpu", 60.0)]
)
def test_seconds_count_the_seeds_that_a_core_runs_in_turn(device, expected):
    row = table.row(made_up.run("gau:5", [1.0] * 4, device=device))
    assert row["seconds_per_seed_and_core"] == pytest.approx(expected)


def test_comparisons_by_hand():
    first, second = built()["comparisons"]
    assert (first["latent"], first["against"]) == ("gau:5", "cat:2x4")
    assert first["probability"]["value"] == (1 + 0.5 + 0 + 1) / 4
    assert first["difference"]["per_seed"] == [1.0, 0.0, -1.0, 1.0]
    assert first["difference"]["mean"] == pytest.approx(0.25)
    assert first["told_apart"] is False
    # An effect of 0.25 / 0.9574: (1.960 + 0.842)^2 / 0.2611^2 + 1.960^2 / 2 = 117.03.
    assert first["seeds_needed"] == 118
    assert (second["latent"], second["against"]) == ("dir:2x4", "gau:5")
    assert second["probability"] == {"value": 1.0, "ci95": [1.0, 1.0]}
    assert second["difference"]["mean"] == pytest.approx(10.0)
    assert (second["told_apart"], second["seeds_needed"]) == (True, None)


def test_one_seed_has_no_intervals():
    found = table.build([made_up.run("cat:2x4", [5.0]), made_up.run("gau:5", [6.0])])
    (row, _), (comparison,) = found["rows"], found["comparisons"]
    assert [row["test_return"][name] for name in ("std", "mean_ci95", "iqm_ci95")] == [None] * 3
    assert comparison["probability"] == {"value": 1.0, "ci95": None}
    assert comparison["difference"]["ci95"] is None
    assert (comparison["told_apart"], comparison["seeds_needed"]) == (None, None)
    assert "seed 0," in table_text.markdown(found)
    assert " to " not in "".join("".join(row) for s in table_text.sections(found) for row in s.rows)


def test_seeds_that_agree_need_no_special_case():
    found = built(**{"gau:5": [5.0] * 4, "cat:2x4": [5.0] * 4})
    assert found["rows"][0]["test_return"]["mean_ci95"] == [5.0, 5.0]
    assert found["comparisons"][0]["probability"] == {"value": 0.5, "ci95": [0.5, 0.5]}
    assert found["comparisons"][0]["told_apart"] is False
    assert found["comparisons"][0]["seeds_needed"] is None


def test_a_return_of_zero_has_no_share():
    row = table.row(made_up.run("gau:5", [0.0, 0.0]))
    assert row["first_posterior_share"] is None
    assert row["tasks_reached_by_prior"] == row["test_success"]["mean"] == 0.0
    assert row["episodes_to_80_percent_of_oracle"] is None


@pytest.mark.parametrize("name", ["returns_test", "returns_train", "path_test", "z_train"])
def test_what_is_not_finite_is_flagged(name):
    runs = made()
    runs["gau:5"].arrays[name][2, 0, 0, 1] = np.nan
    found = table.build(list(runs.values()), paper.TABLE)
    good, flagged, _ = found["rows"]
    assert flagged["not_finite_seeds"] == [2]
    assert flagged["test_return"] is None
    assert flagged["train_return"] is None
    assert good["test_return"]["mean"] == pytest.approx(4.75)
    assert [one["difference"] for one in found["comparisons"]] == [None, None]
    json.dumps(found, allow_nan=False)
    assert "| gau:5 | 10.2 | 4 | not finite in seed 2 | - |" in table_text.markdown(found)


def test_seed_numbers_are_those_of_the_run():
    run = made_up.run("gau:5", [1.0, 2.0], first_seed=7)
    run.arrays["returns_test"][1] = np.inf
    assert table.row(run)["not_finite_seeds"] == [8]


def test_runs_that_are_no_pairs_are_refused():
    gau = made_up.run("gau:5", [1.0, 2.0])
    for other, named in (
        (made_up.run("cat:2x4", [1.0, 2.0], env="other"), "other environments"),
        (made_up.run("cat:2x4", [1.0, 2.0], env_options={"a": 1}), "other environments"),
        (made_up.run("cat:2x4", [1.0, 2.0], first_seed=1), "first_seed"),
        (made_up.run("cat:2x4", [1.0, 2.0, 3.0]), "seeds"),
    ):
        with pytest.raises(CheckpointError, match=named):
            table.build([gau, other])
    for name in ("oracle_test", "label_test", "factor_mass_test"):
        other = made_up.run("cat:2x4", [1.0, 2.0])
        gau.arrays["factor_mass_test"] = np.ones((2, 3))
        other.arrays["factor_mass_test"] = np.ones((2, 3))
        other.arrays[name][0] += 0.1
        with pytest.raises(CheckpointError, match="other test tasks"):
            table.build([gau, other])


@pytest.mark.parametrize("name", ["wall_seconds", "first_seed", "device", "preset"])
def test_a_missing_number_is_named(name):
    run = made_up.run("gau:5", [1.0, 2.0])
    del run.results[name]
    with pytest.raises(CheckpointError, match=rf"results.json has no {name}"):
        table.build([run])


@pytest.mark.parametrize("value", ["9", None, True, float("nan"), [1.0]], ids=str)
@pytest.mark.parametrize("name", ["wall_seconds", "compile_seconds", "first_seed", "lanes"])
def test_what_should_be_a_number_is_one(name, value):
    run = made_up.run("gau:5", [1.0, 2.0])
    run.results[name] = value
    with pytest.raises(CheckpointError, match=rf"{name} must be a number, not"):
        table.build([run])


def test_a_device_that_says_no_number_is_refused():
    with pytest.raises(CheckpointError, match="how many devices"):
        table.row(made_up.run("gau:5", [1.0], device="cpu"))


def test_markdown():
    text = table_text.markdown(built())
    assert text.count("\n## ") == 3
    assert "| dir:2x4 | 11.3 | 4 | 15.00 (" in text
    assert "| not reached |" in text
    assert "| gau:5 | cat:2x4 | 0.62 (" in text
    assert "| 1.00 (1.00 to 1.00) | +10.00 (+10.00 to +10.00) | told apart |" in text
    assert "| gau:5 | 100 (100 to 100) | " in text
    assert "seeds 0 to 3" in text
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert widths == [9] * 5 + [8] * 5 + [5] * 5 + [6] * 4


@pytest.mark.parametrize("width", [80, 120])
def test_terminal_has_all_cells_of_the_markdown(width):
    out = io.StringIO()
    runs = [made_up.run(name, [10.123, 12.456]) for name in paper.RETURNS]
    found = table.build(runs, paper.TABLE)
    Console(file=out, width=width).print(table_text.terminal(found))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for section in table_text.sections(found):
        for cells in (section.heads, *section.rows):
            assert set(" ".join(cells).split()) <= set(words)


def test_a_table_of_one_row_compares_nothing():
    found = table.build([made_up.run("gau:5", [1.0, 2.0])])
    assert found["comparisons"] == []
    assert "ordering" not in table_text.markdown(found)
