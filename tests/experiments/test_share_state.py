"""The state of a share on disk: what went in comes out, whole or not at all."""

import jax
import jax.numpy as jnp
import pytest
from tiny import assert_same

from experiments.share_state import ShareState
from structlat_jax.checkpoint import CheckpointError

STATE = {"w": jnp.arange(6.0).reshape(2, 3), "key": jax.random.split(jax.random.key(3), 2)}
HISTORY = [{"updates": 5, "q": 0.25}, {"updates": 5, "q": float("inf")}]


@pytest.fixture
def saved(tmp_path):
    with ShareState(tmp_path) as share:
        assert share.latest is None
        share.save(7, STATE, HISTORY)
    return tmp_path


def test_what_was_saved_is_restored(saved):
    share = ShareState(saved)
    assert share.latest == 7
    state, history = share.restore(jax.eval_shape(lambda: STATE))
    assert_same(state, STATE)
    assert history == HISTORY
    assert [path.name for path in saved.iterdir()] == ["share.npz"]


def test_a_later_state_replaces_an_earlier_one(saved):
    share = ShareState(saved)
    share.save(8, {**STATE, "w": -STATE["w"]}, [])
    state, history = share.restore(jax.eval_shape(lambda: STATE))
    assert share.latest == 8
    assert history == []
    assert_same(state["w"], -STATE["w"])


def test_an_interrupted_write_leaves_what_was_there(saved, monkeypatch):
    monkeypatch.setattr("numpy.savez", lambda file, **_: file.write(b"half") and 1 / 0)
    share = ShareState(saved)
    with pytest.raises(ZeroDivisionError):
        share.save(8, STATE, [])
    assert share.latest == 7


def test_a_truncated_file_is_refused(saved):
    path = saved / "share.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        _ = ShareState(saved).latest


def test_another_shape_is_refused(saved):
    like = {**STATE, "w": jnp.zeros((2, 4))}
    with pytest.raises(CheckpointError, match="other arrays"):
        ShareState(saved).restore(jax.eval_shape(lambda: like))
