"""The adaptation protocol: which z each episode uses, and what it may and may not look at.

Both kinds of inference pass the same tests; what is particular to hypotheses is in
``test_evaluate_hypotheses.py``.
"""

import dataclasses
import inspect
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import HORIZON, RADIUS, assert_same, config, learned, line, quick_compile, setup

from structlat_jax.envs import point_robot
from structlat_jax.inference.additive import context_features, infer
from structlat_jax.inference.base import Learned, Randomness
from structlat_jax.shapes import Transition
from structlat_jax.train import evaluate as module
from structlat_jax.train.evaluate import Adaptation, evaluate, last_return, references
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import make_setup

TASKS = jnp.array([1.0, -1.0])
INFERENCES = ("hypotheses", "amortised")
S = setup().config.structure
PRIOR, EPISODES, REPEATS = S.eval_prior_episodes, S.eval_episodes, S.eval_repeats


@cache
def network_params(seed=0):
    """Fresh parameters, but for a policy that moves: an untrained one hardly does."""
    fresh = learned(seed)
    policy = jax.tree.map(lambda x: 10.0 * x, fresh.agent.policy)
    return fresh._replace(agent=fresh.agent._replace(policy=policy))


@cache
def program(inference):
    """`evaluate` of the tiny setup, compiled once."""
    own, hyper = setup(inference=inference), config().hyper
    run = jax.jit(lambda params, tasks, key: evaluate(own, hyper, params, tasks, key))
    with quick_compile():
        run(network_params(), TASKS, jax.random.key(0))
    return run


@pytest.fixture(scope="module", params=INFERENCES)
def inference(request):
    return request.param


@pytest.fixture(scope="module")
def found(inference):
    return program(inference)(network_params(), TASKS, jax.random.key(4))


def test_shapes(found):
    lead = (len(TASKS), REPEATS, EPISODES)
    dim, blocks = setup().space.dim, len(setup().space.blocks)
    wide = {"path": (HORIZON + 1, 1), "z": (dim,), "belief": (dim,), "kl": (blocks,)}
    wide |= {"spread": (dim,), "reward": (HORIZON,)}
    found = found._replace(leads=None)  # which are not of the episodes alone
    for name, x in found._asdict().items():
        if x is None:
            continue
        assert x.shape == (*lead, *wide.get(name, ())), name
    assert jnp.issubdtype(found.length.dtype, jnp.integer)


def test_returns_sum_the_sparse_rewards_along_the_path(found):
    distance = np.abs(np.asarray(found.path)[..., 1:, 0] - np.asarray(TASKS)[:, None, None, None])
    rewards = np.where(distance <= RADIUS, 1.0 - distance, 0.0)
    assert rewards.any()
    np.testing.assert_allclose(found.reward, rewards, atol=1e-5)
    np.testing.assert_allclose(found.returns, rewards.sum(axis=-1), atol=1e-5)
    np.testing.assert_array_equal(found.success, rewards.any(axis=-1))
    np.testing.assert_array_equal(found.length, HORIZON)


def deterministic(found, params, scale=1.0):
    """The transitions ``[T, R, E, H]`` of the mode of the policy along the recorded paths."""
    obs, next_obs = found.path[..., :-1, :], found.path[..., 1:, :]
    mean, _ = setup().networks.policy(params.agent.policy, obs, found.z[..., None, :])
    over_steps = jax.vmap(line().step, in_axes=(0, 0, None))
    over_episodes = jax.vmap(jax.vmap(over_steps, in_axes=(0, 0, None)), in_axes=(0, 0, None))
    out = jax.vmap(over_episodes)(obs, jnp.tanh(mean), TASKS)
    return Transition(obs, jnp.tanh(mean), out.reward, out.train_reward, next_obs, out.done)


def test_actions_are_the_mode_and_z_is_held_for_an_episode(found):
    t = deterministic(found, network_params())
    moved = t.obs + 0.5 * jnp.clip(t.action, -1, 1)
    np.testing.assert_allclose(moved, t.next_obs, atol=1e-5)
    assert np.abs(np.asarray(t.action)).max() > 0.05


def test_beliefs_gather_all_earlier_episodes(inference, found):
    own = setup()
    t = deterministic(found, network_params())
    features = context_features(t, config().hyper.context_reward_scale, False)
    features = features.reshape(*features.shape[:2], EPISODES * HORIZON, -1)
    for episode in range(EPISODES):
        mask = jnp.arange(EPISODES * HORIZON) < episode * HORIZON
        mask = jnp.broadcast_to(mask, features.shape[:-1])
        posterior = infer(own.networks, own.space, network_params().agent.encoder, features, mask)
        if inference == "amortised":
            np.testing.assert_allclose(
                found.belief[:, :, episode], own.space.mean(posterior), rtol=1e-3, atol=1e-4
            )
        np.testing.assert_allclose(
            found.kl[:, :, episode], own.space.kl(posterior), rtol=1e-3, atol=1e-3
        )


def test_the_first_belief_is_the_prior(inference, found):
    if inference == "amortised":
        expected = [[[1 / 3, 1 / 3, 1 / 3, 0.0]] * REPEATS] * 2
        np.testing.assert_allclose(found.belief[:, :, 0], expected)
    np.testing.assert_allclose(found.kl[:, :, 0], 0.0, atol=1e-6)
    assert np.all(np.asarray(found.kl[:, :, 1:]).sum(-1) > 0)


def test_first_episodes_use_prior_draws(found):
    one_hot = np.asarray(found.z[..., :3])  # the categorical block acts with one-hot vectors
    np.testing.assert_array_equal(
        np.sort(one_hot, axis=-1), np.broadcast_to([0, 0, 1], one_hot.shape)
    )
    prior = np.asarray(found.z[:, :, :PRIOR]).reshape(-1, 4)
    assert len(np.unique(prior[:, 3])) == len(prior)


ANOTHER = 2  # of the seeds of parameters


def with_another_reader(inference):
    """The parameters, with other ones where the posterior comes from. That is what a place pays,
    and not where latents lead, by which hypotheses are ordered before anything was seen."""
    ours, other = network_params(), network_params(ANOTHER)
    if inference == "amortised":
        return ours._replace(agent=ours.agent._replace(encoder=other.agent.encoder))
    return ours._replace(inference={**ours.inference, "reward": other.inference["reward"]})


def test_only_later_episodes_listen_to_what_was_seen(inference, found):
    changed = program(inference)(with_another_reader(inference), TASKS, jax.random.key(4))
    for name in ("z", "path", "returns"):
        its, ours = (np.asarray(getattr(x, name))[:, :, :PRIOR] for x in (changed, found))
        np.testing.assert_array_equal(its, ours)
    assert np.all(np.abs(changed.belief - found.belief)[:, :, 1:, 3] > 1e-5)
    later, its = (np.asarray(x.z[:, :, PRIOR:, 3]) for x in (changed, found))
    assert np.any(np.abs(later - its) > 1e-4)
    if inference == "amortised":
        assert np.all(np.abs(later - its) > 1e-4)


def test_the_papers_inference_is_reported_beside_any_other():
    """The same key gives it the same episodes, whatever the configured inference is."""
    with_hypotheses, paper = (
        program(inference)(network_params(), TASKS, jax.random.key(4)) for inference in INFERENCES
    )
    np.testing.assert_array_equal(paper.encoder, paper.returns)
    np.testing.assert_allclose(with_hypotheses.encoder, paper.returns, atol=1e-5)
    assert not np.allclose(with_hypotheses.returns, paper.returns, atol=1e-3)


@pytest.mark.slow
def test_prior_draws_follow_the_prior(inference):
    many = program(inference)(network_params(), jnp.ones(600), jax.random.key(1)).z[:, :, :PRIOR]
    classes = np.asarray(many[..., :3]).mean(axis=(0, 1, 2))
    gaussian = np.asarray(many[..., 3]).ravel()
    np.testing.assert_allclose(classes, 1 / 3, atol=0.03)
    assert abs(gaussian.mean()) < 0.05
    assert abs(gaussian.std() - 1.0) < 0.05


def test_deterministic_given_the_key(inference, found):
    assert_same(program(inference)(network_params(), TASKS, jax.random.key(4)), found)
    other = program(inference)(network_params(), TASKS, jax.random.key(5))
    assert not np.any(np.asarray(other.z[..., 3]) == np.asarray(found.z[..., 3]))


def test_tasks_repeats_and_episodes_have_their_own_draws(inference, found):
    """Two later episodes may follow the same hypothesis."""
    episodes = EPISODES if inference == "amortised" else PRIOR
    draws = np.asarray(found.z[:, :, :episodes, 3]).ravel()
    assert len(np.unique(draws)) == draws.size


def test_the_task_itself_is_hidden(inference):
    """Where no reward was paid, evaluations of different tasks cannot be told apart."""
    run = program(inference)
    far = run(network_params(), jnp.array([50.0, 60.0]), jax.random.key(4))
    near = run(network_params(), jnp.array([-70.0, 50.0]), jax.random.key(4))
    assert not np.any(np.asarray(far.returns))
    assert_same(far, near)


@pytest.mark.slow
def test_training_reward_is_never_seen(inference, found):
    def step(state, action, task):
        return line().step(state, action, task)._replace(train_reward=jnp.nan)

    own, hyper = setup(inference=inference), config().hyper
    blind = dataclasses.replace(own, env=dataclasses.replace(line(), step=step))
    run = jax.jit(lambda params, key: evaluate(blind, hyper, params, TASKS, key))
    with quick_compile():
        assert_same(run(network_params(), jax.random.key(4)), found)


def test_no_replay_and_no_hidden_randomness():
    names = list(inspect.signature(evaluate).parameters)
    assert names == ["setup", "hyper", "learned", "tasks", "key", "encoder", "repeat"]


def test_last_return_is_the_mean_of_last_episodes():
    returns = (
        jnp.zeros((2, 3, 4)).at[..., -1].set(jnp.arange(6.0).reshape(2, 3)).at[..., 0].set(9.0)
    )
    rest = dict.fromkeys(Adaptation._fields[1:])
    assert float(last_return(Adaptation(returns, **rest))) == 2.5


@pytest.mark.slow
def test_untrained_agent_on_the_point_robot():
    """An untrained policy stays near the origin, from where no goal pays; the oracle is paid."""
    own = make_setup(config(latent="gau:1"), point_robot.make())

    @jax.jit
    def run(key):
        keys = jax.random.split(key, 4)
        params = Learned(*init_params(own, keys[0]))
        tasks = own.env.sample_tasks(keys[1], 3)
        adaptation = evaluate(own, config().hyper, params, tasks, keys[2])
        return adaptation, references(own, params.agent, tasks, keys[3])

    with quick_compile():
        adaptation, found = run(jax.random.key(2))
    assert float(last_return(adaptation)) < 0.5
    assert np.all(np.asarray(found.floor) < 0.5)
    assert np.all(np.asarray(found.oracle) > 10.0)


def test_each_part_of_an_episode_knows_what_the_ones_before_have_seen():
    """With a belief that counts transitions, and latents that say what they were chosen from."""
    own = setup(eval_draws=3)  # of four steps: one, one and two
    draws = jnp.arange(EPISODES * 3.0).reshape(EPISODES, 3)
    lefts = []  # whole numbers, known when the loop is traced

    def choose(learned, count, obs, left, draw):
        lefts.append(left)
        return jnp.stack([count, 0.0, obs[0] + draw, jnp.float32(left)])

    def update(learned, hyper, count, seen, length):
        assert hyper is config_.hyper
        return count + length

    counting = dataclasses.replace(
        own.encoder,
        update=update,
        prior=lambda count, draw: jnp.stack([count, 1.0, draw, 0.0]),
        choose=choose,
        note=lambda count: -count,
    )
    params, key, config_ = network_params(), jax.random.key(0), config()
    random = Randomness(None, None, draws, key, key)
    case = module.Case(own, config_.hyper, params, jnp.float32(1.0))
    with quick_compile():
        seen, z, said = module._episodes(counting, case, jnp.float32(0.0), random)
    assert lefts[:3] == [4, 3, 2]
    np.testing.assert_array_equal(said, -4.0 * np.arange(EPISODES))
    np.testing.assert_array_equal(seen.length, HORIZON)
    t = seen.transitions
    for episode in range(EPISODES):
        obs = np.asarray(t.obs)[episode, :, 0]
        np.testing.assert_allclose(obs[1:], np.asarray(t.next_obs)[episode, :-1, 0])
        for part, begin, end in ((0, 0, 1), (1, 1, 2), (2, 2, 4)):
            count, draw = 4.0 * episode + begin, draws[episode, part]
            prior, later = [count, 1.0, draw, 0.0], [count, 0.0, obs[begin] + draw, 4 - begin]
            latent = jnp.array(prior if episode < PRIOR else later)
            if part == 0:
                np.testing.assert_allclose(z[episode], latent, atol=1e-6)
            mean, _ = own.networks.policy(params.agent.policy, t.obs[episode, begin:end], latent)
            np.testing.assert_allclose(t.action[episode, begin:end], jnp.tanh(mean), atol=1e-4)
