"""The protocol where z comes from weighed hypotheses: weights by hand, and a known right answer.

The agent of most tests goes where the last number of z points, and its world model is exact: one
episode to each side tells where the goal is.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import (
    HORIZON,
    config,
    following_z,
    informed,
    learned,
    mixture_log_density,
    quick_compile,
    setup,
)

from structlat_jax.inference import hypotheses, world_model
from structlat_jax.inference.hypotheses import Hypotheses
from structlat_jax.train import evaluate as module

TASKS = jnp.tile(jnp.array([1.0, -1.0]), 20)
S = setup().config.structure
PRIOR, EPISODES, COUNT = S.eval_prior_episodes, S.eval_episodes, S.hypotheses
SIDES = np.sign(TASKS)[:, None, None]


@cache
def network_params(seed=0):
    """Fresh networks, but for a policy that follows the last number of z."""
    fresh = learned(seed)
    return fresh._replace(agent=following_z(fresh.agent))


@cache
def program():
    """`evaluate` with an exact world model, compiled once."""
    own = informed(setup())
    run = jax.jit(lambda params, hyper: module.evaluate(own, hyper, params, TASKS, KEY))
    with quick_compile():
        run(network_params(), config().hyper)
    return run


KEY = jax.random.key(6)


@pytest.fixture(scope="module")
def found():
    return program()(network_params(), config().hyper)


def ends(adaptation):
    """Where each episode ends, ``[T, R, E]``."""
    return np.asarray(adaptation.path)[..., -1, 0]


def test_the_policy_goes_where_its_hypothesis_points(found):
    expected = 0.5 * HORIZON * np.tanh(found.z[..., -1])
    np.testing.assert_allclose(ends(found), expected, atol=1e-4)


def test_prior_episodes_look_on_both_sides(found):
    """Of two independent draws, half go to the same side."""
    first = np.sign(ends(found)[..., :PRIOR])
    assert np.mean(first[..., 0] != first[..., 1]) > 0.7


def test_posterior_episodes_go_to_the_right_goal(found):
    assert np.all(np.sign(ends(found)[..., PRIOR:]) == SIDES)
    assert np.all(np.sign(np.asarray(found.belief)[:, :, PRIOR:, -1]) == SIDES)
    returns = np.asarray(found.returns)
    assert returns[..., PRIOR:].mean() > 1.5 * returns[..., :PRIOR].mean()


def test_an_untrained_encoder_can_only_guess(found):
    assert np.mean(found.encoder[..., -1]) < 0.7 * np.mean(found.returns[..., -1])


def test_the_first_belief_is_the_mean_of_so_many_draws(found):
    first = np.asarray(found.belief)[:, :, 0]
    np.testing.assert_allclose(first[..., :3].sum(axis=-1), 1.0, rtol=1e-5)
    last = first[..., -1].ravel()  # 80 means of standard normal draws
    assert abs(last.mean()) < 4 * (COUNT * last.size) ** -0.5
    assert last.std() == pytest.approx(COUNT**-0.5, rel=0.3)


def test_without_the_weight_of_evidence_beliefs_stay_at_the_prior(found):
    deaf = program()(network_params(), config(evidence_weight=0.0).hyper)
    belief = np.asarray(deaf.belief)
    np.testing.assert_allclose(belief, belief[:, :, :1] * np.ones((EPISODES, 1)), atol=1e-5)
    for name in ("z", "path"):
        its, ours = (np.asarray(getattr(x, name))[:, :, :PRIOR] for x in (deaf, found))
        np.testing.assert_array_equal(its, ours)
    np.testing.assert_array_equal(deaf.encoder, found.encoder)
    wrong = np.sign(ends(deaf)[..., PRIOR:]) != SIDES
    assert 0.3 < wrong.mean() < 0.7


def test_the_encoder_changes_nothing_but_what_is_said_of_it(found):
    ours, other = network_params(), network_params(1)
    other = ours._replace(agent=ours.agent._replace(encoder=other.agent.encoder))
    changed = program()(other, config().hyper)
    for name in ("returns", "path", "z", "belief"):
        np.testing.assert_array_equal(getattr(changed, name), getattr(found, name))
    assert not np.allclose(changed.kl, found.kl)
    assert not np.allclose(changed.encoder, found.encoder)


@pytest.fixture(scope="module")
def by_hand():
    """An evaluation whose hypotheses are `GRID`, with a world model that was drawn at random."""

    def draw(model, params, act, space, obs, horizon, count, key, held):
        assert held(GRID) is GRID  # nothing of z is inferred otherwise
        np.testing.assert_array_equal(obs.shape, (1,))
        assert (horizon, count) == (HORIZON, COUNT)
        return Hypotheses(GRID, DESTINATIONS, jnp.zeros(len(GRID)), DESTINATIONS)

    with pytest.MonkeyPatch.context() as patch, quick_compile():
        patch.setattr(hypotheses, "draw", draw)
        hyper = config(evidence_weight=EXPONENT).hyper
        run = jax.jit(lambda params: module.evaluate(setup(), hyper, params, TASKS[:2], KEY))
        return jax.tree.map(np.asarray, run(network_params()))


EXPONENT = 0.1
GRID = jnp.array([[1, 0, 0, -1.5], [0, 1, 0, -0.5], [0, 0, 1, 0.4], [1, 0, 0, 1.6]])
DESTINATIONS = jnp.array([[-1.6], [-0.9], [0.7], [1.5]])


predict = jax.jit(world_model.make(S.world_width, 1, 1).reward)


def log_weights(path, task, episodes):
    """Of each row of `GRID` after some of the episodes ``path [E, H + 1, 1]``."""
    total = np.zeros(len(GRID))
    for episode in range(episodes):
        obs, after = path[episode, :-1], path[episode, 1:]
        action = (after - obs) / 0.5
        distance = np.abs(after[:, 0] - task)
        reward = np.where(distance <= 0.6, 1.0 - distance, 0.0)
        for i, destination in enumerate(DESTINATIONS):
            predicted = predict(network_params().inference, obs, action, destination)
            total[i] += EXPONENT * np.sum(mixture_log_density(reward, *predicted))
    return total


def test_beliefs_weigh_the_hypotheses_by_all_earlier_episodes(by_hand):
    for task in range(2):
        for repeat in range(S.eval_repeats):
            path = by_hand.path[task, repeat]
            for episode in range(EPISODES):
                weights = np.exp(log_weights(path, TASKS[task], episode))
                weights /= weights.sum()
                mean = weights @ GRID
                at = (task, repeat, episode)
                np.testing.assert_allclose(by_hand.belief[at], mean, rtol=1e-3, atol=1e-3)
                spread = np.sqrt(weights @ (GRID - mean) ** 2)
                np.testing.assert_allclose(by_hand.spread[at], spread, rtol=1e-2, atol=1e-3)
                # Each is a group of its own here, and leads where it does.
                np.testing.assert_allclose(by_hand.leads.weight[at], weights, atol=1e-3)
    np.testing.assert_array_equal(by_hand.leads.obs[1, 1], DESTINATIONS)
    assert np.all(np.ptp(by_hand.belief[..., -1], axis=-1) > 0.02)


@pytest.mark.slow
def test_a_greedy_choice_keeps_off_the_rim():
    """Of two hypotheses that agree with all that was seen, it takes the one that pays on both; a
    draw takes either."""
    paid = {}
    for choice in ("greedy", "thompson"):
        own = informed(setup(choice=choice))
        with quick_compile():
            run = jax.jit(lambda p, own=own: module.evaluate(own, config().hyper, p, TASKS, KEY))
            found = run(network_params())
        paid[choice] = np.asarray(found.returns)[..., PRIOR:]
        assert np.all(np.sign(ends(found)[..., PRIOR:]) == SIDES)
    best = np.max(paid["thompson"])
    assert paid["greedy"].mean() > paid["thompson"].mean() + 0.1
    assert np.min(paid["greedy"]) > 0.6 * best > np.min(paid["thompson"])


def test_each_z_is_a_hypothesis_and_prior_episodes_share_them_out(by_hand):
    same = np.all(by_hand.z[..., None, :] == np.asarray(GRID), axis=-1)
    np.testing.assert_array_equal(same.sum(axis=-1), 1)
    row = same.argmax(axis=-1)[..., :PRIOR]  # one of the first two, one of the last two
    np.testing.assert_array_equal(np.sort(row // 2, axis=-1), np.broadcast_to([0, 1], row.shape))


@pytest.mark.slow
def test_several_latents_share_an_episode_out():
    own = informed(setup(eval_draws=2, eval_prior_episodes=1))
    with quick_compile():
        run = jax.jit(lambda p: module.evaluate(own, config().hyper, p, TASKS, KEY))
        found = run(network_params())
    steps = np.diff(np.asarray(found.path)[..., 0], axis=-1)
    first, second = steps[..., : HORIZON // 2], steps[..., HORIZON // 2 :]
    for half in (first, second):  # one latent for each
        np.testing.assert_allclose(half, half[..., :1] * np.ones(HORIZON // 2), atol=1e-4)
    expected = 0.5 * np.tanh(np.asarray(found.z)[..., -1])
    np.testing.assert_allclose(first[..., 0], expected, atol=1e-4)
    turned = np.sign(first[:, :, 0, 0]) != np.sign(second[:, :, 0, 0])
    assert turned.mean() > 0.7  # each half has a share of the prior
    assert np.mean(np.sign(second[:, :, 1:, 0]) == SIDES) > 0.9
