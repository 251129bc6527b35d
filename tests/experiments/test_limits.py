"""The limits of the protocol: against the oracle, against a search by hand, and the program."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from program import assert_refused

from experiments import limits
from structlat_jax.envs import point_robot

ENV = point_robot.make()


@pytest.fixture(scope="module")
def tasks():
    return ENV.sample_tasks(jax.random.key(3), 40)


def returns(tasks, speed, offset):
    return limits.mean_return(ENV, tasks, jnp.zeros(40), speed, offset)


def test_at_full_speed_it_is_the_best_there_is(tasks):
    oracle = float(jnp.mean(jax.vmap(ENV.oracle_return)(tasks)))
    assert oracle * (1 - 1e-5) <= returns(tasks, 1.0, 0.0) <= oracle * 1.01


def test_slowness_and_distance_cost(tasks):
    best = returns(tasks, 1.0, 0.0)
    assert returns(tasks, 0.98, 0.0) < best - 0.2
    assert returns(tasks, 1.0, 0.04) < best - 0.3
    assert returns(tasks, 1.0, 0.3) < 0.25 * best  # outside the disc, but for what it passes


def test_a_goal_straight_ahead_is_reached_and_one_to_the_side_is_not():
    goal = jnp.array([[1.0, 0.0], [0.0, 1.0], [jnp.cos(0.15), jnp.sin(0.15)]])
    reached = limits.reach(ENV, point_robot.PointRobotTask(goal, jnp.zeros(3)))
    np.testing.assert_array_equal(reached[0], [True, False, True])
    np.testing.assert_array_equal(reached[90], [False, True, False])


def test_the_search_finds_the_best_choice_of_a_small_table():
    reached = np.random.default_rng(0).uniform(size=(9, 60)) < 0.3
    best = max(
        reached[list(chosen)].any(axis=0).mean() for chosen in itertools.combinations(range(9), 3)
    )
    assert limits.reachable(reached, 3, jax.random.key(0)) == pytest.approx(best)


def test_a_faithful_prior_reaches_what_is_counted_by_hand():
    reached = np.eye(4, dtype=bool)[[0, 0, 1, 2]]  # headings 0 and 1 reach the same task
    drawn, then = limits.faithful(reached, np.array([3, 0, 1, 2]), 2)
    # Half of the shifts draw headings (0, 2), half (1, 3): two tasks of four, then a third.
    assert (drawn, then) == (0.5, 0.75)
    assert limits.faithful(reached, np.zeros(5, int), 3) == (0.25, 0.5)


def test_headings_are_those_of_the_goals(tasks):
    reached = limits.reach(ENV, tasks)
    assert reached[limits.headings(ENV, tasks), np.arange(40)].all()


@pytest.mark.slow
def test_the_program_writes_what_it_prints(tmp_path):
    out = tmp_path / "limits.json"
    run = CliRunner().invoke(limits.command, ["--goals", "30", "--out", str(out)])
    assert run.exit_code == 0, run.output
    found = json.loads(out.read_text())
    assert len(found["returns"]) == len(limits.SPEEDS) * len(limits.OFFSETS)
    assert f"{100 * found['reachable']:.0f} %" in run.output
    assert f"{found['returns'][0]['return']:.2f}" in run.output
    drawn, then = found["reached_by_faithful_prior"], found["reached_with_the_best_next"]
    assert f"task distribution {100 * drawn:.0f} %, with" in run.output
    assert 0 < drawn < then <= 1


@pytest.mark.parametrize("arguments", [["--goals", "0"], ["--seed", "-1"], ["--goals", "many"]])
def test_wrong_numbers_are_refused(arguments, in_process):
    assert arguments[0] in assert_refused(in_process(limits.command, *arguments))
