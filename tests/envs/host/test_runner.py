"""Whole episodes in one environment of Python."""

from typing import NamedTuple

import host_line
import jax
import numpy as np
import pytest
import tiny

from structlat_jax.envs.host.policy import Policy
from structlat_jax.envs.host.runner import HostError, Jobs, Runner, numbered, rebuilt


def jobs(kind="act", count=1, **given):
    """Episodes of the line's goal at +1, full steps ahead unless told otherwise."""
    ahead = np.ones((count, tiny.HORIZON, 1), np.float32)
    usual = {
        "policy": np.zeros(count, int),
        "task": (np.ones(count, np.float32),),
        "seed": np.arange(count, dtype=np.uint32),
        "z": np.zeros((count, 1), np.float32),
        "explores": np.ones(count, bool),
        "actions": ahead,
    }
    return Jobs(kind, **{**usual, **given})


def test_an_episode_by_hand():
    seen = Runner(host_line.simulator(), 0).run({}, jobs())
    np.testing.assert_allclose(seen.path[0, :, 0], [0.0, 0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(seen.reward[0], [0.5, 1.0, 0.5, 0.0])
    np.testing.assert_allclose(seen.train_reward[0], [-0.5, 0.0, -0.5, -1.0])
    np.testing.assert_array_equal(seen.action[0], np.ones((4, 1)))
    assert (seen.length[0], seen.success[0], seen.done[0].sum()) == (4, 1.0, 0.0)


def test_an_end_for_good_and_what_is_behind_it():
    seen = Runner(host_line.simulator(kind="ending"), 0).run({}, jobs())
    assert seen.length[0] == 2
    np.testing.assert_array_equal(seen.done[0], [0.0, 1.0, 0.0, 0.0])
    np.testing.assert_array_equal(seen.path[0, 3:], 0.0)
    np.testing.assert_array_equal(seen.reward[0, 2:], 0.0)


def test_a_time_limit_of_its_own_is_no_end_for_good():
    class Short(host_line.Line):
        def step(self, action):
            obs, reward, _, _, info = super().step(action)
            return obs, reward, False, obs[0] > 0.9, info

    seen = Runner(host_line.simulator(make=Short), 0).run({}, jobs())
    assert seen.length[0] == 2
    assert seen.done.sum() == 0


def test_what_is_not_finite_at_the_end_is_what_was_seen_last():
    class Gone(host_line.Line):
        def step(self, action):
            return np.array([np.nan]), 1.0, True, False, {"shaped": 0.0, "found": False}

    seen = Runner(host_line.simulator(make=Gone), 0).run({}, jobs())
    np.testing.assert_array_equal(seen.path[0, :2], 0.0)


def test_actions_are_scaled_to_what_the_environment_takes():
    given = []

    class Noting(host_line.Line):
        def step(self, action):
            given.append(action)
            return super().step(action)

    simulator = host_line.simulator(make=Noting, low=0.0, high=(10.0,))
    actions = np.array([[[-1.0], [0.0], [1.0], [3.0]]], np.float32)
    Runner(simulator, 0).run({}, jobs(actions=actions))
    np.testing.assert_allclose(np.ravel(given), [0.0, 5.0, 10.0, 10.0])


def test_one_of_several_actions_is_given_by_its_number():
    given = []

    class Noting(host_line.Line):
        def step(self, action):
            given.append(action)
            return super().step(0.0)

    simulator = host_line.simulator(make=Noting, discrete=True, action_dim=3)
    layers = (np.zeros((2, 3), np.float32),), (np.array([0.0, 2.0, 1.0], np.float32),)
    noise = np.zeros((1, 4, 3), np.float32)
    noise[0, 1] = [9.0, 0.0, 0.0]
    drawn = jobs(explores=None, actions=None, noise=noise)
    seen = Runner(simulator, 0).run({0: Policy(*layers)}, drawn)
    assert given == [1, 0, 1, 1]
    assert all(type(one) is int for one in given)
    np.testing.assert_array_equal(seen.action[0], np.eye(3)[given])


def test_the_controller_knows_the_task():
    seen = Runner(host_line.simulator(), 0).run({}, jobs("control"))
    np.testing.assert_allclose(seen.reward[0].sum(), 0.5 + 1.0 + 1.0 + 1.0)


def test_every_generator_is_seeded_at_a_reset():
    runner = Runner(host_line.simulator(make=host_line.Telling, obs_dim=2), 0)
    one = runner.run({}, jobs("reset", 2, seed=np.array([7, 7], np.uint32)))
    other = runner.run({}, jobs("reset", 1, seed=np.array([8], np.uint32)))
    np.testing.assert_array_equal(one.path[0], one.path[1])
    assert one.path[0, 0, 0] == 7
    assert other.path[0, 0, 1] != one.path[0, 0, 1]


class Pair(NamedTuple):
    """A structure of tasks."""

    left: int
    right: int


@pytest.mark.parametrize(
    "task", [0.5, {"b": 1, "a": [2, (3, 4)]}, Pair(1, {"c": 2}), (1, None, 2)], ids=str
)
def test_tasks_come_as_they_were(task):
    leaves, tree = jax.tree.flatten(task)
    template = jax.tree.unflatten(tree, range(len(leaves)))
    assert rebuilt(template, leaves) == task
    assert sorted(numbered(template)) == list(range(len(leaves)))


class Space(NamedTuple):
    """What gymnasium's spaces tell."""

    shape: tuple = ()
    n: int | None = None


def acting(space):
    return type("Acting", (host_line.Line,), {"action_space": space})


def stepping(out):
    return type("Stepping", (host_line.Line,), {"step": lambda self, action: out})


def resetting(out):
    return type("Resetting", (host_line.Line,), {"reset": lambda self, seed=None: out})


def fails(*_):
    raise RuntimeError("no such thing")


INFO = {"shaped": 0.0, "found": False}
WRONG = {
    "make": ({"make": fails}, "make of line fails: RuntimeError: no such thing."),
    "set_task": ({"set_task": fails}, "set_task of line fails: RuntimeError: no such thing."),
    "success": ({"success": fails}, "success of line fails: RuntimeError: no such thing."),
    "no number": (
        {"success": lambda info: "yes"},
        "success of line must be a number, not 'yes'.",
    ),
    "old reset": (
        {"make": resetting(np.zeros(1))},
        "reset of line must return (obs, info), not ndarray.",
    ),
    "old step": (
        {"make": stepping((np.zeros(1), 0.0, False, INFO))},
        "step of line must return (obs, reward, terminated, truncated, info), not 4 things.",
    ),
    "reward": (
        {"make": stepping((np.zeros(1), None, False, False, INFO))},
        "reward of line must be a number, not None.",
    ),
    "width": (
        {"obs_dim": 2},
        "what reset of line observes must have obs_dim = 2 numbers, not 1.",
    ),
    "dictionary": (
        {"make": resetting(({"x": 1}, {}))},
        "what reset of line observes must be numbers, not dict; observe may make them.",
    ),
    "actions": (
        {"make": acting(Space((2,)))},
        "action_dim of line must be 2, as its action_space says, not 1.",
    ),
    "discrete": (
        {"make": acting(Space(n=1))},
        "the actions of line are one of several, so discrete must be True.",
    ),
}


@pytest.mark.parametrize(("changes", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_a_sentence(changes, sentence):
    with pytest.raises(HostError) as caught:
        Runner(host_line.simulator(**changes), 0).run({}, jobs())
    assert str(caught.value) == sentence
