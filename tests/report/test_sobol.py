"""Shares of the variance against functions whose shares are known."""

import json

import numpy as np
import pytest

from structlat_jax.report.shares_table import percent, shares_record, shares_table
from structlat_jax.report.sobol import shares_of_variance

GROUPS = [slice(0, 1), slice(1, 2), slice(2, 4)]


@pytest.fixture
def draws():
    return np.random.default_rng(0).normal(size=(2, 20_000, 4))


def test_a_sum_has_the_shares_of_its_terms(draws):
    def value(x):
        return np.stack([3.0 * x[:, 0], x[:, 1] + 2.0 * x[:, 2]], axis=-1) + 100.0

    found = shares_of_variance(value, *draws, GROUPS)
    expected = np.array([9.0, 1.0, 4.0]) / 14.0
    np.testing.assert_allclose(found.first_order, expected, atol=0.02)
    np.testing.assert_allclose(found.total, expected, atol=0.02)
    assert np.all(np.abs(found.first_order - expected) < 4 * found.error)


def test_a_product_is_all_interaction(draws):
    found = shares_of_variance(lambda x: x[:, :1] * x[:, 1:2], *draws, GROUPS)
    np.testing.assert_allclose(found.first_order, [0.0, 0.0, 0.0], atol=0.04)
    np.testing.assert_allclose(found.total, [1.0, 1.0, 0.0], atol=0.04)


def test_the_error_is_that_of_repeated_estimates():
    rng = np.random.default_rng(1)
    found = [
        shares_of_variance(lambda x: x[:, :1] + x[:, 1:2], *rng.normal(size=(2, 500, 4)), GROUPS)
        for _ in range(200)
    ]
    spread = np.std([one.first_order for one in found], axis=0)
    claimed = np.mean([one.error for one in found], axis=0)
    np.testing.assert_allclose(claimed[:2], spread[:2], rtol=0.3)


def test_what_does_not_vary_has_no_shares(draws):
    found = shares_of_variance(lambda x: np.ones((len(x), 2)), *draws, GROUPS)
    assert all(np.isnan(part).all() and part.shape == (3,) for part in found)


def test_draws_of_another_shape_are_refused(draws):
    for one, other in ((draws[0], draws[1][:5]), (draws[0][:1], draws[1][:1])):
        with pytest.raises(ValueError, match=r"must both be \[N, D\]"):
            shares_of_variance(np.sum, one, other, GROUPS)


def test_the_record_is_valid_json_and_the_table_shows_it(draws):
    known = shares_of_variance(lambda x: x[:, :2], *draws, GROUPS)
    nothing = shares_of_variance(lambda x: np.zeros((len(x), 1)), *draws, GROUPS)
    names = ["a", "b", "c"]
    record = shares_record(names, [{"position": known}, {"position": known}])
    assert [part["name"] for part in record] == names
    assert record[0]["position"]["alone"]["mean"] == pytest.approx(known.first_order[0])
    assert record[0]["position"]["with_interactions"]["per_seed"] == [known.total[0]] * 2
    assert record[0]["position"]["standard_error"] == known.error[0]
    empty = shares_record(names, [{"position": nothing}])
    json.dumps([record, empty], allow_nan=False)
    assert empty[0]["position"]["alone"]["mean"] is None
    table = shares_table("title", "position", {"one": record, "two": empty})
    assert table.row_count == 6
    assert list(table.columns[2].cells) == [percent(x) for x in known.first_order] + ["-"] * 3


def test_percent_draws_estimates_into_their_range():
    assert [percent(x) for x in (-0.02, 0.126, 1.01, None, float("nan"))] == [
        "0%",
        "13%",
        "100%",
        "-",
        "-",
    ]
