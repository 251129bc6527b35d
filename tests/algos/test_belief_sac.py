"""The actor-critic on beliefs, and the one that is told the truth, against sums written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import config, line, quick_compile

from structlat_jax.algos import belief_sac, pearl, pearl_sac, told_sac
from structlat_jax.algos.belief_sac import Thinned
from structlat_jax.algos.schedules import coefficients_at
from structlat_jax.data import batches, replay
from structlat_jax.inference import additive, belief
from structlat_jax.nets.init import initialise
from structlat_jax.train import posterior_contexts, trials
from structlat_jax.train.learn import init
from structlat_jax.train.setup import make_setup

pytestmark = pytest.mark.slow


def made(algorithm, **changes):
    """A setup, its state with one block in the replay, and a batch."""
    own = make_setup(config(algorithm=algorithm, **changes), line())
    key_state, key_block, key_batch = jax.random.split(jax.random.key(0), 3)
    with quick_compile():
        state = init(own, key_state)
        hyper = own.config.hyper
        block = trials.block(own, hyper, state, key_block)
        rings = replay.write(state.replay, own.layout, block)
        sampler = batches.sampler(own, hyper, batches.view(own, hyper, rings))
        return own, state, sampler.make(sampler.draw(key_batch))


@pytest.fixture(scope="module")
def on_belief():
    return made("pearl-belief")


@pytest.fixture(scope="module")
def told():
    return made("oracle")


def test_the_bellman_target_values_the_belief_that_the_transition_leads_to(on_belief):
    own, state, batch = on_belief
    networks, space, params = own.networks, own.space, state.params
    c = coefficients_at(own.config.hyper, jnp.int32(7))._replace(shaped_share=0.3)
    seen = Thinned(batch.context.owners, batch.context.length)
    loss, aux = belief_sac.critic_loss(
        *((params.encoder, params.q), params.target_v, networks, space, False),
        *(batch, seen, jax.random.key(1), c),
    )
    context, t = batch.context, batch.transitions
    expected = 0.0
    for task in range(t.reward.shape[0]):
        total = np.zeros(space.stat_dim)
        for episode in np.flatnonzero(context.owners[task]):
            for step in range(int(context.length[episode])):
                features = context.features[episode, step]
                total += additive.evidence_of(networks, space, params.encoder, features)
        given = belief.describe(space, jnp.float32(total))
        np.testing.assert_allclose(aux.given[task], given, rtol=2e-3, atol=1e-4)
        expected += float(c.kl_weight * jnp.sum(space.kl(space.posterior(jnp.float32(total)))))
        for i in range(t.reward.shape[1]):
            one = jax.tree.map(lambda x, k=task, j=i: x[k, j], t)
            features = additive.context_features(one, c.context_reward_scale, False)
            more = additive.evidence_of(networks, space, params.encoder, features)
            later = belief.describe(space, jnp.float32(total) + more)
            v_t = networks.v(params.target_v, one.next_obs, later)
            paid = 0.3 * one.train_reward + 0.7 * one.reward
            target = paid + (1 - one.done) * c.discount * v_t
            q = networks.q(params.q, one.obs, one.action, given)
            expected += float(jnp.sum((q - target) ** 2)) / t.reward.size
    np.testing.assert_allclose(loss, expected, rtol=1e-3)


def test_half_of_the_posterior_episodes_begin_with_a_context_of_the_replay(monkeypatch):
    own, state, _ = made("pearl-belief", posterior_episodes=5)
    hyper, space, begun = own.config.hyper, own.space, []
    tasks, told = own.structure.train_tasks, own.structure.posterior_episodes // 2
    act = trials.act

    def acting(*args, **options):
        begun.append(options.get("begun"))
        return act(*args, **options)

    monkeypatch.setattr(trials, "act", acting)
    with quick_compile():
        first = trials.block(own, hyper, state, jax.random.key(4))
        rings = replay.write(state.replay, own.layout, first)
        trials.block(own, hyper, state._replace(replay=rings), jax.random.key(5))
    assert [x is None for x in begun] == [True, False] * 2
    assert begun[1].shape == (tasks * told, space.stat_dim)
    np.testing.assert_array_equal(begun[1], 0.0)  # nothing is in the replay yet
    key = jax.random.split(jax.random.split(jax.random.key(5), 3)[2])[0]
    found = posterior_contexts.over_tasks(own, hyper, rings, lambda *x: x[1], None, key)
    evidence = additive.evidence_of(own.networks, space, state.params.encoder, found.features)
    for task in range(tasks):
        for i in range(told):
            one = jax.tree.map(lambda x, k=task: np.asarray(x[k]), found)
            total = np.zeros(space.stat_dim)
            for episode in np.flatnonzero(one.owners[i]):
                total += np.sum(evidence[task, episode, : one.length[episode]], axis=0)
            np.testing.assert_allclose(begun[3][task * told + i], total, rtol=1e-4, atol=1e-5)


def test_what_a_trial_begins_with_is_acted_on(on_belief):
    own, state, _ = on_belief
    tasks = state.train_tasks
    sure = jnp.broadcast_to(jnp.full(own.space.stat_dim, 50.0), (len(tasks), own.space.stat_dim))

    def first_action(begun):
        given = (own, own.config.hyper, state.learned, tasks, 1, jax.random.key(6))
        return trials.act(*given, begun=begun).episodes.transitions.action[:, 0, 0]

    with quick_compile():
        unseen, nothing, told = map(first_action, (None, 0.0 * sure, sure))
    np.testing.assert_array_equal(unseen, nothing)
    assert np.all(np.abs(told - unseen) > 1e-4)


def test_some_contexts_are_empty_and_some_episodes_not_over(on_belief):
    _, _, batch = on_belief
    keys = jax.random.split(jax.random.key(2), 400)
    every = jax.vmap(lambda key: belief_sac.thin(batch, key))(keys)
    empty = np.mean(np.all(np.asarray(every.owners) == 0, axis=-1))
    assert abs(empty - belief_sac.EMPTY) < 0.06
    shorter = np.asarray(every.length) < np.asarray(batch.context.length)
    assert 0.1 < shorter[:, np.asarray(batch.context.length) > 1].mean() < belief_sac.CUT
    assert np.all(every.length >= 0)


def test_who_is_told_learns_as_pearl_does_with_the_truth_as_z(told):
    own, state, batch = told
    networks, params = own.networks, state.params
    c = coefficients_at(own.config.hyper, jnp.int32(3))
    truth = np.asarray(state.train_tasks, float)
    expected = ((truth - truth.mean()) / truth.std())[:, None]
    np.testing.assert_allclose(params.truth["tasks"], expected, rtol=1e-5)
    z = jnp.float32(expected[np.asarray(batch.tasks)])
    actor = pearl.actor_critic(networks)
    after, _, losses = told_sac.update(actor, params, state.moments, batch, c)

    def bellman(q):
        args = (networks, q, params.target_v, batch.transitions, z, c)
        return jnp.sum(jnp.mean(pearl_sac.bellman_error(*args)[0] ** 2, axis=(1, 2)))

    np.testing.assert_allclose(losses.q, bellman(params.q), rtol=1e-5)
    grads = jax.grad(bellman)(params.q)
    moved = jax.tree.map(lambda p, g: p - c.lr * g / (jnp.abs(g) + 1e-8), params.q, grads)
    for found, step in zip(jax.tree.leaves(after.q), jax.tree.leaves(moved), strict=True):
        np.testing.assert_allclose(found, step, rtol=1e-3, atol=1e-6)
    same = jax.tree.map(np.array_equal, after.truth, params.truth)
    assert all(jax.tree.leaves(same))


def test_surer_beliefs_look_surer_and_more_than_sure_like_sure():
    own = make_setup(config(latent="gau:2"), line())
    seen = jnp.array([1.0, 10.0, 100.0, 1e6])[:, None]
    totals = seen * jnp.array([1.0, 1.0, 0.5, -0.5])
    given = np.asarray(belief.describe(own.space, totals))
    assert given.shape[1] == belief.width(own.space)
    mean = np.array([0.5, -0.5]) * seen / (1.0 + seen)
    np.testing.assert_allclose(given[:, :2], mean, rtol=1e-5)
    np.testing.assert_allclose(given[:, 2:4], 1.0 - 1.0 / (1.0 + np.tile(seen, 2)), rtol=1e-5)
    assert np.all(np.diff(given[:2], axis=0)[:, [2, 3, 4]] > 0.3)
    assert np.all(np.abs(given[3] - given[2]) < 0.03)


def test_small_heads_start_small_here_too(told):
    own = told[0]
    zeros = own.algorithm.zeros()
    params = initialise(jax.random.key(3), zeros, "he", own.algorithm.small_heads)
    head = params.policy["params"]["kernel_head"]
    assert np.std(head) < 0.3 * head.shape[0] ** -0.5
