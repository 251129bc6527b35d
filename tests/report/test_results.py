"""What a run writes about itself, against NumPy and hand-made arrays with known answers."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from structlat_jax.report import results
from structlat_jax.report.results_table import results_table

values = st.lists(st.floats(-100, 100), min_size=2, max_size=8)


@given(values)
def test_over_seeds(per_seed):
    entry = results.over_seeds(np.array(per_seed))
    assert entry["per_seed"] == per_seed
    assert entry["mean"] == pytest.approx(sum(per_seed) / len(per_seed), abs=1e-9)
    assert entry["std"] == pytest.approx(np.std(per_seed, ddof=1), abs=1e-9)
    if entry["std"] > 1e-6:
        interval = stats.t.interval(
            0.95, len(per_seed) - 1, loc=np.mean(per_seed), scale=stats.sem(per_seed)
        )
        assert entry["ci95"] == pytest.approx(interval, abs=1e-6)


def test_over_seeds_by_hand():
    # t(0.975, 3) = 3.1824; the standard error of 1, 2, 3, 4 is sqrt(5 / 3) / 2.
    entry = results.over_seeds(np.array([1.0, 2.0, 3.0, 4.0]))
    assert entry["ci95"] == pytest.approx([2.5 - 3.1824 * 0.6455, 2.5 + 3.1824 * 0.6455], abs=1e-3)


def test_single_seed_has_no_spread():
    entry = results.over_seeds(np.array([1.5]))
    assert entry == {"mean": 1.5, "std": None, "ci95": None, "per_seed": [1.5]}


def hand_made():
    """``[S=2, T=2, R=2, E=4]``: two prior episodes, the return grows from episode to episode."""
    returns = np.zeros((2, 2, 2, 4))
    returns[..., 2] = 4.0
    returns[0, ..., 3] = 6.0
    returns[1, ..., 3] = 10.0
    returns[0, 0, 0, 1] = 8.0  # the only prior episode that reaches its goal, of 8 pairs
    return returns


def test_summarise():
    test, oracle = hand_made(), np.full((2, 2), 16.0)
    found = results.summarise(test, test / 2, test / 4, oracle, 2, success=test > 0)
    assert found["test_return"]["per_seed"] == [6.0, 10.0]
    assert found["test_return"]["mean"] == 8.0
    assert found["train_return"]["per_seed"] == [3.0, 5.0]
    assert found["amortised_return"]["per_seed"] == [1.5, 2.5]
    assert found["amortised_return"]["mean"] == 2.0
    assert found["encoder_return"] is found["amortised_return"]
    assert found["prior_return"] == 0.5
    assert found["first_posterior_return"] == 4.0
    assert found["tasks_reached_by_prior"] == 1 / 8
    assert found["oracle_return"] == 16.0
    assert found["floor_return"] == 0.0
    assert found["percent_of_oracle"] == 50.0
    assert found["episodes_to_80_percent"] == 4


def negative():
    """Returns ``[S=2, T=2, R=1, E=5]`` that rise from -80 to -20."""
    return np.broadcast_to(np.array([-80.0, -80.0, -50.0, -30.0, -20.0]), (2, 2, 1, 5))


def test_what_nobody_knows_is_left_out():
    floor = np.full((2, 2), -80.0)
    found = results.summarise(negative(), negative(), None, None, 2, floor)
    assert set(found) == {
        *("test_return", "train_return", "prior_return", "first_posterior_return"),
        *("floor_return", "episodes_to_80_percent"),
    }
    assert found["episodes_to_80_percent"] == 4  # 48 of 60 above the floor is -32
    assert found["floor_return"] == -80.0


def test_percent_of_oracle_counts_from_the_floor():
    floor, oracle = np.full((2, 2), -80.0), np.full((2, 2), -5.0)
    found = results.summarise(negative(), negative(), None, oracle, 2, floor)
    assert found["percent_of_oracle"] == pytest.approx(100 * 60 / 75)
    for best in (-80.0, -90.0, np.nan):  # no way to go from the floor
        found = results.summarise(negative(), negative(), None, 0 * oracle + best, 2, floor)
        assert found["percent_of_oracle"] is None
        json.dumps(found, allow_nan=False)


def test_success_is_no_matter_of_the_return():
    success = np.zeros((2, 2, 1, 5), bool)
    success[0, 0, 0, 1] = success[:, :, :, 2] = success[1, 0, 0, 4] = True
    found = results.summarise(negative(), negative(), None, None, 2, -80.0, success)
    assert found["tasks_reached_by_prior"] == 1 / 4
    assert found["test_success"]["per_seed"] == [0.0, 0.5]


def test_seeds_that_are_not_finite_are_in_no_mean():
    test = np.array(negative())
    test[1] = np.nan
    floor, oracle = np.array([[-80.0] * 2, [-10.0] * 2]), np.array([[-5.0] * 2, [90.0] * 2])
    found = results.summarise(test, test, None, oracle, 2, floor, np.ones(test.shape))
    assert (found["floor_return"], found["oracle_return"]) == (-80.0, -5.0)
    assert found["test_success"]["per_seed"] == [1.0, None]
    test[0] = np.inf
    found = results.summarise(test, test, test, oracle, 2, floor, np.ones(test.shape))
    of_seeds = {"test_return", "amortised_return", "encoder_return", "train_return", "test_success"}
    means = set(found) - of_seeds
    assert "tasks_reached_by_prior" in means
    assert all(found[name] is None for name in means)
    assert found["test_return"]["mean"] is None


def test_last_episode_keeps_seeds_apart():
    returns = np.random.default_rng(0).random((3, 4, 5, 6))
    expected = [np.mean([[run[-1] for run in task] for task in seed]) for seed in returns]
    np.testing.assert_allclose(results.last_episode(returns), expected)


@pytest.mark.parametrize(
    ("curve", "floor", "expected"),
    [
        ([0, 1, 2, 4], 0, 4),
        ([0, 1, 3.3, 4], 0, 3),
        ([4, 0, 0, 4], 0, 1),
        ([0, 5, 0, 4], 0, 2),
        ([0, 0, 0, 0], 0, None),
        ([-80, -40, -33, -20], -80, 4),
        ([-80, -40, -31, -20], -80, 3),
        ([-20, -30, -40, -80], -80, None),
        ([-20, -30, -40, -81], -80, None),
        ([2, 2, 2, 2], 0, 1),
    ],
)
def test_episodes_until_80_percent_of_the_gain(curve, floor, expected):
    returns = np.broadcast_to(np.array(curve, dtype=float), (2, 3, 2, 4))
    assert results.episodes_until(returns, floor) == expected


def test_write_results_replaces_in_one_piece(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("old")
    results.write_results(path, {"a": [1.5, None]})
    data = json.loads(path.read_text())
    assert data == {"schema_version": results.RESULTS_SCHEMA, "a": [1.5, None]}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_write_adaptation_names_its_axes(tmp_path):
    path = tmp_path / "adaptation.npz"
    results.write_adaptation(path, {"returns_test": hand_made()})
    with np.load(path) as data:
        assert data["axes"].tolist() == ["seed", "task", "repeat", "episode"]
        np.testing.assert_array_equal(data["returns_test"], hand_made())


def test_write_metrics_leaves_missing_values_empty(tmp_path):
    path = tmp_path / "metrics.csv"
    results.write_metrics(path, [{"updates": 1, "q": 0.5}, {"updates": 2, "q": 0.25, "test": 3.0}])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["updates", "q", "test"]
    assert rows[0] == {"updates": "1", "q": "0.5", "test": ""}
    assert rows[1] == {"updates": "2", "q": "0.25", "test": "3.0"}


ABOUT = {
    "latent": "gau:2",
    "updates": 1000,
    "kl_nats": {"gau:2": 3.14159},
    "updates_per_second": 100.0,
    "wall_seconds": 60.0,
    "compile_seconds": 12.0,
}


def test_recovery_is_told_by_factor():
    summary = {**ABOUT, "seeds": 1, "recovery": {"mixture": {"dir:1x3": 0.914, "gau:2": None}}}
    table = results_table(summary)
    cells = [list(column.cells) for column in table.columns]
    assert cells[1][cells[0].index("R^2 of mixture from")] == "dir:1x3 0.91"


def table_text(returns, *arguments, **options):
    summary = results.summarise(returns, returns, *arguments, **options)
    table = results_table({**summary, **ABOUT, "seeds": len(returns)})
    cells = [" ".join(column.cells) for column in table.columns]
    return table.title + " " + " ".join(cells)


def whole_table(returns):
    oracle = np.full(returns.shape[:2], 16.0)
    return table_text(returns, returns / 4, oracle, 2, success=returns > 0)


def test_results_table_prints_percent_of_oracle():
    text = whole_table(hand_made())
    assert "2 seeds" in text
    assert "8.00 ± 2.83 (95 %" in text
    assert "50.0 (untrained 0.00, oracle 16.00)" in text
    assert "with the encoder's posterior" in text
    assert "2.00 ± 0.71 (95 %" in text
    assert "reached by a prior episode" in text
    assert "3.14 nats" in text


def test_results_table_prints_the_share_of_tasks_solved():
    success = np.zeros((2, 2, 1, 5), bool)
    success[1, 0, 0, 4] = True
    given = (negative(), None, None, 2)
    assert " 25 % (95 % 0 to 100) " in table_text(*given, floor=-80.0, success=success)
    text = table_text(negative()[:1], None, None, 2, floor=-80.0, success=success[1:])
    assert "test tasks solved by it" in text
    assert " 50 % " in text


def test_results_table_of_one_seed_claims_no_spread():
    text = whole_table(hand_made()[:1])
    assert "6.00 (one seed)" in text
    assert "1.50 (one seed)" in text
    assert "±" not in text


def test_results_table_of_agents_that_act_on_a_belief_has_words_of_their_own():
    returns = hand_made()
    summary = results.summarise(returns, returns, returns / 4, None, 2, success=returns > 0)
    own = {"algorithm": "rl2", "title": "rl2", "seeds": len(returns)}
    table = results_table({**summary, **ABOUT, **own})
    text = table.title + " ".join(" ".join(column.cells) for column in table.columns)
    assert text.startswith("rl2, 1,000 updates")
    for words in ("first episode's return", "second episode's return", "in the first episode"):
        assert words in text
    for words in ("prior", "posterior"):
        assert words not in text
    assert "60 s, 12 s, 10 s" in text


def test_results_table_has_no_row_for_what_nobody_knows():
    text = table_text(negative(), None, None, 2, floor=-80.0)
    assert "-20.00 ± 0.00" in text
    for word in ("oracle", "encoder", "reached", "nan", "None", "not finite"):
        assert word not in text
    worse = table_text(negative()[..., ::-1], None, None, 2, floor=-80.0)
    assert "not finite" not in worse
    assert "80 % of the gain" in worse


def test_results_table_without_a_finite_seed():
    text = whole_table(np.nan * hand_made())
    assert "not finite" in text
    assert "nan" not in text
