"""Agents of run folders: whose parameters they have, and which environment they act in."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_agent import assert_from_the_prior, drawn, weighed
from tiny import assert_same, config, line, one_seed, setup

import structlat_jax as sl
from structlat_jax.envs import EnvError
from structlat_jax.envs.spec import spec
from structlat_jax.inference import world_model
from structlat_jax.store import checkpoint
from structlat_jax.store.checkpoint import Checkpoints

SEEDS = 4
NOTHING = ("moments", "inference_moments", "replay", "train_tasks", "test_tasks")


def write_run(folder, own, seeds):
    """A run folder whose parameters are random; returns what was learned there, ``[seeds]``."""
    state = jax.eval_shape(lambda key: sl.init(own, key), jax.random.key(0))
    rng = np.random.default_rng(0)
    random = lambda x: rng.normal(size=(seeds, *x.shape)).astype(x.dtype)  # noqa: E731
    learned = jax.tree.map(random, state.learned)
    kept = {"params": learned.agent, "inference_params": learned.inference}
    bare = dict.fromkeys(NOTHING, ()) | {"updates": np.zeros(seeds), "key": jax.random.key(0)}
    checkpoint.write_config(folder, own.config, seeds=seeds)
    with Checkpoints(folder) as saved:
        saved.save(1, state._replace(**kept, **bare), [])
    return learned


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder on the line, and what was saved there."""
    folder = tmp_path_factory.mktemp("run")
    return folder, write_run(folder, setup(), SEEDS)


def test_each_seed_has_its_own_parameters(run):
    folder, learned = run
    assert_same(sl.load(folder, seed=2, env=line()).learned, one_seed(learned, 2))
    for seed in range(SEEDS):
        assert_same(checkpoint.load_learned(folder, seed, setup()), one_seed(learned, seed))


@pytest.mark.parametrize(("inference", "count"), [("hypotheses", 256), ("amortised", 0)])
def test_load_needs_nothing_but_the_folder(tmp_path, inference, count):
    """`sl.load` builds the point robot's networks, whose parameters these are."""
    own = sl.make_setup(config(inference=inference, hypotheses=256))
    learned = write_run(tmp_path, own, 1)
    agent, same = (sl.load(path) for path in (tmp_path, str(tmp_path)))
    assert_same(agent.learned, one_seed(learned))
    assert (agent.config, agent.env.name) == (own.config, "point_robot")
    assert (agent.learned.inference == {}) == (inference == "amortised")
    assert_same(agent.start, same.start)
    z = agent.sample_z(agent.prior(), jax.random.key(0))
    action = agent.act(jnp.zeros(2), z)
    assert action.shape == (2,)
    belief = agent.update(agent.prior(), sl.Transition(z[:2], action, 1.0, 0.0, z[:2], 0.0))
    assert int(belief.steps) == 1
    if count:
        assert drawn(agent).z.shape == (count, own.space.dim)
        assert drawn(agent).reading.shape == (count, 2)
        assert_from_the_prior(np.asarray(drawn(agent).z))
        assert_where_they_lead(agent)
        assert np.ptp(weighed(belief)) > 0


def assert_where_they_lead(agent):
    """Of each hypothesis by itself, from the origin, where an episode of the point robot starts."""
    z = drawn(agent).z[::50]
    model = world_model.make(agent.config.structure.world_width, 2, 2)
    world = agent.learned.inference
    advance = jax.jit(jax.vmap(lambda x, z: model.next_obs(world, x, agent.act(x, z))))
    obs = jnp.zeros((len(z), 2))
    for _ in range(agent.env.horizon):
        obs = advance(obs, z)
    np.testing.assert_allclose(drawn(agent).reading[::50], obs, rtol=1e-3, atol=1e-3)
    assert len(np.unique(np.asarray(obs).round(2))) > 6


@pytest.mark.parametrize("seed", [-1, SEEDS, 100])
def test_wrong_seed(run, seed):
    with pytest.raises(ValueError, match="seed must be from 0 to"):
        sl.load(run[0], seed=seed, env=line())


def test_wrong_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        sl.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        sl.load(tmp_path / "absent")


def test_another_environment_than_that_of_training(run):
    """The folder says the point robot, whose networks are wider."""
    with pytest.raises(ValueError, match="other shapes than the configuration asks for"):
        sl.load(run[0])
    wide = dataclasses.replace(line(), name="wide", action_dim=2)
    with pytest.raises(EnvError, match="obs of step of wide must have shape"):
        sl.load(run[0], env=wide)


def test_the_widths_of_training_are_those_of_the_folder(tmp_path):
    """Where an environment of the same name has become another one."""
    known = dataclasses.replace(spec("point_robot"), title="point_robot", widths=(2, 2, 30))
    write_run(tmp_path, sl.make_setup(config().replace(env=spec("point_robot"))), 1)
    checkpoint.write_config(tmp_path, config().replace(env=known), seeds=1)
    with pytest.raises(EnvError, match="horizon is 30 there and 20 here"):
        sl.load(tmp_path)


def test_the_environment_of_a_run_is_known_by_its_name_and_options(tmp_path):
    made = config().replace(env=spec("point_robot", {"horizon": 3}), hypotheses=16)
    write_run(tmp_path, sl.make_setup(made), 1)
    assert sl.load(tmp_path).env.horizon == 3


def test_an_environment_that_is_code_is_not_run_unasked(tmp_path):
    checkpoint.write_config(tmp_path, config().replace(env=spec("m:make")), seeds=1)
    with pytest.raises(EnvError, match="not run unasked"):
        sl.load(tmp_path)
