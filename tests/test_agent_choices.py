"""Agents whose actions are choices: one-hot vectors, alone, in files, and exported."""

import json
import zipfile

import choices
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import assert_same, quick_compile

import structlat_jax as sl
from structlat_jax.agent import make_agent
from structlat_jax.inference.base import Learned
from structlat_jax.train.learn import init_params


@pytest.fixture(scope="module")
def agent():
    own = choices.setup("chain")
    with quick_compile():
        learned = Learned(*jax.jit(lambda key: init_params(own, key))(jax.random.key(1)))
        return make_agent(own, jax.device_get(learned))


def z_of(agent):
    return agent.sample_z(agent.prior(), jax.random.key(0))


def test_an_action_is_the_likeliest_choice_or_a_draw(agent):
    obs, z = jnp.linspace(-1, 1, 300)[:, None], z_of(agent)
    logits = np.asarray(agent.setup.networks.policy(agent.learned.agent.policy, obs, z))
    np.testing.assert_array_equal(agent.act(obs, z), np.eye(3)[logits.argmax(axis=-1)])
    drawn = np.asarray(agent.act(obs, z, jax.random.key(1)))
    np.testing.assert_array_equal(drawn.sum(axis=-1), 1.0)
    chances = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(drawn.mean(axis=0), chances.mean(axis=0), atol=0.1)


def test_a_belief_learns_from_one_hot_actions(agent):
    obs = jnp.zeros(1)
    seen = sl.Transition(obs, agent.act(obs, z_of(agent)), 1.0, 0.0, obs, 0.0)
    assert int(agent.update(agent.prior(), seen).steps) == 1
    with pytest.raises(ValueError, match=r"transition.action must have shape \[3\], not \[\]"):
        agent.update(agent.prior(), seen._replace(action=jnp.int32(1)))


def test_a_file_holds_the_same_agent(agent, tmp_path):
    again = sl.load(agent.save(tmp_path / "agent.safetensors"), env=agent.env)
    assert_same(again.learned, agent.learned)
    obs, z = jnp.array([0.5]), z_of(agent)
    np.testing.assert_array_equal(again.act(obs, z), agent.act(obs, z))


def test_an_exported_agent_makes_the_same_choice(agent, tmp_path):
    pytest.importorskip("flatbuffers")
    path = agent.export(tmp_path / "agent.zip")
    with zipfile.ZipFile(path) as file:
        assert json.loads(file.read("about.json"))["discrete"] is True
        act = jax.jit(jax.export.deserialize(bytearray(file.read("act"))).call)
    obs, z = jnp.linspace(-1, 1, 5)[:, None], jnp.broadcast_to(z_of(agent), (5, 4))
    np.testing.assert_array_equal(act(obs, z), agent.act(obs, z))
