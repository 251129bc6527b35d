"""Where the missing return goes, by hand."""

import made_up
import numpy as np
import pytest

from structlat_jax.envs.base import Plane
from structlat_jax.report.links import links
from structlat_jax.report.plane.far import near_and_far


def run(returns, oracle=None, goals=None, floor=0.0):
    """One seed and one repeat; ``returns [T, E]``, ``oracle [T]``. What is paid succeeds."""
    made = made_up.run("gau:1", [1.0])
    paid = np.array(returns)[None, :, None, :]
    arrays = {
        "returns_test": paid + floor,
        "success_test": paid > 0,
        "floor_test": np.full((1, len(returns)), floor),
    }
    if oracle is not None:
        arrays["oracle_test"] = np.array(oracle)[None] + floor
    if goals is not None:
        arrays["goal_test"] = np.array(goals)[None]
        arrays["goal_train"] = np.array([[[1.0, 0.0], [-1.0, 0.0]]])
    return made._replace(arrays=arrays)


RETURNS = [[0.0, 3.0, 8.0], [0.0, 0.0, 6.0], [1.0, 0.0, 0.0]]
ORACLE = [10.0, 8.0, 20.0]


PLANE = Plane(project=None, radius=0.2)


@pytest.mark.parametrize("floor", [0.0, -80.0])
def test_found_does_not_count_the_last_episode(floor):
    found = links(run(RETURNS, ORACLE, floor=floor))
    assert found["tasks_found"] == pytest.approx(2 / 3)
    assert found["found_percent"] == pytest.approx(100 * 8 / 30)


@pytest.mark.parametrize("floor", [0.0, -80.0])
def test_far_goals_are_those_that_no_training_goal_is_near(floor):
    goals = [[1.0, 0.19], [0.0, 1.0], [-1.0, 0.3]]  # the reward's radius is 0.2
    found = near_and_far(run(RETURNS, ORACLE, goals, floor), PLANE)
    assert found["far_share"] == pytest.approx(2 / 3)
    assert found["near_percent"] == pytest.approx(80.0)
    assert found["far_percent"] == pytest.approx(100 * 6 / 28)


def test_nothing_found_has_no_percentage():
    found = links(run([[0.0, 0.0, 4.0]], [8.0]))
    assert (found["tasks_found"], found["found_percent"]) == (0.0, None)


def test_what_nobody_knows_is_left_out():
    made = run(RETURNS, goals=[[0.0, 0.0]] * 3)
    assert set(links(made)) == {"tasks_found"}
    assert set(near_and_far(made, PLANE)) == {"far_share"}
    assert near_and_far(run(RETURNS, ORACLE), PLANE) == {}
    assert near_and_far(made, None) == near_and_far(made, Plane(project=None)) == {}
    del made.arrays["success_test"]
    assert links(made) == {}
