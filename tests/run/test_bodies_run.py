"""Runs on bodies, whose steps are calls of the host: bit-equal as any; their agents call nobody."""

import jax
import numpy as np
import pytest
from folders import assert_same_run
from program import start

pytest.importorskip("mujoco")
pytest.importorskip("gymnasium")

from tiny import assert_same, quick_compile

import structlat_jax as sl
from structlat_jax.config import preset

SMALL = {
    "latent": "gau:2",
    "width": 4,
    "depth": 1,
    "encoder_width": 4,
    "encoder_depth": 1,
    "train_tasks": 3,
    "test_tasks": 2,
    "meta_batch": 2,
    "batch_size": 4,
    "updates_per_step": 2,
    "replay_steps": 30,
    "replay_precision": "float16",
    "targets": "twin",
    "entropy_control": "learned",
    "obs_norm": True,
    "eval_episodes": 3,
    "eval_repeats": 1,
}
"""Every option beside the others that locomotion may ask for."""

HALF, WHOLE = 4, 8
FIXED = {"seeds": 2, "seed": 3, "evals": 1, "checkpoint_seconds": 0}


def config_and_env():
    env = sl.envs.make("hopper_body_mix", horizon=4, split="compositional")
    return preset(None, env)[0].replace(env=env.spec, **SMALL), env


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run that was trained on, one that was not, and their folders."""
    config, env = config_and_env()
    folder = tmp_path_factory.mktemp("bodies")
    with quick_compile():
        sl.train(config, env, **FIXED, updates=HALF, out=folder / "half")
        again = sl.train(config, env, **FIXED, updates=WHOLE, out=folder / "half", resume=True)
        whole = sl.train(config, env, **{**FIXED, "evals": 2}, updates=WHOLE, out=folder / "whole")
    return again, whole, folder


@pytest.mark.slow
def test_a_run_resumes_to_the_bit(runs):
    again, whole, folder = runs
    assert_same_run(folder / "half", folder / "whole")
    assert_same(again.agent(1).learned, whole.agent(1).learned)
    assert "temperature" in again.metrics[0]
    assert "hopper_body_mix" in str(again.results["env"])


@pytest.mark.slow
def test_its_agents_are_programs_without_calls(runs, tmp_path):
    pytest.importorskip("flatbuffers")
    agent = runs[0].agent(0)
    again = sl.load(agent.save(tmp_path / "agent.safetensors"))
    obs, z = np.ones(11, np.float32), np.zeros(2, np.float32)
    np.testing.assert_array_equal(again.act(obs, z), agent.act(obs, z))
    assert agent.export(tmp_path / "agent.zip").stat().st_size > 0
    text = str(jax.make_jaxpr(agent.act)(obs, z))
    assert "callback" not in text
    assert agent.config.structure.targets == "twin"


@pytest.mark.slow
def test_two_devices_train_side_by_side(tmp_path):
    """One virtual device per core and seed: their calls take turns."""
    sizes = {
        name: value for name, value in SMALL.items() if name not in ("obs_norm", "train_tasks")
    }
    flags = [
        word for name, value in sizes.items() for word in (f"--{name.replace('_', '-')}", value)
    ]
    options = ["--env", "cheetah_dir", "--env-option", "horizon=4", "--obs-norm"]
    counts = ["--seeds", 2, "--updates", 4, "--evals", 1, "--out", tmp_path / "run"]
    done = start(*options, *flags, *counts, cwd=tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "run" / "results.json").exists()
    assert not (tmp_path / "MUJOCO_LOG.TXT").exists()
