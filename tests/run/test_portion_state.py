"""The state of a share on disk: what went in comes out, whole or not at all."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest
from tiny import assert_same

from structlat_jax.run.portion_state import PortionState
from structlat_jax.store.checkpoint import CheckpointError, WriteError
from structlat_jax.train.state import TrainState

HISTORY = [{"updates": 5, "q": 0.25}, {"updates": 5, "q": float("inf")}]


class Params(NamedTuple):
    """Of an agent with one array."""

    w: jax.Array
    none: tuple


def state(sign=1.0, width=3):
    """One of two seeds that has all fields, though few arrays."""
    params = Params(sign * jnp.arange(2.0 * width).reshape(2, width), ())
    empty = dict.fromkeys(TrainState._fields)
    return TrainState(**{**empty, "params": params, "key": jax.random.split(jax.random.key(3), 2)})


@pytest.fixture
def saved(tmp_path):
    with PortionState(tmp_path) as share:
        assert share.latest is None
        share.save(7, state(), HISTORY)
    return tmp_path


def last(folder):
    return folder / "checkpoint" / str(PortionState(folder).latest)


def test_what_was_saved_is_restored(saved):
    share = PortionState(saved)
    assert share.latest == 7
    found, history = share.restore(jax.eval_shape(state))
    assert_same(found, state())
    assert history == HISTORY
    names = {path.name for path in last(saved).rglob("*")}
    assert names == {"arrays", "state.npz", "params.npz", "history.json", "seal.json"}


def test_a_later_state_comes_before_an_earlier_one(saved):
    share = PortionState(saved)
    share.save(8, state(-1.0), [])
    found, history = share.restore(jax.eval_shape(state))
    assert share.latest == 8
    assert history == []
    assert_same(found, state(-1.0))


def test_a_failed_write_leaves_what_was_there(saved, monkeypatch):
    def half(file, *_, **__):
        file.write(b"half")
        raise ZeroDivisionError

    monkeypatch.setattr("numpy.lib.format.write_array", half)
    share = PortionState(saved)
    with pytest.raises(WriteError, match="7 is intact"):
        share.save(8, state(), [])
    assert share.latest == 7


def test_a_damaged_state_is_passed_over(saved):
    share, told = PortionState(saved), []
    share.save(8, state(-1.0), [])
    path = last(saved) / "arrays" / "state.npz"
    path.write_bytes(path.read_bytes()[:100])
    found, history = share.restore(jax.eval_shape(state), told.append)
    assert_same(found, state())
    assert history == HISTORY
    assert "checkpoint 8" in told[0]
    assert share.latest == 7


def test_another_shape_is_refused(saved):
    with pytest.raises(CheckpointError, match="other shapes"):
        PortionState(saved).restore(jax.eval_shape(lambda: state(width=4)))


def test_no_agent_is_the_best(saved):
    share = PortionState(saved)
    share.save_best(7, state().learned, 1.0)
    assert share.best is None
