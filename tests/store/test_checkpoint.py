"""Run folders: what is read back is what was written, and bad ones end in one sentence."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny import TRACES, assert_same, config, go_on, one_seed, programs, setup, train

from structlat_jax.config import SCHEMA_VERSION
from structlat_jax.store import (
    agent_file,
    array_files,
    checkpoint,
    legacy_arrays,
    run_folder,
    sealed,
)
from structlat_jax.store.checkpoint import CONFIG_FILE, CheckpointError, Checkpoints
from structlat_jax.train import parallel

HISTORY = [{"updates": 5, "q": 0.1, "missing": float("nan"), "name": "a"}]


def fresh_state(seeds, seed):
    made, _ = programs(seeds)
    return made.init(parallel.seed_numbers(made, seed))


def resume(folder, seeds, seed=0):
    """What a new process does: another state of the same shape says how to read."""
    with Checkpoints(folder) as saved:
        state, history = saved.restore(fresh_state(seeds, seed))
    return parallel.place(programs(seeds)[0], state), history


def test_restored_state_has_the_same_bits(tmp_path):
    state, _ = train(1, 0, 2)
    with Checkpoints(tmp_path) as saved:
        saved.save(2, state, HISTORY)
    found, history = resume(tmp_path, 1, seed=99)
    assert_same(found, state)
    assert jax.dtypes.issubdtype(found.key.dtype, jax.dtypes.prng_key)
    assert np.any(np.asarray(found.replay.rows))
    np.testing.assert_equal(history, HISTORY)


@pytest.mark.parametrize(
    "name",
    ["run[lr=0.001]", "?*", "{a}", "%20", "$HOME", "~", "-", " a ", "a\nb", "b\udcff", "c.part"],
)
def test_a_folder_may_have_any_name(name, tmp_path, monkeypatch):
    """Its own name, an ancestor's, and the working directory's."""
    learned = one_seed(train(1, 0, 0)[0].learned)
    wide = jax.tree.map(lambda x: x[None], learned)
    for run in (tmp_path / name, tmp_path / name / "below"):
        run.mkdir(exist_ok=True)
        checkpoint.write_config(run, config(), seeds=1)
        with Checkpoints(run) as saved:
            saved.save_params(2, wide)
        assert_same(checkpoint.load_learned(run, 0, setup()), learned)
    monkeypatch.chdir(tmp_path / name)
    assert_same(checkpoint.load_learned(Path(), 0, setup()), learned)
    assert_same(checkpoint.load_learned(Path("below"), 0, setup()), learned)


def test_what_does_not_read_as_it_was_written_is_no_checkpoint(tmp_path, monkeypatch):
    learned, opened = train(1, 0, 0)[0].learned, array_files.npz.opened

    def of_a_bad_disk(path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        return opened(path)

    with Checkpoints(tmp_path) as saved:
        saved.save_params(1, learned)
        monkeypatch.setattr(array_files.npz, "opened", of_a_bad_disk)
        with pytest.raises(run_folder.WriteError, match=r"as it was written|read back"):
            saved.save_params(2, learned)
        assert saved.latest == 1
    assert not list(tmp_path.rglob("*.part"))


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
    made = parallel.make_programs(setup(inference="amortised"), 1)
    state = made.init(parallel.seed_numbers(made, 0))
    checkpoint.write_config(tmp_path, setup(inference="amortised").config, seeds=1)
    with Checkpoints(tmp_path) as saved:
        saved.save(2, state, [])
        found, _ = saved.restore(jax.eval_shape(made.init, parallel.seed_numbers(made, 0)))
    assert_same(found, state)
    found = checkpoint.load_learned(tmp_path, 0, setup(inference="amortised"))
    assert_same(found, one_seed(state.learned))


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


def test_a_state_of_other_shapes_is_refused(tmp_path):
    with Checkpoints(tmp_path) as saved:
        saved.save(1, train(1, 0, 0)[0], [])
    with pytest.raises(CheckpointError, match="other shapes"):
        resume(tmp_path, 4)


@pytest.mark.parametrize("change", [{}, {"checkpoint_seconds": 9.0}])
def test_checkpoints_of_the_same_run_are_read(tmp_path, change):
    state = train(1, 0, 0)[0]
    identity = {"seed": 3, "checkpoint_seconds": 1.0, **config().to_dict()}
    with Checkpoints(tmp_path, identity=identity) as saved:
        saved.save(1, state, [])
    with Checkpoints(tmp_path, identity={**identity, **change}) as saved:
        assert_same(saved.restore(state)[0], state)


@pytest.mark.parametrize("change", [{"seed": 4}, config(lr=0.125).to_dict()], ids=["seed", "lr"])
def test_checkpoints_of_another_run_are_refused(tmp_path, change):
    state = train(1, 0, 0)[0]
    identity = {"seed": 3, **config().to_dict()}
    with Checkpoints(tmp_path, identity=identity) as saved:
        saved.save(1, state, [])
    other = Checkpoints(tmp_path, identity={**identity, **change})
    with pytest.raises(CheckpointError) as caught:
        other.restore(state)
    (name,) = {"seed", "lr"} & set(str(caught.value).split())
    assert f"{name} is " in str(caught.value)
    assert "0.125" in str(caught.value) or "3 in it and 4 in config.json" in str(caught.value)
    assert other.latest == 1  # nothing was removed


def test_the_best_agent_is_kept_apart(tmp_path):
    state, better = train(4, 0, 0)[0], train(4, 5, 0)[0]
    checkpoint.write_config(tmp_path, config(), seeds=4)
    with Checkpoints(tmp_path) as saved:
        assert saved.best is None
        saved.save_best(1, state.learned, 0.5)
        saved.save_best(3, better.learned, 2.25)
        assert saved.best == (3, 2.25)
        saved.save(4, state, [])
    assert [path.name for path in (tmp_path / "best").iterdir()] == ["3"]
    assert_same(
        checkpoint.load_learned(tmp_path, 1, setup(), best=True), one_seed(better.learned, 1)
    )
    assert_same(checkpoint.load_learned(tmp_path, 1, setup()), one_seed(state.learned, 1))


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
        checkpoint.load_learned(tmp_path / "absent", 0, setup())


def test_no_checkpoint_yet(tmp_path):
    checkpoint.write_config(tmp_path, config(), seeds=1)
    with pytest.raises(FileNotFoundError, match="no checkpoint yet"):
        checkpoint.load_learned(tmp_path, 0, setup())
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(FileNotFoundError, match="no checkpoint yet"):
        checkpoint.load_learned(tmp_path, 0, setup())


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
    "a tower of brackets": "[" * 100_000,
    "a number too long": '{"schema_version": ' + "9" * 5_000 + "}",
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


def test_nothing_is_unpickled():
    for module in (checkpoint, sealed, array_files, run_folder, agent_file, legacy_arrays):
        source = Path(module.__file__).read_text()
        assert "import pickle" not in source
        assert "eval(" not in source
