"""Run folders from before there was one array store still open, as far as agents go."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny import assert_same, quick_compile

import structlat_jax as sl
from structlat_jax.store import array_files, checkpoint
from structlat_jax.store.checkpoint import CheckpointError, Checkpoints

DATA = Path(__file__).parents[1] / "data"
RUN = DATA / "legacy_run"
ROOT = Path(sl.__file__).resolve().parents[1]
SEEDS = 2


@pytest.fixture(scope="module")
def expected():
    """What the program that wrote the run reads, ``[S, ...]`` by name; ``last`` and ``best``."""
    with np.load(DATA / "legacy_params.npz") as found:
        return {name: found[name] for name in found.files}


def part_of(expected, which, seed, *networks):
    """The expected parameters of a seed by the names of then, of some networks or all."""
    mine = {}
    for name, array in expected.items():
        kind, network, rest = name.split(".", 2)
        if kind == which and (not networks or network in networks):
            mine[f"{network}.{rest}"] = array[seed]
    return mine


def nested(flat, **renamed):
    """A tree whose leaves have these names."""
    tree = {}
    for name, array in flat.items():
        first, _, rest = name.partition(".")
        tree.setdefault(renamed.get(first, first), {})[rest] = array
    return tree


def load(run, seed, **more):
    """What a seed has learned, as it is stored."""
    config, _ = checkpoint.read_config(run)
    return checkpoint.saved(checkpoint.load_learned(run, seed, sl.make_setup(config), **more))


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("which", ["last", "best"])
def test_parameters_are_read(expected, which, seed):
    params = load(RUN, seed, best=which == "best")
    then = {
        name.replace("inference.", "world."): array
        for name, array in array_files.named(params).items()
    }
    assert_same(then, part_of(expected, which, seed))


@pytest.mark.parametrize("name", ["world", "inference"])
def test_the_world_model_has_another_place_now(expected, name):
    like = nested(part_of(expected, "last", 1), world=name)
    assert_same(read_params(like, 1), like)


def read_params(like, seed, step=4, kind="checkpoint"):
    """The parameters of a seed, as much of them as ``like`` has."""
    wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct((SEEDS, *x.shape), x.dtype), like)
    found = array_files.read(RUN / kind / str(step), "params", wanted, parts=True)
    return jax.tree.map(lambda x: x[seed], found)


def test_a_world_model_that_nobody_wants_is_left_out(expected):
    rest = nested(part_of(expected, "last", 0, "encoder", "q", "v", "target_v", "policy"))
    folder = RUN / "checkpoint" / "4"
    wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct((SEEDS, *x.shape), x.dtype), rest)
    found = array_files.read(folder, "params", wanted)
    assert_same(jax.tree.map(lambda x: x[0], found), rest)


def test_some_networks(expected):
    like = nested(part_of(expected, "best", 1, "policy", "encoder"))
    assert_same(read_params(like, 1, 2, "best"), like)


def test_an_agent_acts():
    with quick_compile():
        agent = sl.load(RUN, seed=1)
        action = agent.act(np.zeros(2), agent.sample_z(agent.prior(), jax.random.key(0)))
    assert np.all(np.abs(action) < 1.0)


def test_other_shapes_are_refused(expected):
    like = nested(part_of(expected, "last", 0))
    like["policy"] = {name: array[None] for name, array in like["policy"].items()}
    with pytest.raises(CheckpointError, match="other shapes"):
        read_params(like, 0)


def test_damage_is_noticed(tmp_path):
    run = shutil.copytree(RUN, tmp_path / "run")
    path = run / "checkpoint" / "4" / "arrays" / "params" / "_METADATA"
    path.write_text(path.read_text().replace("encoder", "decoder"))
    with pytest.raises(CheckpointError, match="_METADATA is not as it was written"):
        load(run, 0)


def test_training_cannot_go_on(tmp_path):
    """The arrays of the state are left out of the test's data, so the refusal is tried directly."""
    (tmp_path / "arrays" / "state").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"earlier version .* training cannot go on"):
        array_files.read(tmp_path, "state", {})


def test_without_orbax_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    with pytest.raises(CheckpointError, match="install orbax-checkpoint") as caught:
        load(RUN, 0)
    assert str(caught.value).endswith(".")


def test_a_path_that_looks_like_a_pattern(tmp_path):
    run = shutil.copytree(RUN, tmp_path / "run[lr=0.001]")
    assert_same(load(run, 0), load(RUN, 0))


WITHOUT = """
import sys
for name in ("orbax", "filelock"):
    sys.modules[name] = None
from pathlib import Path
import numpy as np
from structlat_jax.store import agent_file, array_files, checkpoint
from typing import NamedTuple
from structlat_jax.inference.base import Learned
class Weights(NamedTuple):
    w: np.ndarray
out, learned = Path(sys.argv[1]), Learned(Weights(np.ones(3)), {})
with checkpoint.Checkpoints(out) as saved:
    saved.save_params(1, learned)
    saved.save_best(1, learned, 0.5)
found = array_files.read(out / "checkpoint" / "1", "params", checkpoint.saved(learned))
assert found["w"].tolist() == [1.0, 1.0, 1.0]
"""


def test_checkpoints_need_neither_orbax_nor_a_lock(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / "run[lr=0.001]")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_new_checkpoint_beside_old_ones(tmp_path, expected):
    run = shutil.copytree(RUN, tmp_path / "run")
    setup = sl.make_setup(checkpoint.read_config(run)[0])
    one = checkpoint.load_learned(run, 0, setup, best=True)
    both = jax.tree.map(lambda x: np.stack([x + 1, x]), one)
    with Checkpoints(run) as saved:
        saved.save_params(5, both)
    assert_same(checkpoint.load_learned(run, 1, setup), one)
