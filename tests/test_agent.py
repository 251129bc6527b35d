"""An agent that adapts online, against batch inference."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import HORIZON, assert_same, config, informed, line, mode_of, one_seed, setup, train

import structlat_jax as sl
from structlat_jax.agent import make_agent
from structlat_jax.inference import hypotheses, world_model
from structlat_jax.inference.additive import context_features, infer

STEPS = 6
COUNT = setup().structure.hypotheses


@pytest.fixture(scope="module")
def agent():
    """One that was trained for two meta-steps."""
    return make_agent(setup(), jax.device_get(one_seed(train(1, 2, 2)[0].learned)))


@pytest.fixture(scope="module")
def by_encoder(agent):
    """The same networks, but z comes from the encoder's posterior."""
    own = setup(inference="amortised")
    return make_agent(own, agent.learned._replace(inference={}))


def drawn(agent):
    """The hypotheses that it starts from."""
    return agent.start.state.hypotheses


def weighed(belief):
    return belief.state.hypotheses.log_weights


def with_weights(belief, log_weights):
    changed = belief.state.hypotheses._replace(log_weights=log_weights)
    return dataclasses.replace(belief, state=belief.state._replace(hypotheses=changed))


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


def test_prior_has_seen_nothing(agent):
    belief = agent.prior()
    assert int(belief.steps) == 0
    np.testing.assert_array_equal(weighed(belief), np.zeros(COUNT))
    categorical, gaussian = posterior_of(agent, belief)
    np.testing.assert_allclose(jnp.exp(categorical.logits), 1 / 3, rtol=1e-6)
    assert (float(gaussian.mean[0]), float(gaussian.variance[0])) == (0.0, 1.0)
    np.testing.assert_allclose(agent.kl(belief), 0.0, atol=1e-6)
    np.testing.assert_allclose(agent.mean_z(belief), np.mean(drawn(agent).z, axis=0), atol=1e-6)


def posterior_of(agent, belief):
    """The encoder's."""
    return agent.space.posterior(belief.state.total)


def test_a_prior_may_start_from_the_observation_at_hand(agent, by_encoder):
    """The same hypotheses, with other destinations; the encoder's posterior needs none."""
    usual, other = agent.prior(), agent.prior(np.array([0.7], np.float32))
    assert_same(agent.prior(jnp.zeros(1)), usual)  # where episodes on the line start
    ours, its = (np.asarray(b.state.hypotheses.z) for b in (usual, other))
    np.testing.assert_array_equal(ours[np.argsort(ours[:, -1])], its[np.argsort(its[:, -1])])
    z, destination = (getattr(other.state.hypotheses, name) for name in ("z", "reading"))
    model = world_model.make(agent.config.structure.world_width, 1, 1)
    act = mode_of(agent.setup.networks, agent.learned.agent.policy)
    given = (model, agent.learned.inference, act, jnp.array([0.7]), z, HORIZON)
    np.testing.assert_allclose(
        destination, world_model.imagine(*given).destination, rtol=1e-4, atol=1e-5
    )
    assert np.min(np.abs(destination - usual.state.hypotheses.reading)) > 1e-3
    assert_same(by_encoder.prior(jnp.ones(1)), by_encoder.prior())
    with pytest.raises(ValueError, match=r"obs must have shape \[1\], not \[2\]"):
        agent.prior(jnp.zeros(2))


def test_streaming_equals_batch_inference(agent, steps):
    belief = stream(agent, steps, range(STEPS))
    features = context_features(steps, agent.config.hyper.context_reward_scale, False)
    encoder = agent.learned.agent.encoder
    batch = infer(agent.setup.networks, agent.space, encoder, features)
    assert int(belief.steps) == STEPS
    for one, other in zip(
        jax.tree.leaves(posterior_of(agent, belief)), jax.tree.leaves(batch), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(agent.kl(belief), agent.space.kl(batch), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_streaming_equals_weighing_whole_episodes(agent, steps):
    belief = stream(agent, steps, range(STEPS))
    model = world_model.make(agent.config.structure.world_width, 1, 1)
    made = (world_model.reader(model), agent.learned.inference)
    weight = jnp.float32(config().hyper.evidence_weight)
    expected = drawn(agent)
    for part in (slice(0, 4), slice(4, None)):
        episode = jax.tree.map(lambda x, part=part: x[part], steps)
        length = jnp.int32(episode.reward.size)
        expected = hypotheses.update(*made, expected, episode, length, weight)
    np.testing.assert_allclose(weighed(belief), expected.log_weights, rtol=1e-4, atol=1e-4)
    assert np.ptp(expected.log_weights) > 0.02
    np.testing.assert_allclose(agent.mean_z(belief), hypotheses.mean(expected), atol=1e-4)


def test_reward_matters_and_training_reward_does_not(agent, steps):
    belief = stream(agent, steps, range(STEPS))
    shaped = stream(agent, steps._replace(train_reward=steps.train_reward * jnp.nan), range(STEPS))
    silent = stream(agent, steps._replace(reward=0 * steps.reward), range(STEPS))
    for part in (weighed, lambda one: one.state.total):
        np.testing.assert_array_equal(part(belief), part(shaped))
        assert not np.allclose(part(belief), part(silent))


@pytest.mark.parametrize("seed", range(3))
def test_order_does_not_matter(agent, steps, seed):
    order = np.random.default_rng(seed).permutation(STEPS)
    ours, other = stream(agent, steps, order), stream(agent, steps, range(STEPS))
    for part in (weighed, lambda one: one.state.total):
        np.testing.assert_allclose(part(ours), part(other), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weights", [np.ones(COUNT), np.arange(COUNT)], ids=["prior", "other"])
def test_draws_follow_the_weights(agent, weights):
    belief = agent.prior()
    if np.ptp(weights):
        belief = with_weights(belief, jnp.log(weights.astype(np.float32)))
    draws = np.stack([agent.sample_z(belief, key) for key in keys(400)])
    same = np.all(draws[:, None] == np.asarray(drawn(agent).z), axis=-1)
    np.testing.assert_array_equal(same.sum(axis=1), 1)
    np.testing.assert_allclose(same.mean(axis=0), weights / weights.sum(), atol=0.06)


@pytest.mark.parametrize("goal", [1.0, -1.0])
def test_a_silent_walk_rules_its_side_out(agent, goal):
    """With an exact world model, where it matters that nothing was paid: the last number of each
    hypothesis is where it leads."""
    destination = drawn(agent).z[:, -1:]
    known = agent.start.state.hypotheses._replace(reading=destination)
    start = dataclasses.replace(agent.start, state=agent.start.state._replace(hypotheses=known))
    told = dataclasses.replace(agent, setup=informed(setup()), start=start)
    obs = -goal * jnp.array([[0.0], [0.5], [1.0]])
    action = -goal * jnp.ones((3, 1))
    out = jax.vmap(line().step, in_axes=(0, 0, None))(obs, action, jnp.float32(goal))
    assert not np.any(np.asarray(out.reward))
    walk = sl.Transition(obs, action, out.reward, out.train_reward, out.obs, out.done)
    belief = stream(told, walk, range(3))
    draws = np.stack([told.sample_z(belief, key) for key in keys(50)])
    assert np.all(np.sign(draws[:, -1]) == goal)
    assert len(np.unique(draws[:, -1])) > 3  # and nothing else


@pytest.mark.slow
def test_the_greedy_hypothesis_is_that_of_the_evaluation(agent, steps):
    belief = stream(agent, steps, range(STEPS))
    belief = with_weights(belief, 50.0 * weighed(belief))
    model = world_model.make(agent.config.structure.world_width, 1, 1)
    act = mode_of(agent.setup.networks, agent.learned.agent.policy)
    made = (world_model.reader(model), agent.learned.inference, act, belief.state.hypotheses)
    obs = np.array([0.2], np.float32)
    for key, left in zip(keys(3), (None, HORIZON, 1), strict=True):
        expected = hypotheses.greedy(*made, obs, left or HORIZON, key)
        np.testing.assert_array_equal(agent.greedy_z(belief, obs, key, left), expected)


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
    _, gaussian = agent.space.posterior(belief.state)
    draws = np.stack([agent.sample_z(belief, key)[3] for key in keys(200)])
    std = float(gaussian.variance[0]) ** 0.5
    assert std < 0.99
    assert abs(draws.mean() - float(gaussian.mean[0])) < 4 * std / 200**0.5
    assert draws.std() == pytest.approx(std, rel=0.2)


def test_act(agent):
    z = agent.sample_z(agent.prior(), jax.random.key(1))
    obs = jnp.array([0.3])
    mode = agent.act(obs, z)
    mean, _ = agent.setup.networks.policy(agent.learned.agent.policy, obs, z)
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
