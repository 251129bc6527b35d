"""What an environment must be, one sentence for each thing that it may not be."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import HORIZON, dense, ending, line

from structlat_jax.envs import EnvError, Step, point_robot
from structlat_jax.envs.checks import require_env


def changed(**fields):
    return dataclasses.replace(line(), **fields)


def stepping(**fields):
    """The line with a step that returns other things; a function is given what it returns."""

    def step(state, action, task):
        out = line().step(state, action, task)
        new = {name: f(getattr(out, name)) for name, f in fields.items()}
        return out._replace(**new)

    return changed(step=step)


class Pair(NamedTuple):
    a: jax.Array
    b: jax.Array


def whole(x):
    return jnp.int32(x)


def fails(*_):
    raise KeyError("no such\nthing")


def wide_reset(key, task):
    return Pair(jnp.zeros(1), jnp.zeros(()))


def one_set(key, train, test):
    return line().sample_tasks(key, train + test)


def too_many(key, train, test):
    return line().sample_tasks(key, train), line().sample_tasks(key, test + 1)


WRONG = {
    "split that is no pair": (
        changed(split=one_set),
        "split of mine must return two sets of tasks, as many as it is asked for and with the "
        "shapes and types that sample_tasks gives.",
    ),
    "split of other sizes": (
        changed(split=too_many),
        "split of mine must return two sets of tasks, as many as it is asked for and with the "
        "shapes and types that sample_tasks gives.",
    ),
    "no environment": (3, "mine must make an Env or a HostEnv, not int."),
    "obs_dim 0": (
        changed(obs_dim=0),
        "obs_dim of mine must be a whole number of at least 1, not 0.",
    ),
    "obs_dim true": (
        changed(obs_dim=True),
        "obs_dim of mine must be a whole number of at least 1, not True.",
    ),
    "horizon 20.0": (
        changed(horizon=20.0),
        "horizon of mine must be a whole number of at least 1, not 20.0.",
    ),
    "action_dim None": (
        changed(action_dim=None),
        "action_dim of mine must be a whole number of at least 1, not None.",
    ),
    "discrete 1": (changed(discrete=1), "discrete of mine must be true or false, not 1."),
    "one choice": (
        changed(discrete=True),
        "action_dim of mine must be at least 2, since it is discrete, not 1.",
    ),
    "scalar tasks": (
        changed(sample_tasks=lambda key, n: jnp.zeros(())),
        "sample_tasks of mine must return arrays that lead with [n]; for 3 tasks it returns [[]].",
    ),
    "one task": (
        changed(sample_tasks=lambda key, n: {"a": jnp.zeros((3, 2)), "b": jnp.zeros(2)}),
        "sample_tasks of mine must return arrays that lead with [n]; for 3 tasks it returns "
        "[[3, 2], [2]].",
    ),
    "empty tasks": (
        changed(sample_tasks=lambda key, n: ()),
        "sample_tasks of mine must return arrays that lead with [n]; for 3 tasks it returns none.",
    ),
    "tasks fail": (
        changed(sample_tasks=fails),
        "sample_tasks of mine fails: KeyError: 'no such\\nthing' (line ",
    ),
    "reset fails": (
        changed(reset=fails),
        "reset of mine fails: KeyError: 'no such\\nthing' (line ",
    ),
    "reset takes one": (
        changed(reset=lambda key: jnp.zeros(1)),
        "reset of mine fails: TypeError: ",
    ),
    "wrong obs_dim": (
        changed(obs_dim=3),
        "what observe returns of mine must have shape [obs_dim] = [3], not [1].",
    ),
    "an action that step cannot take": (
        changed(action_dim=2, step=lambda state, action, task: state + action + jnp.zeros(3)),
        "step of mine fails on an action of shape [action_dim] = [2]: TypeError: ",
    ),
    "scalar obs": (
        changed(observe=lambda state: state[0]),
        "what observe returns of mine must have shape [obs_dim] = [1], not [].",
    ),
    "dictionary of observations": (
        changed(observe=lambda state: {"place": state}),
        "what observe returns of mine must have shape [obs_dim] = [1], not dict.",
    ),
    "whole observations": (
        changed(observe=whole),
        "what observe returns of mine must be of a floating type, not int32.",
    ),
    "no Step": (
        changed(step=lambda state, action, task: (state, state, 0.0)),
        "step of mine must return a Step, not tuple.",
    ),
    "another obs of step": (
        stepping(obs=lambda obs: jnp.zeros(2)),
        "obs of step of mine must have shape [obs_dim] = [1], not [2].",
    ),
    "whole obs of step": (
        stepping(obs=whole),
        "obs of step of mine must be of a floating type, not int32.",
    ),
    "action_dim": (
        changed(action_dim=3),
        "obs of step of mine must have shape [obs_dim] = [1], not [3].",
    ),
    "reward [1]": (
        stepping(reward=lambda r: r[None]),
        "reward of step of mine must be a scalar, not [1].",
    ),
    "train_reward [2]": (
        stepping(train_reward=lambda r: jnp.zeros(2)),
        "train_reward of step of mine must be a scalar, not [2].",
    ),
    "done None": (
        stepping(done=lambda d: None),
        "done of step of mine must be a scalar, not NoneType.",
    ),
    "another state": (
        stepping(state=lambda s: (s, s)),
        "step of mine must return a state of the same structure as reset.",
    ),
    "a state of another type": (
        stepping(state=whole),
        "step of mine must return a state with the shapes and types that reset gives (float32[1]), "
        "not int32[1].",
    ),
    "a state of another shape": (
        stepping(state=lambda s: s[0]),
        "step of mine must return a state with the shapes and types that reset gives (float32[1]), "
        "not float32[].",
    ),
    "oracle [1]": (
        changed(oracle_return=lambda task: task[None]),
        "oracle_return of mine must be a scalar, not [1].",
    ),
    "success [1]": (
        changed(success=lambda t, task: t.obs > 0),
        "success of mine must be a scalar, not [1].",
    ),
    "a factor is text": (
        changed(factors=lambda task: {"wind": task, "kind": "gale"}),
        "factors of mine must return numbers; its ['kind'] is 'gale'.",
    ),
    "factors without names": (
        changed(factors=lambda task: task),
        "factors of mine must return a dictionary of arrays by name.",
    ),
    "a name for two things": (
        changed(factors=lambda task: {"wind": task}, derived=lambda task: {"wind": task**2}),
        "factors and derived of mine both have wind.",
    ),
    "done is text": (
        stepping(done=lambda x: "yes"),
        "step of mine must return numbers; its done is 'yes'.",
    ),
    "success fails": (
        changed(success=lambda t, task: t.info),
        "success of mine fails: AttributeError: ",
    ),
    "factors fail": (
        changed(factors=fails, label=None),
        "factors of mine fails: KeyError: ",
    ),
    "explore too short": (
        changed(explore=lambda key: jnp.zeros((2, 1))),
        f"what explore returns of mine must have shape [{HORIZON}, 1], not [2, 1].",
    ),
    "whole exploring": (
        changed(explore=lambda key: jnp.zeros((HORIZON, 1), int)),
        "what explore returns of mine must be of a floating type, not int32.",
    ),
}


@pytest.mark.parametrize(("env", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_a_sentence(env, words):
    with pytest.raises(EnvError) as caught:
        require_env("mine", env)
    message = str(caught.value)
    assert message.startswith(words)
    assert message.endswith(".")
    assert "\n" not in message
    assert words[-1] != "." or message == words


GOOD = {
    "line": line(),
    "ending": ending(),
    "dense": dense(),
    "point_robot": point_robot.make(),
    "plain numbers of a step": stepping(
        reward=lambda r: 0.0, train_reward=lambda r: 1, done=lambda d: False
    ),
    "whole and true": stepping(
        reward=lambda r: jnp.int32(r), train_reward=lambda r: r > 0, done=lambda d: d > 0
    ),
    "tasks of many types": changed(
        sample_tasks=lambda key, n: {"a": jnp.zeros(n, int), "b": jax.random.split(key, n)},
        step=lambda s, a, task: Step(s, s, 0.0, 0.0, task["a"] > 0),
        oracle_return=None,
        label=None,
        factors=lambda task: {"a": task["a"]},
    ),
    "a state that is a tree with a key": changed(
        reset=lambda key, task: {"x": jnp.zeros(1), "key": key},
        observe=lambda state: state["x"],
        step=lambda s, a, task: Step(
            {"x": s["x"] + a, "key": jax.random.split(s["key"])[0]}, s["x"], 0.0, 0.0, 0.0
        ),
    ),
    "exploring": changed(explore=lambda key: jax.random.normal(key, (HORIZON, 1))),
    "boolean success": changed(success=lambda t, task: t.next_obs[0] > task),
}


@pytest.mark.parametrize("env", GOOD.values(), ids=GOOD)
def test_environments_that_are_fine(env):
    require_env("mine", env)


def test_nothing_is_run():
    """Not even once: the check evaluates shapes."""

    def step(state, action, task):
        assert not isinstance(state, np.ndarray)
        assert isinstance(state, jax.core.Tracer)
        return line().step(state, action, task)

    require_env("mine", changed(step=step))


def test_a_branch_on_what_is_not_known_yet_says_what_can_be_done_instead():
    def step(state, action, task):
        return 1.0 if action[0] > 0 else 0.0

    with pytest.raises(EnvError) as caught:
        require_env("mine", changed(step=step))
    said = str(caught.value)
    assert "Python's if" in said
    assert "jnp.where" in said
    assert f"(line {step.__code__.co_firstlineno + 1} of test_checks.py)" in said


def test_numpy_in_a_compiled_function_is_told_from_it():
    with pytest.raises(EnvError, match=r"jax.numpy can \(line \d+ of test_checks.py\)"):
        require_env("mine", changed(observe=lambda state: np.sin(state)))
