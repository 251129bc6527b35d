"""Episodes that end early, in an environment that yields NaN behind the end: whatever is made of
them equals a loop in Python that stops there.
"""

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import EDGE, HORIZON, all_finite, config, following_z, mixture_log_density, quick_compile
from tiny import setup as tiny_setup

from structlat_jax.data import batches
from structlat_jax.inference import additive, world_model
from structlat_jax.shapes import Transition, within
from structlat_jax.train import evaluate as module
from structlat_jax.train import rollout
from structlat_jax.train.learn import init, meta_step

DRAWS = 2  # latents per episode, of two steps each
OWN = tiny_setup("ending", eval_draws=DRAWS, choice="thompson")
S, SPACE, HYPER = OWN.structure, OWN.space, config().hyper
TASKS = jnp.array([1.0, -1.0])
KEYS = jax.random.split(jax.random.key(8), len(TASKS))


def hasty(agent):
    """A policy that moves with the last number of z, so fast that most episodes end early."""
    agent = following_z(agent)
    layers = agent.policy["params"]
    head = layers["kernel_head"].at[:, 0].multiply(3.0)
    return agent._replace(policy={"params": {**layers, "kernel_head": head}})


@cache
def trained():
    """The state before and after two meta-steps, and the metrics of the second."""
    step = jax.jit(lambda state: meta_step(OWN, HYPER, state))
    with quick_compile():
        state = jax.jit(lambda key: init(OWN, key))(jax.random.key(3))
        before = state._replace(params=hasty(state.params))
        return before, *step(step(before)[0])


@cache
def transitions():
    """All that was collected: ``[T, blocks, E, H]``, with lengths and successes."""
    rings = trained()[1].replay
    t = jax.jit(OWN.layout.unpack)(rings.rows)
    return jax.device_get((t, rings.length, rings.success))


def walk(start, actions, task, steps=HORIZON):
    """Places from a start on, their rewards, and whether the last of them is an end."""
    places, rewards = [start], []
    for action in actions[:steps]:
        places.append(places[-1] + 0.5 * np.clip(action, -1.0, 1.0))
        distance = abs(places[-1] - task)
        rewards.append(1.0 - distance if distance <= 0.6 else 0.0)
        if abs(places[-1]) > EDGE:
            return places, rewards, True
    return places, rewards, False


def test_what_is_collected_stops_where_an_episode_ends():
    t, lengths, successes = transitions()
    tasks = np.asarray(trained()[1].train_tasks)
    for index in np.ndindex(*lengths[:, :2].shape):
        length, one = lengths[index], jax.tree.map(lambda x, index=index: x[index], t)
        places, rewards, ended = walk(0.0, one.action[:, 0], tasks[index[0]])
        assert length == len(rewards)
        assert successes[index] == any(rewards)
        np.testing.assert_allclose(one.obs[:length, 0], places[:-1], atol=1e-6)
        np.testing.assert_allclose(one.next_obs[:length, 0], places[1:], atol=1e-6)
        np.testing.assert_allclose(one.reward[:length], rewards, atol=1e-6)
        expected = -np.abs(np.array(places[1:]) - tasks[index[0]])
        np.testing.assert_allclose(one.train_reward[:length], expected, atol=1e-6)
        np.testing.assert_array_equal(one.done, np.arange(HORIZON) == length - 1 if ended else 0.0)
        assert all(np.all(x[length:] == 0) for x in one)
    assert set(lengths[:, :2].ravel()) == {2, 3, HORIZON}


def test_what_is_observed_at_an_end_need_not_be_a_number():
    """An environment may have nothing to show there; it is taken to be what was seen before."""

    def step(state, action, task):
        out = env.step(state, action, task)
        return out._replace(obs=jnp.where(out.done > 0, jnp.nan, out.obs))

    env = OWN.env
    without = dataclasses.replace(env, step=step)
    task = jax.tree.map(lambda x: x[0], trained()[1].train_tasks)
    actions = jnp.full((HORIZON, 1), 1.0)
    ends = [
        rollout.episode(one, lambda obs, given: given, task, jax.random.key(0), actions)
        for one in (env, without)
    ]
    usual, found = (jax.device_get(one) for one in ends)
    last = found.length - 1
    assert found.length == usual.length < HORIZON
    np.testing.assert_array_equal(found.transitions.next_obs[last], usual.transitions.obs[last])
    same = found.transitions._replace(next_obs=usual.transitions.next_obs)
    jax.tree.map(np.testing.assert_array_equal, same, usual.transitions)
    assert all_finite(found)


def test_nothing_leaks_into_what_is_learned():
    before, after, metrics = trained()
    assert all_finite((after.learned, after.moments, after.inference_moments, metrics))
    assert int(metrics["not_finite_at"]) == 0
    for name in ("encoder", "q", "v", "policy"):
        ours, its = (getattr(state.params, name)["params"] for state in (after, before))
        assert np.any(ours["kernel_head"] != its["kernel_head"])


def test_collected_returns_sum_what_was_paid_before_the_ends():
    t, _, _ = transitions()
    returns = t.reward[:, 1].sum(axis=-1)  # of the second block
    _, _, metrics = trained()
    for kind, part in {"prior": (0, 2), "explore": (2, 4), "posterior": (4, 5)}.items():
        expected = returns[:, slice(*part)].mean()
        np.testing.assert_allclose(metrics[f"collected_{kind}_return"], expected, atol=1e-6)


def test_batches_say_where_to_stop_bootstrapping():
    """A transition is an end if and only if it crosses the edge; none lies behind one."""
    sampler = batches.sampler(OWN, HYPER, batches.view(OWN, HYPER, trained()[1].replay))
    keys = jax.random.split(jax.random.key(0), 200)
    with quick_compile():
        t = jax.jit(jax.vmap(lambda key: sampler.make(sampler.draw(key)).transitions))(keys)
    np.testing.assert_array_equal(t.done, np.abs(t.next_obs[..., 0]) > EDGE)
    assert 0.1 < np.mean(t.done) < 0.9
    assert not np.any(np.abs(t.obs) > EDGE)


class BySum:
    """The encoder's posterior by hand."""

    def __init__(self, learned, random, task):
        self.learned, self.choices = learned, random.choices
        self.total = np.zeros(SPACE.stat_dim)

    def latent(self, episode, part):
        prior, noise = (x[episode, part] for x in self.choices)
        if episode < S.eval_prior_episodes:
            return prior
        return SPACE.transform(SPACE.posterior(jnp.float32(self.total)), noise, hard=True)

    def see(self, obs, action, reward):
        nothing = np.zeros(1, np.float32)
        t = Transition(*map(jnp.float32, ([obs], [action], reward)), 0.0, nothing, 0.0)
        self.total = self.total + evidence(self.learned.agent.encoder, t)

    def mean(self):
        return SPACE.mean(SPACE.posterior(jnp.float32(self.total)))


@jax.jit
def evidence(encoder, t):
    features = additive.context_features(t, HYPER.context_reward_scale, False)
    return additive.evidence_of(OWN.networks, SPACE, encoder, features)


class ByWeight(BySum):
    """Hypotheses by hand: each is weighed by the rewards of the steps that were taken."""

    def __init__(self, learned, random, task):
        super().__init__(learned, random, task)
        start = OWN.env.observe(OWN.env.reset(random.start, task))
        drawn = jax.jit(OWN.inference.init)(learned, random.init, start).hypotheses
        self.z, self.destination = np.asarray(drawn.z), drawn.reading
        self.log_weights = np.zeros(len(self.z))

    def weights(self):
        relative = np.exp(self.log_weights - self.log_weights.max())
        return relative / relative.sum()

    def latent(self, episode, part):
        position = self.choices[0][episode, part]
        equal = np.full(len(self.z), 1 / len(self.z))
        weights = equal if episode < S.eval_prior_episodes else self.weights()
        return self.z[np.argmax(np.cumsum(weights) > position)]

    def see(self, obs, action, reward):
        super().see(obs, action, reward)
        given = (jnp.float32([obs]), jnp.float32([action]), self.destination)
        self.log_weights += mixture_log_density(reward, *predict(self.learned.inference, *given))

    def mean(self):
        return self.weights() @ self.z


predict = jax.jit(world_model.make(S.world_width, 1, 1).reward)
INFERENCES = {"hypotheses": (OWN.inference, ByWeight), "amortised": (OWN.encoder, BySum)}


@cache
def evaluated():
    """Both inferences, a task each: ``[T, E, ...]``."""

    def both(learned, task, key):
        case = module.Case(OWN, HYPER, learned, task)
        return [module._by(one, case, key) for one, _ in INFERENCES.values()]

    learned = trained()[1].learned
    learned = learned._replace(agent=hasty(learned.agent))
    with quick_compile():
        found = jax.jit(jax.vmap(both, in_axes=(None, 0, 0)))(learned, TASKS, KEYS)
    return learned, dict(zip(INFERENCES, jax.device_get(found), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", INFERENCES)
@pytest.mark.parametrize("task", range(len(TASKS)))
def test_an_evaluation_is_a_loop_that_stops_where_an_episode_ends(name, task):
    learned, found = evaluated()
    inference, by_hand = INFERENCES[name]
    found = jax.tree.map(lambda x: x[task], found[name])
    random = jax.jit(inference.randomness, static_argnums=(1, 2, 3))(
        KEYS[task], S.eval_episodes, S.eval_prior_episodes, DRAWS
    )
    belief, goal = by_hand(learned, random, TASKS[task]), float(TASKS[task])
    for episode in range(S.eval_episodes):
        np.testing.assert_allclose(found.belief[episode], belief.mean(), rtol=1e-3, atol=1e-4)
        kl = SPACE.kl(SPACE.posterior(jnp.float32(belief.total)))
        np.testing.assert_allclose(found.kl[episode], kl, rtol=1e-3, atol=1e-3)
        places, rewards, ended = [0.0], [], False
        for part in range(DRAWS):
            z = np.asarray(belief.latent(episode, part))
            if part == 0:
                np.testing.assert_allclose(found.z[episode], z, rtol=1e-3, atol=1e-4)
            if ended:
                continue
            action = np.tanh(3.0 * z[-1])
            on, paid, ended = walk(places[-1], [action] * 2, goal)
            places, rewards = places + on[1:], rewards + paid
            for obs, reward in zip(on[:-1], paid, strict=True):
                belief.see(obs, action, reward)
        assert found.length[episode] == len(rewards)
        np.testing.assert_allclose(found.returns[episode], sum(rewards), atol=1e-4)
        assert found.success[episode] == any(rewards)
        rest = [places[-1]] * (HORIZON + 1 - len(places))
        np.testing.assert_allclose(found.path[episode, :, 0], places + rest, atol=1e-4)


def test_many_episodes_end_in_the_first_part_of_them_and_some_do_not():
    _, found = evaluated()
    lengths = np.concatenate([x.length.ravel() for x in found.values()])
    assert {2, HORIZON} <= set(lengths)
    assert all(all_finite(x._replace(encoder=None)) for x in found.values())


def test_which_steps_are_within_an_episode():
    inside = within(jnp.array([[0, 1], [3, 4]]), 4)
    np.testing.assert_array_equal(inside[0], [[0, 0, 0, 0], [1, 0, 0, 0]])
    np.testing.assert_array_equal(inside[1], [[1, 1, 1, 0], [1, 1, 1, 1]])
