"""Damaged checkpoints: noticed, passed over with a sentence, and never read as something else."""

import pickle
import shutil

import numpy as np
import pytest
from tiny import assert_same, config, one_seed, setup, train

from structlat_jax.store import array_files, checkpoint, sealed
from structlat_jax.store.checkpoint import CheckpointError, Checkpoints
from structlat_jax.store.run_folder import PARTIAL, WriteError


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A run folder with checkpoints 1 and 2, and the states in them."""
    run = tmp_path_factory.mktemp("original") / "run"
    run.mkdir()
    checkpoint.write_config(run, config(), seeds=1)
    states = {step: train(1, step, 0)[0] for step in (1, 2)}
    with Checkpoints(run) as saved:
        for step, state in states.items():
            saved.save(step, state, [{"step": step}])
    return run, states


@pytest.fixture
def run(original, tmp_path):
    """A copy, to be damaged."""
    return shutil.copytree(original[0], tmp_path / "run")


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def largest(folder):
    return max(files_of(folder), key=lambda path: path.stat().st_size)


def cut(folder):
    path = largest(folder)
    path.write_bytes(path.read_bytes()[:-1])


def empty(folder):
    largest(folder).write_bytes(b"")


def flip(folder):
    path = largest(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def lose(folder):
    largest(folder / "arrays").unlink()


def lose_arrays(folder):
    shutil.rmtree(folder / "arrays")


def lose_seal(folder):
    (folder / sealed.SEAL_FILE).unlink()


def break_seal(folder):
    path = folder / sealed.SEAL_FILE
    path.write_text(path.read_text().replace('"step": 2', '"step": 3'))


def tear_seal(folder):
    (folder / sealed.SEAL_FILE).write_text("{")


def change_history(folder):
    (folder / "history.json").write_text("[]")


def other_schema(folder):
    path = folder / sealed.SEAL_FILE
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2', 1))


DAMAGE = [cut, empty, flip, lose, lose_arrays, lose_seal, break_seal, tear_seal, other_schema]


@pytest.mark.parametrize("damage", [*DAMAGE, change_history], ids=lambda f: f.__name__)
def test_resuming_uses_the_checkpoint_before(original, run, damage):
    damage(run / "checkpoint" / "2")
    said = []
    with Checkpoints(run) as saved:
        state, history = saved.restore(original[1][2], said.append)
        assert (
            saved.latest == 1
        )  # the damaged one is gone, or it would be kept instead of a good one
    assert_same(state, original[1][1])
    assert history == [{"step": 1}]
    (sentence,) = said
    assert sentence.startswith(f"checkpoint 2 of {run} is damaged: ")
    assert sentence.endswith("checkpoint 1 is used.")


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda f: f.__name__)
def test_loading_uses_the_checkpoint_before(original, run, damage):
    """Or the parameters of the last one, if it is the rest of it that is damaged."""
    damage(run / "checkpoint" / "2")
    said = []
    params = checkpoint.load_learned(run, 0, setup(), tell=said.append)
    assert_same(params, one_seed(original[1][1 if said else 2].learned))
    assert bool(said) == (damage not in (cut, empty, flip, lose))
    assert (run / "checkpoint" / "2").exists()  # reading changes nothing


def test_damaged_parameters_are_noticed(original, run):
    path = run / "checkpoint" / "2" / "arrays" / "params.npz"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.warns(UserWarning, match="checkpoint 2 of .* is damaged"):
        params = checkpoint.load_learned(run, 0, setup())
    assert_same(params, one_seed(original[1][1].learned))


def test_all_damaged(original, run):
    for step in (1, 2):
        cut(run / "checkpoint" / str(step))
        lose_seal(run / "checkpoint" / str(step))
    before = files_of(run)
    with pytest.raises(
        CheckpointError, match="no checkpoint that can be used; 2 cannot: it has no"
    ):
        Checkpoints(run).restore(original[1][1])
    with pytest.raises(CheckpointError, match="no checkpoint that can be used"):
        checkpoint.load_learned(run, 0, setup())
    assert files_of(run) == before


def test_parameters_of_another_version(tmp_path):
    """As of runs from before there was a target network."""
    state = train(1, 0, 0)[0]
    checkpoint.write_config(tmp_path, config(), seeds=1)
    with Checkpoints(tmp_path) as saved:
        saved.save(1, state._replace(params=state.params._replace(target_v={})), [])
    for read in (
        lambda: Checkpoints(tmp_path).restore(state),
        lambda: checkpoint.load_learned(tmp_path, 0, setup()),
    ):
        with pytest.raises(CheckpointError, match=r"no array '.*target_v.*version") as caught:
            read()
        assert str(caught.value).endswith(".")


class Evil:
    """What a pickle of this does on loading would be seen as a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_garbage_is_never_executed(run, tmp_path):
    """Even under a seal that fits it."""
    mark = tmp_path / "executed"
    poison = pickle.dumps(Evil(mark))
    for step in ("1", "2"):
        folder = run / "checkpoint" / step

        def fill(partial, folder=folder):
            shutil.copytree(folder, partial, dirs_exist_ok=True)
            for path in files_of(partial):
                path.write_bytes(poison)

        sealed.write(folder, {"step": int(step), "run": {}}, fill)
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load_learned(run, 0, setup())
    assert not mark.exists()
    pickle.loads(poison).close()
    assert mark.exists()  # a pickle would have been seen


@pytest.mark.parametrize("seeds", [np.zeros(3), np.zeros((3, 2))])
def test_parameters_of_other_seeds_are_refused(run, seeds):
    path = run / "config.json"
    path.write_text(path.read_text().replace('"seeds": 1', f'"seeds": {seeds.size}'))
    with pytest.raises(CheckpointError, match="seeds"):
        checkpoint.load_learned(run, 0, setup())


def half_written(folder, **trees):
    (folder / "arrays").mkdir()
    (folder / "arrays" / "something.npz").write_text("half")
    raise OSError(28, "No space left on device")


def test_a_full_disk(original, run, monkeypatch):
    monkeypatch.setattr(array_files, "write", half_written)
    before = files_of(run)
    with Checkpoints(run) as saved, pytest.raises(WriteError) as caught:
        saved.save(3, original[1][1], [])
    assert "checkpoint/3 cannot be written: No space left on device." in str(caught.value)
    assert str(caught.value).endswith("Checkpoint 2 is intact; --resume continues from it.")
    assert files_of(run) == before
    assert not list(run.rglob(f"*{PARTIAL}"))


def test_what_a_killed_process_left_is_removed(original, run):
    shutil.copytree(run / "checkpoint" / "2", run / "checkpoint" / f"3{PARTIAL}")
    (run / f"results.json{PARTIAL}").write_text("{")
    with Checkpoints(run) as saved:
        assert saved.latest == 2
    assert not list(run.rglob(f"*{PARTIAL}"))
    (run / "checkpoint" / f"1{PARTIAL}").mkdir()  # as if the process ended while removing it
    (run / "checkpoint" / "thesis").mkdir()
    Checkpoints(run)
    assert sorted(path.name for path in (run / "checkpoint").iterdir()) == ["1", "2", "thesis"]
