"""What a run writes about itself, against NumPy and hand-made arrays with known answers."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from structlat_jax.report import results
from structlat_jax.report.progress import block_names, describe, results_table

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
    found = results.summarise(test, test / 2, test / 4, oracle, prior_episodes=2)
    assert found["test_return"]["per_seed"] == [6.0, 10.0]
    assert found["test_return"]["mean"] == 8.0
    assert found["train_return"]["per_seed"] == [3.0, 5.0]
    assert found["amortised_return"]["per_seed"] == [1.5, 2.5]
    assert found["amortised_return"]["mean"] == 2.0
    assert found["prior_return"] == 0.5
    assert found["first_posterior_return"] == 4.0
    assert found["tasks_reached_by_prior"] == 1 / 8
    assert found["oracle_return"] == 16.0
    assert found["percent_of_oracle"] == 50.0
    assert found["episodes_to_80_percent"] == 4


def test_last_episode_keeps_seeds_apart():
    returns = np.random.default_rng(0).random((3, 4, 5, 6))
    expected = [np.mean([[run[-1] for run in task] for task in seed]) for seed in returns]
    np.testing.assert_allclose(results.last_episode(returns), expected)


@pytest.mark.parametrize(
    ("curve", "share", "expected"),
    [
        ([0, 1, 2, 4], 0.5, 3),
        ([0, 1, 2, 4], 0.8, 4),
        ([4, 0, 0, 4], 0.8, 1),
        ([0, 5, 0, 4], 1.0, 2),
        ([0, 0, 0, 0], 0.8, 1),
    ],
)
def test_episodes_until(curve, share, expected):
    returns = np.broadcast_to(np.array(curve, dtype=float), (2, 3, 2, 4))
    assert results.episodes_until(returns, share) == expected


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


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        (["dir:2x4", "gau:2"], ["dir:2x4", "gau:2"]),
        (["gau:2", "gau:2"], ["gau:2#1", "gau:2#2"]),
        (["gau:1", "cat:1x3", "gau:1"], ["gau:1#1", "cat:1x3", "gau:1#2"]),
    ],
)
def test_block_names_are_distinct(specs, names):
    assert block_names(specs) == names


def test_status_line():
    status = {"updates_per_second": 12.3, "kl": {"gau:2": 1.234}}
    assert describe(status) == "12 updates/s  KL gau:2 1.23 nats"
    status.update(test_return=8.0, percent_of_oracle=61.5)
    assert "test 8.00 (62 %)" in describe(status)


def table_text(returns):
    summary = {
        **results.summarise(returns, returns, returns / 4, np.full((len(returns), 2), 16.0), 2),
        "latent": "gau:2",
        "updates": 1000,
        "seeds": len(returns),
        "kl_nats": {"gau:2": 3.14159},
        "updates_per_second": 100.0,
        "wall_seconds": 60.0,
        "compile_seconds": 12.0,
    }
    table = results_table(summary)
    cells = [" ".join(column.cells) for column in table.columns]
    return table.title + " " + " ".join(cells)


def test_results_table_prints_percent_of_oracle():
    text = table_text(hand_made())
    assert "2 seeds" in text
    assert "8.00 ± 2.83 (95 %" in text
    assert "50.0 of 16.00" in text
    assert "with the encoder's posterior" in text
    assert "2.00 ± 0.71 (95 %" in text
    assert "3.14 nats" in text


def test_results_table_of_one_seed_claims_no_spread():
    text = table_text(hand_made()[:1])
    assert "6.00 (one seed)" in text
    assert "1.50 (one seed)" in text
    assert "±" not in text
