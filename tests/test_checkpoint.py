"""Run folders: what is read back is what was written, and bad ones end in one sentence."""

import json
import pickle
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny import TRACES, assert_same, config, go_on, one_seed, programs, setup, train

from structlat_jax import checkpoint, sweep
from structlat_jax.checkpoint import CONFIG_FILE, CheckpointError, Checkpoints
from structlat_jax.config import SCHEMA_VERSION

# A restore that fails leaves orbax with reads under way, which complain when they end.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

HISTORY = [{"updates": 5, "q": 0.1, "missing": float("nan"), "name": "a"}]


def fresh_state(seeds, seed):
    made, _ = programs(seeds)
    return made.init(sweep.seed_numbers(made, seed))


def resume(folder, seeds, seed=0):
    """What a new process does: another state of the same shape says how to read."""
    with Checkpoints(folder) as saved:
        state, history = saved.restore(fresh_state(seeds, seed))
    return sweep.place(programs(seeds)[0], state), history


def test_restored_state_has_the_same_bits(tmp_path):
    state, _ = train(1, 0, 2)
    with Checkpoints(tmp_path) as saved:
        saved.save(2, state, HISTORY)
    found, history = resume(tmp_path, 1, seed=99)
    assert_same(found, state)
    assert jax.dtypes.issubdtype(found.key.dtype, jax.dtypes.prng_key)
    assert np.any(np.asarray(found.replay.rows))
    np.testing.assert_equal(history, HISTORY)


def test_interrupted_equals_uninterrupted(tmp_path):
    straight, metrics = train(1, 7, 5)
    begun, _ = train(1, 7, 2)
    with Checkpoints(tmp_path) as saved:
        saved.save(2, begun, [])
    again, _ = resume(tmp_path, 1)
    traces = len(TRACES)
    again, its_metrics = go_on(1, again, 3)
    assert len(TRACES) == traces  # the same program goes on
    assert_same(again, straight)
    assert_same(its_metrics[-1], metrics[-1])


def test_a_state_without_a_world_model_comes_back(tmp_path):
    made = sweep.make_programs(setup(inference="amortised"), 1)
    state = made.init(sweep.seed_numbers(made, 0))
    checkpoint.write_config(tmp_path, setup(inference="amortised").config, seeds=1)
    with Checkpoints(tmp_path) as saved:
        saved.save(2, state, [])
        found, _ = saved.restore(jax.eval_shape(made.init, sweep.seed_numbers(made, 0)))
    assert_same(found, state)
    config_, params = checkpoint.load_params(tmp_path, 0)
    assert config_.structure.inference == "amortised"
    assert_same(params, one_seed(state.params))


def test_the_last_ones_are_kept(tmp_path):
    state, _ = train(1, 0, 0)
    with Checkpoints(tmp_path, keep=2) as saved:
        assert saved.latest is None
        for step in (1, 2, 3, 4):
            saved.save(step, state, [{"step": step}])
        assert saved.latest == 4
    assert sorted(p.name for p in (tmp_path / "checkpoint").iterdir()) == ["3", "4"]
    assert resume(tmp_path, 1)[1] == [{"step": 4}]


def test_nothing_to_resume(tmp_path):
    with Checkpoints(tmp_path) as saved, pytest.raises(CheckpointError, match="no checkpoint"):
        saved.restore(fresh_state(1, 0))


def test_a_torn_checkpoint_is_refused(tmp_path):
    with Checkpoints(tmp_path) as saved:
        saved.save(1, train(1, 0, 0)[0], [])
    (tmp_path / "checkpoint" / "1" / "history" / "metadata").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        resume(tmp_path, 1)


def test_a_state_of_other_shapes_is_refused(tmp_path):
    with Checkpoints(tmp_path) as saved:
        saved.save(1, train(1, 0, 0)[0], [])
    with pytest.raises(CheckpointError, match="cannot be read"):
        resume(tmp_path, 4)


def test_keys_survive_as_integers():
    keys = {"key": jax.random.split(jax.random.key(3), 2), "x": np.arange(3.0)}
    plain = checkpoint.keys_to_data(keys)
    assert plain["key"].dtype == np.uint32
    assert_same(checkpoint.data_to_keys(plain, keys), keys)


def test_config_round_trip(tmp_path):
    written = config(lr=0.125)
    checkpoint.write_config(tmp_path, written, seeds=3)
    found, data = checkpoint.read_config(tmp_path)
    assert found == written
    assert data["seeds"] == 3
    assert data["schema_version"] == SCHEMA_VERSION


def test_no_run_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        checkpoint.read_config(tmp_path)
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        checkpoint.load_params(tmp_path / "absent", 0)


def test_no_checkpoint_yet(tmp_path):
    checkpoint.write_config(tmp_path, config(), seeds=1)
    with pytest.raises(FileNotFoundError, match="no checkpoint yet"):
        checkpoint.load_params(tmp_path, 0)
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(FileNotFoundError, match="no checkpoint yet"):
        checkpoint.load_params(tmp_path, 0)


def as_json(**changes):
    return json.dumps({"schema_version": SCHEMA_VERSION, **changes})


BROKEN = {
    "empty": "",
    "cut off": as_json()[:-1],
    "not json": "import os; os.system('touch executed')",
    "a list": "[1, 2]",
    "a number": "3",
    "no schema": "{}",
    "other schema": json.dumps({"schema_version": SCHEMA_VERSION + 1}),
    "unknown field": as_json(hyper={"learning_rate": 0.1}),
    "wrong type": as_json(structure={"width": "wide"}),
    "out of range": as_json(structure={"width": 0}),
    "not a number": '{"schema_version": 1, "hyper": {"lr": NaN}}',
    "not an object": as_json(hyper=[1]),
    "bad latent": as_json(structure={"latent": "foo:3"}),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_broken_config(tmp_path, text):
    (tmp_path / CONFIG_FILE).write_text(text)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.read_config(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == [CONFIG_FILE]


def test_binary_config(tmp_path):
    (tmp_path / CONFIG_FILE).write_bytes(bytes(range(256)))
    with pytest.raises(CheckpointError):
        checkpoint.read_config(tmp_path)


class Evil:
    """What a pickle of this does on loading would be seen as a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_garbage_is_never_executed(tmp_path):
    run, mark = tmp_path / "run", tmp_path / "executed"
    run.mkdir()
    state = train(1, 0, 0)[0]
    with Checkpoints(run) as saved:
        saved.save(1, state, [])
    checkpoint.write_config(run, config(), seeds=1)
    poison = pickle.dumps(Evil(mark))
    for path in (run / "checkpoint" / "1").rglob("*"):
        if path.is_file():
            path.write_bytes(poison)
    with pytest.raises(CheckpointError):
        checkpoint.load_params(run, 0)
    assert not mark.exists()
    pickle.loads(poison).close()
    assert mark.exists()  # a pickle would have been seen


def test_nothing_is_unpickled():
    source = Path(checkpoint.__file__).read_text()
    assert "import pickle" not in source
    assert "eval(" not in source
