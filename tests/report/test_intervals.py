"""Statistics over seeds against hand calculations, normal theory and simulations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from structlat_jax.report import intervals


def exactly(mean, std, count):
    """Numbers ``[count]`` with this mean and sample standard deviation."""
    values = np.random.default_rng(1).normal(size=count)
    return mean + std * (values - values.mean()) / values.std(ddof=1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0], 5.0),
        ([0.0, 9.0, 3.0], 4.0),  # too few to leave any out
        ([100.0, 2.0, 4.0, -100.0], 3.0),
        ([-50, 1, 2, 3, 4, 5, 6, 7, 70, 90], 4.5),  # of ten, two at each end
    ],
)
def test_interquartile_mean(values, expected):
    assert intervals.interquartile_mean(np.array(values, float)) == pytest.approx(expected)


def test_interquartile_mean_keeps_the_other_axes():
    values = np.array([[0.0, 1.0, 3.0, 9.0], [4.0, 4.0, 4.0, 4.0]])
    assert intervals.interquartile_mean(values).tolist() == [2.0, 4.0]
    assert intervals.interquartile_mean(values.T, axis=0).tolist() == [2.0, 4.0]


def test_bootstrap_of_a_mean_agrees_with_normal_theory():
    count = 400
    low, high = intervals.bootstrap_interval(exactly(10.0, 3.0, count))
    half = 1.96 * 3.0 / count**0.5
    assert low == pytest.approx(10.0 - half, abs=0.1 * half)
    assert high == pytest.approx(10.0 + half, abs=0.1 * half)


def test_bootstrap_of_wins_agrees_with_the_binomial():
    """A resample of ten wins of 20 has a binomial number of wins."""
    low, high = intervals.bootstrap_interval(np.repeat([0.0, 1.0], 10))
    expected = stats.binom.ppf([0.025, 0.975], 20, 0.5) / 20
    assert [low, high] == pytest.approx(expected.tolist())


def test_bootstrap_takes_the_statistic_that_it_is_given():
    values = np.append(exactly(5.0, 1.0, 19), 1000.0)
    of_mean = intervals.bootstrap_interval(values)
    of_iqm = intervals.bootstrap_interval(values, intervals.interquartile_mean)
    assert of_mean[1] > 100
    assert of_iqm[0] < intervals.interquartile_mean(values) < of_iqm[1] < 7


def test_bootstrap_is_reproducible():
    values = exactly(0.0, 1.0, 7)
    first = intervals.bootstrap_interval(values)
    np.random.default_rng().normal()
    assert intervals.bootstrap_interval(values) == first


STATISTICS = (np.mean, intervals.interquartile_mean)


@pytest.mark.parametrize("statistic", STATISTICS)
@given(values=st.lists(st.floats(-100, 100), min_size=2, max_size=6))
def test_bootstrap_stays_within_the_data(statistic, values):
    low, high = intervals.bootstrap_interval(np.array(values), statistic)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_bootstrap_of_equal_seeds_has_no_width(statistic, count):
    assert intervals.bootstrap_interval(np.full(count, 2.5), statistic) == [2.5, 2.5]


def test_one_seed_has_no_interval():
    one = np.array([2.0])
    assert intervals.bootstrap_interval(one) is None
    assert intervals.student_interval(one) is None
    assert intervals.seeds_needed(one) is None


def test_student_interval():
    values = exactly(0.3, 2.0, 9)
    found = intervals.student_interval(values)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert found == pytest.approx([expected.low, expected.high])
    assert intervals.student_interval(np.array([1.0, 1.0, 1.0])) == [1.0, 1.0]


def test_paired_wins():
    ours, theirs = np.array([3.0, 1.0, 2.0, 5.0]), np.array([2.0, 2.0, 2.0, 4.0])
    wins = intervals.paired_wins(ours, theirs)
    assert wins.tolist() == [1.0, 0.0, 0.5, 1.0]
    assert (intervals.paired_wins(theirs, ours) + wins).tolist() == [1.0] * 4


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ([0.1, 0.2], True),
        ([-0.2, -0.1], True),
        ([-1.0, 1.0], False),
        ([0.0, 1.0], False),
        (None, False),
    ],
)
def test_excludes_zero(interval, expected):
    assert intervals.excludes_zero(interval) is expected


def simulated_power(effect, count, repeats=40_000):
    draws = np.random.default_rng(0).normal(effect, 1.0, (repeats, count))
    return float(np.mean(stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05))


@pytest.mark.parametrize(("effect", "count"), [(0.0, 5), (0.5, 10), (1.0, 4), (3.0, 3), (-1.0, 8)])
def test_power_agrees_with_a_simulation(effect, count):
    found = intervals.paired_power(effect, np.array(count))
    assert found == pytest.approx(simulated_power(effect, count), abs=0.01)


@pytest.mark.parametrize("effect", [2.5, -1.0, 0.6])
def test_seeds_needed_is_the_least_number_with_enough_power(effect):
    needed = intervals.seeds_needed(exactly(effect * 0.7, 0.7, 10))
    assert simulated_power(effect, needed) > 0.8 - 0.01
    assert simulated_power(effect, needed - 1) < 0.8 + 0.01


@pytest.mark.parametrize("effect", [0.19, 0.2, 0.21])
def test_seeds_needed_changes_smoothly_where_the_formula_changes(effect):
    needed = intervals.seeds_needed(exactly(effect, 1.0, 10))
    assert intervals.paired_power(effect, np.array([needed - 1, needed])).tolist() == (
        pytest.approx([0.8, 0.8], abs=0.003)
    )


def test_many_seeds_for_a_small_difference():
    needed = intervals.seeds_needed(exactly(0.01, 1.0, 10))
    assert needed == pytest.approx((2.8016 / 0.01) ** 2, rel=1e-3)


@pytest.mark.parametrize("differences", [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [-1.0, 1.0], [0.1] * 7])
def test_seeds_needed_without_an_answer(differences):
    assert intervals.seeds_needed(np.array(differences)) is None


def test_huge_effects_need_two_or_three_seeds():
    assert intervals.seeds_needed(exactly(20.0, 1.0, 5)) == 2
    assert intervals.seeds_needed(exactly(8.0, 1.0, 5)) == 3
