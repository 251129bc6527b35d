"""Where the missing return goes, by hand."""

import made_up
import numpy as np
import pytest

from structlat_jax.report.links import links


def run(returns, oracle, goals=None):
    """One seed and one repeat; ``returns [T, E]``, ``oracle [T]``."""
    made = made_up.run("gau:1", [1.0])
    arrays = {
        "returns_test": np.array(returns)[None, :, None, :],
        "oracle_test": np.array(oracle)[None],
    }
    if goals is not None:
        arrays["goal_test"] = np.array(goals)[None]
        arrays["goal_train"] = np.array([[[1.0, 0.0], [-1.0, 0.0]]])
    return made._replace(arrays=arrays)


RETURNS = [[0.0, 3.0, 8.0], [0.0, 0.0, 6.0], [1.0, 0.0, 0.0]]
ORACLE = [10.0, 8.0, 20.0]


def test_found_does_not_count_the_last_episode():
    found = links(run(RETURNS, ORACLE))
    assert found["tasks_found"] == pytest.approx(2 / 3)
    assert found["found_percent"] == pytest.approx(100 * 8 / 30)
    assert found["far_share"] is found["near_percent"] is found["far_percent"] is None


def test_far_goals_are_those_that_no_training_goal_is_near():
    goals = [[1.0, 0.19], [0.0, 1.0], [-1.0, 0.3]]  # the reward's radius is 0.2
    found = links(run(RETURNS, ORACLE, goals))
    assert found["far_share"] == pytest.approx(2 / 3)
    assert found["near_percent"] == pytest.approx(80.0)
    assert found["far_percent"] == pytest.approx(100 * 6 / 28)


def test_nothing_found_has_no_percentage():
    found = links(run([[0.0, 0.0, 4.0]], [8.0]))
    assert (found["tasks_found"], found["found_percent"]) == (0.0, None)
