"""A loaded agent, against the run it comes from and batch inference."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import HORIZON, assert_same, config, informed, line, one_seed, setup, train

import structlat_jax as sl
from structlat_jax import checkpoint
from structlat_jax.checkpoint import Checkpoints
from structlat_jax.inference import hypotheses, world_model
from structlat_jax.inference.additive import context_features, infer

SEEDS = 4
STEPS = 6
COUNT = config().structure.hypotheses


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of a tiny configuration, and the parameters that were saved there."""
    folder = tmp_path_factory.mktemp("run")
    state, _ = train(SEEDS, 0, 2)
    checkpoint.write_config(folder, config(), seeds=SEEDS)
    with Checkpoints(folder) as saved:
        saved.save(2, state, [])
    return folder, state.params


@pytest.fixture(scope="module")
def agent(run):
    """The agent of seed 2; it acts on the line, whose widths are not the point robot's."""
    return load(run[0], seed=2)


@pytest.fixture(scope="module")
def by_encoder(agent):
    """The same, but z comes from the encoder's posterior."""
    none = {"hypotheses": jnp.zeros((0, setup().space.dim)), "outcomes": jnp.zeros((0, 1))}
    return dataclasses.replace(agent, **none)


def load(folder, seed):
    config_, params = checkpoint.load_params(folder, seed)
    own = setup()
    drawn = own.space.sample_prior(jax.random.key(9), (COUNT,))
    outcomes = world_model.outcome(own.networks, params, jnp.zeros(1), drawn, HORIZON)
    return sl.Agent(config_, own.space, own.networks, params, drawn, outcomes, HORIZON)


@pytest.fixture(scope="module")
def steps():
    """Transitions ``[N]`` on the line, some with a reward."""
    rng = np.random.default_rng(0)
    obs = jnp.asarray(rng.uniform(-1, 1, (STEPS, 1)), jnp.float32)
    action = jnp.asarray(rng.uniform(-1, 1, (STEPS, 1)), jnp.float32)
    out = jax.vmap(line().step, in_axes=(0, 0, None))(obs, action, jnp.float32(1.0))
    return sl.Transition(obs, action, out.reward, out.train_reward, out.obs, out.done)


def stream(agent, steps, order):
    belief = agent.prior()
    for i in order:
        belief = agent.update(belief, jax.tree.map(lambda x, i=i: x[i], steps))
    return belief


def test_each_seed_has_its_own_parameters(run):
    folder, params = run
    for seed in range(SEEDS):
        assert_same(load(folder, seed).params, one_seed(params, seed))


@pytest.mark.parametrize(("inference", "count"), [("hypotheses", 256), ("amortised", 0)])
def test_load_needs_nothing_but_the_folder(tmp_path, inference, count):
    """`sl.load` builds the point robot's networks, whose parameters these are."""
    own = sl.make_setup(config(inference=inference, hypotheses=256))
    state = jax.eval_shape(lambda key: sl.init(own, key), jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(size=(1, *x.shape)).astype(x.dtype), state.params)
    checkpoint.write_config(tmp_path, own.config, seeds=1)
    with Checkpoints(tmp_path) as saved:
        saved.save(1, state._replace(params=params, key=jax.random.key(0), **BARE), [])
    for path in (tmp_path, str(tmp_path)):
        agent = sl.load(path)
        assert_same(agent.params, one_seed(params))
        assert agent.config == own.config
        assert (agent.params.world == {}) == (inference == "amortised")
        assert agent.hypotheses.shape == (count, own.space.dim)
        assert agent.outcomes.shape == (count, 2)
        for name in ("hypotheses", "outcomes"):
            np.testing.assert_array_equal(getattr(agent, name), getattr(sl.load(path), name))
        if count:
            assert_from_the_prior(np.asarray(agent.hypotheses))
            assert_where_they_lead(agent, own.env)
        z = agent.sample_z(agent.prior(), jax.random.key(0))
        action = agent.act(jnp.zeros(2), z)
        assert action.shape == (2,)
        belief = agent.update(agent.prior(), sl.Transition(z[:2], action, 1.0, 0.0, z[:2], 0.0))
        assert belief.log_weights.shape == (count,)


NOTHING = ("optimisers", "world_moments", "replay", "train_tasks", "test_tasks")
BARE = {**dict.fromkeys(NOTHING, ()), "updates": np.zeros(1)}


def assert_where_they_lead(agent, env):
    """Of each hypothesis by itself, from the origin, where an episode of the point robot starts."""
    z = agent.hypotheses[::50]
    advance = jax.jit(
        jax.vmap(lambda x, z: agent.networks.next_obs(agent.params.world, x, agent.act(x, z)))
    )
    obs = jnp.zeros((len(z), 2))
    for _ in range(env.horizon):
        obs = advance(obs, z)
    np.testing.assert_allclose(agent.outcomes[::50], obs, rtol=1e-3, atol=1e-3)
    assert len(np.unique(np.asarray(obs).round(2))) > 6


def test_prior_has_seen_nothing(agent):
    belief = agent.prior()
    assert int(belief.steps) == 0
    np.testing.assert_array_equal(belief.log_weights, np.zeros(COUNT))
    categorical, gaussian = agent.distribution(belief)
    np.testing.assert_allclose(jnp.exp(categorical.logits), 1 / 3, rtol=1e-6)
    assert (float(gaussian.mean[0]), float(gaussian.variance[0])) == (0.0, 1.0)


def test_streaming_equals_batch_inference(agent, steps):
    belief = stream(agent, steps, range(STEPS))
    features = context_features(steps, agent.config.hyper.context_reward_scale, False)
    batch = infer(agent.networks, agent.space, agent.params.encoder, features)
    assert int(belief.steps) == STEPS
    for one, other in zip(
        jax.tree.leaves(agent.distribution(belief)), jax.tree.leaves(batch), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_streaming_equals_weighing_whole_episodes(agent, steps):
    belief = stream(agent, steps, range(STEPS))
    expected = hypotheses.Hypotheses(agent.hypotheses, agent.outcomes, jnp.zeros(COUNT))
    for part in (slice(0, 4), slice(4, None)):
        episode = jax.tree.map(lambda x, part=part: x[part], steps)
        weight = jnp.float32(agent.config.hyper.evidence_weight)
        expected = hypotheses.update(agent.networks, agent.params, expected, episode, weight)
    np.testing.assert_allclose(belief.log_weights, expected.log_weights, rtol=1e-4, atol=1e-4)
    assert np.ptp(expected.log_weights) > 0.02


def test_reward_matters_and_training_reward_does_not(agent, steps):
    belief = stream(agent, steps, range(STEPS))
    shaped = stream(agent, steps._replace(train_reward=steps.train_reward * jnp.nan), range(STEPS))
    silent = stream(agent, steps._replace(reward=0 * steps.reward), range(STEPS))
    for name in ("total", "log_weights"):
        np.testing.assert_array_equal(getattr(belief, name), getattr(shaped, name))
        assert not np.allclose(getattr(belief, name), getattr(silent, name))


@pytest.mark.parametrize("seed", range(3))
def test_order_does_not_matter(agent, steps, seed):
    order = np.random.default_rng(seed).permutation(STEPS)
    ours, other = stream(agent, steps, order), stream(agent, steps, range(STEPS))
    for name in ("total", "log_weights"):
        one, same = getattr(ours, name), getattr(other, name)
        np.testing.assert_allclose(one, same, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weights", [np.ones(COUNT), np.arange(COUNT)], ids=["prior", "other"])
def test_draws_follow_the_weights(agent, weights):
    belief = agent.prior()
    if np.ptp(weights):
        belief = dataclasses.replace(belief, log_weights=jnp.log(weights.astype(np.float32)))
    draws = np.stack([agent.sample_z(belief, key) for key in keys(400)])
    same = np.all(draws[:, None] == np.asarray(agent.hypotheses), axis=-1)
    np.testing.assert_array_equal(same.sum(axis=1), 1)
    np.testing.assert_allclose(same.mean(axis=0), weights / weights.sum(), atol=0.06)


@pytest.mark.parametrize("goal", [1.0, -1.0])
def test_a_silent_walk_rules_its_side_out(agent, goal):
    """With an exact world model, where it matters that nothing was paid: the last number of each
    hypothesis is where it leads."""
    outcomes = agent.hypotheses[:, -1:]
    told = dataclasses.replace(agent, networks=informed(setup()).networks, outcomes=outcomes)
    obs = -goal * jnp.array([[0.0], [0.5], [1.0]])
    action = -goal * jnp.ones((3, 1))
    out = jax.vmap(line().step, in_axes=(0, 0, None))(obs, action, jnp.float32(goal))
    assert not np.any(np.asarray(out.reward))
    walk = sl.Transition(obs, action, out.reward, out.train_reward, out.obs, out.done)
    belief = stream(told, walk, range(3))
    draws = np.stack([told.sample_z(belief, key) for key in keys(50)])
    assert np.all(np.sign(draws[:, -1]) == goal)
    assert len(np.unique(draws[:, -1])) > 3  # and nothing else


def test_the_greedy_hypothesis_is_that_of_the_evaluation(agent, steps):
    belief = stream(agent, steps, range(STEPS))
    weighed = hypotheses.Hypotheses(agent.hypotheses, agent.outcomes, 50.0 * belief.log_weights)
    belief = dataclasses.replace(belief, log_weights=weighed.log_weights)
    obs, made = np.array([0.2], np.float32), (agent.networks, agent.params)
    for key in keys(3):
        expected = hypotheses.greedy(*made, weighed, obs, HORIZON, key)
        np.testing.assert_array_equal(agent.greedy_z(belief, obs, key), expected)


def test_no_greedy_hypothesis_without_hypotheses(agent, by_encoder):
    with pytest.raises(ValueError, match="no hypotheses"):
        by_encoder.greedy_z(by_encoder.prior(), jnp.zeros(1), jax.random.key(0))
    with pytest.raises(ValueError, match=r"obs must have shape \[1\], not \[2, 1\]"):
        agent.greedy_z(agent.prior(), jnp.zeros((2, 1)), jax.random.key(0))


def assert_from_the_prior(draws):
    assert draws.shape[1:] == (4,)
    assert np.all(np.sort(draws[:, :3], axis=1) == [0, 0, 1])
    np.testing.assert_allclose(draws[:, :3].mean(axis=0), 1 / 3, atol=0.12)
    assert abs(draws[:, 3].std() - 1.0) < 0.15


def test_prior_draws_where_nothing_was_seen(by_encoder):
    belief = by_encoder.prior()
    assert_from_the_prior(np.stack([by_encoder.sample_z(belief, key) for key in keys(200)]))


def keys(n):
    return jax.random.split(jax.random.key(0), n)


def test_draws_follow_the_encoders_posterior(by_encoder, steps):
    agent = by_encoder
    belief = stream(agent, steps, range(STEPS))
    _, gaussian = agent.distribution(belief)
    draws = np.stack([agent.sample_z(belief, key)[3] for key in keys(200)])
    std = float(gaussian.variance[0]) ** 0.5
    assert std < 0.99
    assert abs(draws.mean() - float(gaussian.mean[0])) < 4 * std / 200**0.5
    assert draws.std() == pytest.approx(std, rel=0.2)


def test_act(agent):
    z = agent.sample_z(agent.prior(), jax.random.key(1))
    obs = jnp.array([0.3])
    mode = agent.act(obs, z)
    mean, _ = agent.networks.policy(agent.params.policy, obs, z)
    np.testing.assert_allclose(mode, jnp.tanh(mean), rtol=1e-5)
    np.testing.assert_array_equal(agent.act(obs, z), mode)
    one, same, other = (agent.act(obs, z, jax.random.key(k)) for k in (2, 2, 3))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.all(np.abs(one) < 1)
    assert not np.array_equal(one, mode)


def test_act_broadcasts_z_over_observations(agent):
    z = agent.sample_z(agent.prior(), jax.random.key(1))
    obs = jnp.linspace(-1, 1, 6).reshape(2, 3, 1)
    actions = agent.act(obs, z)
    assert actions.shape == (2, 3, 1)
    for i in range(2):
        for j in range(3):
            np.testing.assert_allclose(actions[i, j], agent.act(obs[i, j], z), rtol=1e-5)


def test_numpy_and_plain_numbers_will_do(agent):
    one = np.full(1, 0.5, np.float32)
    assert agent.act([0.5], np.zeros(4, np.float32)).shape == (1,)
    transition = sl.Transition(one, one, 1.0, 0.0, one, 0.0)
    as_arrays = jax.tree.map(jnp.asarray, transition)
    beliefs = [agent.update(agent.prior(), t) for t in (transition, as_arrays)]
    assert_same(*beliefs)
    assert int(beliefs[0].steps) == 1


def test_wrong_widths(agent, steps):
    with pytest.raises(ValueError, match=r"obs must have shape \[..., 1\]"):
        agent.act(jnp.zeros(2), jnp.zeros(4))
    with pytest.raises(ValueError, match=r"z must have shape \[..., 4\]"):
        agent.act(jnp.zeros(1), jnp.zeros(3))
    one = jax.tree.map(lambda x: x[0], steps)
    for name in ("obs", "action"):
        with pytest.raises(ValueError, match=rf"transition.{name} must have shape"):
            agent.update(agent.prior(), one._replace(**{name: jnp.zeros(3)}))


@pytest.mark.parametrize("seed", [-1, SEEDS, 100])
def test_wrong_seed(run, seed):
    with pytest.raises(ValueError, match="seed must be from 0 to"):
        sl.load(run[0], seed=seed)


def test_wrong_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        sl.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        sl.load(tmp_path / "absent")
