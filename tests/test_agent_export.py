"""Exported agents do the same where there is jax alone, and nothing of this package."""

import json
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest
from tiny import one_seed, setup, train

import structlat_jax as sl
from structlat_jax.agent import make_agent

N = 3
READER = """
import sys
import zipfile

import jax
import numpy as np

with zipfile.ZipFile("agent.zip") as file:
    act, prior, sample, update = (
        jax.jit(jax.export.deserialize(bytearray(file.read(name))).call)
        for name in ("act", "prior", "sample", "update")
    )
given = np.load("given.npz")
belief = prior(given["obs"])
first = sample(belief, given["seed"])
seen = [given[name] for name in ("obs", "action", "reward", "next_obs", "done")]
for _ in range(2):
    belief = update(belief, *seen)
z = sample(belief, given["seed"])
np.savez("found.npz", first=first, z=z, action=act(given["obs"], z))
assert not {name.partition(".")[0] for name in sys.modules} & set(sys.argv[1:])
"""
pytest.importorskip("flatbuffers")
OTHERS = ["structlat_jax", "flax", "optax", "distrax", "safetensors", "matplotlib"]


@pytest.fixture(scope="module", params=["hypotheses", "amortised"])
def agent(request):
    learned = jax.device_get(one_seed(train(1, 2, 2)[0].learned))
    if request.param == "amortised":
        learned = learned._replace(inference={})
    return make_agent(setup(inference=request.param), learned)


def transitions():
    x = np.linspace(-0.5, 0.5, N, dtype=np.float32)
    wide = x[:, None]
    return {
        **{"obs": wide, "action": -wide, "reward": x, "next_obs": 2 * wide, "done": 0 * x},
        "seed": np.arange(5, 5 + N, dtype=np.uint32),
    }


@pytest.mark.slow
def test_a_bare_process_acts_alike(agent, tmp_path):
    """It is given the file, jax and NumPy, and finds neither this package nor what it uses."""
    given = transitions()
    agent.export(tmp_path / "agent.zip")
    np.savez(tmp_path / "given.npz", **given)
    command = [sys.executable, "-c", READER, *OTHERS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npz")
    for i, seed in enumerate(given["seed"]):
        key, obs = jax.random.key(seed), given["obs"][i]
        belief = agent.prior(obs)
        first = agent.sample_z(belief, key)
        np.testing.assert_allclose(found["first"][i], first, rtol=1e-5, atol=1e-6)
        one = {name: given[name][i] for name in ("obs", "action", "reward", "next_obs", "done")}
        for _ in range(2):
            belief = agent.update(belief, sl.Transition(**one, train_reward=0.0))
        z = agent.sample_z(belief, key)
        np.testing.assert_allclose(found["z"][i], z, rtol=1e-5, atol=1e-6)
        action = agent.act(obs, z)
        np.testing.assert_allclose(found["action"][i], action, rtol=1e-5, atol=1e-6)


def test_the_file_says_what_it_is_and_is_the_same_again(agent, tmp_path):
    one, other = (agent.export(tmp_path / name) for name in ("one.zip", "other.zip"))
    assert one.read_bytes() == other.read_bytes()
    with zipfile.ZipFile(one) as file:
        about = json.loads(file.read("about.json"))
        assert set(file.namelist()) == {"about.json", "act", "prior", "sample", "update"}
    assert (about["obs_dim"], about["action_dim"], about["dim"]) == (1, 1, agent.space.dim)
    assert about["latent"] == str(agent.space)
    assert about["platforms"] == ["cpu"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.zip", "other.zip"]


def test_without_its_format_it_says_what_to_install(agent, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'structlat-jax\[export\]'"):
        agent.export(tmp_path / "agent.zip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("platforms", [(), ("gpu",)])
def test_other_platforms_are_refused(agent, tmp_path, platforms):
    with pytest.raises(ValueError, match="platforms must be some of cpu, cuda, rocm, tpu, not"):
        agent.export(tmp_path / "agent.zip", platforms)
    assert list(tmp_path.iterdir()) == []
