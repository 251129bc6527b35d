"""An agent as an object: batches of beliefs, refusals, pickles, equality, compiling ahead."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import assert_same, config, one_seed, setup, train

import structlat_jax as sl
from structlat_jax import agent_steps
from structlat_jax.agent import make_agent
from structlat_jax.inference.base import Learned
from structlat_jax.shapes import make_key
from structlat_jax.store.checkpoint import Checkpoints, write_config
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import make_setup


@pytest.fixture(scope="module")
def agent():
    return make_agent(setup(), jax.device_get(one_seed(train(1, 2, 2)[0].learned)))


def robots(count):
    """One transition of each of several robots, ``[count]``."""
    x = jnp.linspace(-0.5, 0.5, count)
    return sl.Transition(x[:, None], -x[:, None], x, x, 2 * x[:, None], 0 * x)


def of(tree, i):
    return jax.tree.map(lambda x: x[i], tree)


def test_a_batch_of_beliefs_is_as_many_tasks(agent):
    seen, key = robots(3), jax.random.key(5)
    prior = jax.tree.map(lambda x: jnp.stack([x] * 3), agent.prior())
    beliefs = agent.update(prior, seen)
    ways = {
        "sample_z": (agent.sample_z(beliefs, key), lambda b, o, k: agent.sample_z(b, k)),
        "greedy_z": (agent.greedy_z(beliefs, seen.obs, key), agent.greedy_z),
        "mean_z": (agent.mean_z(beliefs), lambda b, o, k: agent.mean_z(b)),
        "kl": (agent.kl(beliefs), lambda b, o, k: agent.kl(b)),
    }
    for i, own in enumerate(jax.random.split(key, 3)):
        alone = agent.update(agent.prior(), of(seen, i))
        for one, its in zip(jax.tree.leaves(of(beliefs, i)), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(one, its, rtol=1e-4, atol=1e-5)
        for name, (found, way) in ways.items():
            expected = way(alone, seen.obs[i], own)
            np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-4, err_msg=name)


def test_batches_that_do_not_fit_are_refused(agent):
    prior, seen = agent.prior(), robots(3)
    batch = jax.tree.map(lambda x: jnp.stack([x] * 3), prior)
    with pytest.raises(ValueError, match=r"obs must have shape \[1\], not \[3, 1\]"):
        agent.update(prior, seen)
    with pytest.raises(ValueError, match=r"obs must have shape \[3, 1\] for beliefs \[3\]"):
        agent.update(batch, of(seen, 0))
    with pytest.raises(ValueError, match=r"reward must have shape \[\], not \[1\]"):
        agent.update(prior, of(seen, 0)._replace(reward=np.ones(1)))


@pytest.mark.parametrize("field", ["obs", "action", "reward", "done"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_does_not_enter_a_belief(agent, field, value):
    one = of(robots(2), 0)
    sick = one._replace(**{field: jnp.full_like(getattr(one, field), value)})
    with pytest.raises(ValueError, match=rf"transition.{field} must be finite, not"):
        agent.update(agent.prior(), sick)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder on a built-in environment, whose best parameters are others than its last."""
    folder = tmp_path_factory.mktemp("run")
    made = make_setup(config())
    write_config(folder, config(), seeds=1)
    with Checkpoints(folder) as saved:
        for seed, save in ((0, saved.save_params), (1, lambda *x: saved.save_best(*x, 1.0))):
            learned = Learned(*init_params(made, make_key(seed)))
            save(2, jax.tree.map(lambda x: x[None], learned))
    return folder


def test_two_loads_are_equal_and_a_pickle_is_a_third(run):
    one, other, best = sl.load(run), sl.load(run), sl.load(run, best=True)
    assert one == other
    assert hash(one) == hash(other)
    assert one != best
    assert len({one, other, best}) == 2
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert_same(again.start, one.start)
    assert len(repr(one)) < 150
    assert "point_robot" in repr(one)


def test_a_file_has_no_best(run, tmp_path):
    path = sl.load(run, best=True).save(tmp_path / "agent.safetensors")
    with pytest.raises(ValueError, match="best must be False"):
        sl.load(path, best=True)


def test_an_agent_of_a_nameless_environment_is_not_pickled(agent):
    with pytest.raises(pickle.PicklingError, match="whose environment has a name"):
        pickle.dumps(agent)


def test_nothing_is_compiled_after_warming_up(agent):
    assert agent.warm_up() is agent
    ways = ("init", "update", "sample_z", "greedy_z", "act", "summarise")
    before = [getattr(agent_steps, name)._cache_size() for name in ways]
    belief, obs, key = agent.prior(np.zeros(1)), np.full(1, 0.5, np.float32), jax.random.key(1)
    z = agent.sample_z(belief, key)
    for action in (agent.act(obs, z), agent.act(obs, z, key)):
        belief = agent.update(belief, sl.Transition(obs, action, 0.5, 0.0, obs, False))
    agent.act(obs, agent.greedy_z(belief, obs, key))
    agent.mean_z(belief)
    assert [getattr(agent_steps, name)._cache_size() for name in ways] == before


def test_no_key_of_its_own_is_used_twice(agent):
    with jax.debug_key_reuse(True):
        agent.warm_up()
        z = agent.greedy_z(agent.prior(), jnp.zeros(1), jax.random.key(7))
    assert z.shape == (agent.space.dim,)


@pytest.mark.slow
def test_whoever_debugs_may_act_without_compiling(agent):
    z, seen = agent.sample_z(agent.prior(), jax.random.key(0)), of(robots(1), 0)
    expected = agent.act(seen.obs, z), agent.mean_z(agent.update(agent.prior(), seen))
    with jax.disable_jit():
        found = agent.act(seen.obs, z), agent.mean_z(agent.update(agent.prior(), seen))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
