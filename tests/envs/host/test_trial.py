"""A host environment is tried before anything is compiled or written."""

import functools
import threading

import host_line
import jax
import numpy as np
import pytest

from structlat_jax.envs import EnvError
from structlat_jax.envs.checks import require_env
from structlat_jax.envs.host import pools


@pytest.fixture(autouse=True)
def few():
    with pools.workers(1):
        yield
    pools.close()


def test_what_is_right():
    require_env("mine", host_line.line())
    require_env("mine", host_line.line(low=0.0, high=[2.0]))


def tree(key, n):
    return jax.tree_util.Partial(print, jax.numpy.zeros(n))


WRONG = {
    "make": ({"make": lambda: 1 / 0}, "make of line fails: ZeroDivisionError: division by zero."),
    "widths": (
        {"obs_dim": 3},
        "what reset of line observes must have obs_dim = 3 numbers, not 1.",
    ),
    "size": ({"horizon": 0}, "horizon of mine must be a whole number of at least 1, not 0."),
    "tasks": (
        {"sample_tasks": lambda key, n: np.zeros(2)},
        "sample_tasks of mine must return arrays that lead with [n]; for 3 tasks it returns [[2]].",
    ),
    "structure": (
        {"sample_tasks": tree, "label": None, "factors": None},
        "tasks of line must be numbers in dictionaries, tuples, named tuples or lists.",
    ),
    "limits": (
        {"low": (0.0, 1.0)},
        "low of mine must be a number or one for each of the 1 actions, not 2.",
    ),
    "order": ({"low": 2.0}, "low of mine must be finite and below high, not 2.0."),
    "infinite": ({"high": np.inf}, "high of mine must be finite, not inf."),
    "unsendable": (
        {"success": functools.partial(print, threading.Lock())},
        "a host environment cannot be sent to its workers: ",
    ),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_a_sentence(changes, words):
    with pytest.raises(EnvError) as caught:
        require_env("mine", host_line.line(**changes))
    message = str(caught.value)
    assert message.startswith(words)
    assert message.endswith(".")
    assert "\n" not in message
