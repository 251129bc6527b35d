"""Bayes' rule over draws from the prior: weights by hand, positions that spread, order."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import mixture_log_density

from structlat_jax.config import Structure
from structlat_jax.inference import hypotheses, world_model
from structlat_jax.inference.hypotheses import Hypotheses
from structlat_jax.latents import latent_space
from structlat_jax.nets.networks import make_networks
from structlat_jax.types import Transition

SPACE = latent_space("cat:1x3,gau:1")
STRUCTURE = Structure(width=8, depth=1, world_width=8)
NETWORKS = make_networks(STRUCTURE, 2, 1, SPACE.dim, SPACE.stat_dim)
PARAMS = NETWORKS.init(jax.random.key(0))
PARAMS.world["dynamics"]["params"]["linear"] = jnp.array([[0, 0], [0, 0], [1.5, -0.8]])  # it moves
PARAMS.policy["params"]["kernel_head"] *= 10.0
OBS = jnp.array([0.3, -0.2])
HORIZON = 5


@cache
def drawn(count=16):
    run = jax.jit(lambda key: hypotheses.draw(NETWORKS, SPACE, PARAMS, OBS, HORIZON, count, key))
    return run(jax.random.key(1))


@jax.jit
def update(before, seen, exponent):
    return hypotheses.update(NETWORKS, PARAMS, before, seen, exponent)


def episode(seed, steps=5):
    keys = jax.random.split(jax.random.key(seed), 3)
    obs, action = jax.random.normal(keys[0], (steps, 2)), jax.random.normal(keys[1], (steps, 1))
    reward = jnp.maximum(jax.random.uniform(keys[2], (steps,), minval=-1.0), 0.0)
    return Transition(obs, action, reward, -reward, obs, jnp.zeros(steps))


def test_weights_are_a_power_of_the_likelihood():
    before, seen = drawn(), episode(2, steps=9)
    assert 0 < np.sum(np.asarray(seen.reward) != 0) < 9
    before = before._replace(log_weights=jnp.linspace(-1.0, 1.0, 16))
    after = update(before, seen, jnp.float32(0.3))
    np.testing.assert_array_equal(after.z, before.z)
    np.testing.assert_array_equal(after.outcome, before.outcome)
    for outcome, prior, weight in zip(*before[1:], after.log_weights, strict=True):
        predicted = NETWORKS.reward(PARAMS.world, seen.obs, seen.action, outcome)
        likelihood = mixture_log_density(seen.reward, *predicted).sum()
        assert weight == pytest.approx(float(prior) + 0.3 * likelihood, rel=1e-3)
    assert np.ptp(after.log_weights - before.log_weights) > 0.1


def test_an_exponent_of_zero_learns_nothing():
    after = update(drawn(), episode(2), jnp.float32(0.0))
    np.testing.assert_array_equal(after.log_weights, np.zeros(16))


def test_beliefs_about_many_episodes_are_those_about_each():
    """Mapped over episodes, as in the evaluation of many tasks."""
    episodes = [episode(seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *episodes)
    together = jax.vmap(update, in_axes=(None, 0, None))(drawn(), stacked, 0.5).log_weights
    alone = [update(drawn(), seen, 0.5).log_weights for seen in episodes]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_evidence_adds_in_any_order():
    one, other = episode(3), episode(4)

    def after(*episodes):
        belief = drawn()
        for seen in episodes:
            belief = update(belief, seen, jnp.float32(0.5))
        return belief.log_weights

    np.testing.assert_allclose(after(one, other), after(other, one), rtol=1e-5)


def test_only_the_own_reward_counts():
    seen = episode(5)
    other = seen._replace(train_reward=seen.train_reward + 7.0, next_obs=seen.next_obs + 1.0)
    weights = [update(drawn(), t, jnp.float32(0.5)).log_weights for t in (seen, other)]
    np.testing.assert_array_equal(*weights)


def test_positions_draw_in_proportion_to_the_weights():
    z = jnp.arange(4.0)[:, None]
    weights = jnp.array([0.1, 0.4, 0.0, 0.5])
    belief = Hypotheses(z, jnp.zeros((4, 2)), jnp.log(weights))
    at = jax.vmap(lambda p: hypotheses.at(belief, p))((jnp.arange(1000) + 0.5) / 1000)
    counts = np.bincount(np.asarray(at[:, 0], int), minlength=4)
    np.testing.assert_allclose(counts / 1000, weights, atol=2e-3)
    assert float(hypotheses.mean(belief)[0]) == pytest.approx(1.9)


@jax.jit
def greedy(belief, key):
    return hypotheses.greedy(NETWORKS, PARAMS, belief, OBS, HORIZON, key)


def returns_by_hand(belief):
    """Of every hypothesis as a way to act, the expected return in the task of every other."""
    table = np.zeros((16, 16))
    for i, z in enumerate(belief.z):
        obs = OBS
        for _ in range(HORIZON):
            action = jnp.tanh(NETWORKS.policy(PARAMS.policy, obs, z)[0])
            logit, mean, _ = NETWORKS.reward(PARAMS.world, obs, action, belief.outcome)
            table[i] += np.asarray(mean / (1.0 + jnp.exp(-logit)))
            obs = NETWORKS.next_obs(PARAMS.world, obs, action)
    return table


def test_the_greedy_choice_promises_the_most_on_average():
    shares = np.repeat([1, 3], 8) / 32  # each is an exact number of the 32 draws
    belief = drawn()._replace(log_weights=jnp.log(jnp.asarray(shares, jnp.float32)))
    promised = returns_by_hand(belief) @ shares
    ranked = np.sort(promised)
    assert ranked[-1] - ranked[-2] > 1e-4
    chosen = [greedy(belief, jax.random.key(seed)) for seed in range(3)]
    for z in chosen:
        np.testing.assert_array_equal(z, belief.z[np.argmax(promised)])


def test_the_greedy_choice_is_among_what_is_possible():
    """The best way of all is not taken if it cannot be the task's."""
    belief = drawn()._replace(log_weights=jnp.full(16, -jnp.inf).at[3].set(0.0))
    np.testing.assert_array_equal(greedy(belief, jax.random.key(0)), belief.z[3])
    promised = returns_by_hand(belief)[:, 3]
    assert np.argmax(promised) != 3


def test_extreme_weights_stay_finite():
    belief = Hypotheses(jnp.eye(4), jnp.eye(4), jnp.array([-3e4, -1e30, -2.9e4, -jnp.inf]))
    np.testing.assert_array_equal(hypotheses.at(belief, jnp.float32(0.999999)), jnp.eye(4)[2])
    assert np.isfinite(hypotheses.mean(belief)).all()


def test_the_prior_has_equal_weights():
    belief = Hypotheses(jnp.eye(4), jnp.eye(4), jnp.arange(4.0))
    flat = hypotheses.prior_where(belief, jnp.bool_(True))
    np.testing.assert_array_equal(flat.log_weights, jnp.zeros(4))
    np.testing.assert_array_equal(flat.outcome, belief.outcome)
    kept = hypotheses.prior_where(belief, jnp.bool_(False))
    np.testing.assert_array_equal(kept.log_weights, belief.log_weights)


@given(st.integers(0, 2**31 - 1), st.integers(1, 40), st.integers(1, 9))
def test_each_run_of_episodes_visits_every_share_once(seed, episodes, strata):
    found = hypotheses.positions(jax.random.key(seed), episodes, strata)
    assert found.shape == (episodes, 1)
    assert np.all((found >= 0) & (found < 1))
    found = found[:, 0]
    for start in range(0, episodes - strata + 1, strata):
        run = np.sort(np.asarray(found[start : start + strata], np.float64))
        gaps = np.diff(np.append(run, run[0] + 1.0))
        np.testing.assert_allclose(gaps, 1.0 / strata, atol=1e-5)


def test_each_position_alone_is_uniform():
    keys = jax.random.split(jax.random.key(7), 4000)
    found = jax.vmap(lambda k: hypotheses.positions(k, 7, 5))(keys)
    shares = np.stack([np.histogram(column, 10, (0, 1))[0] for column in found[..., 0].T]) / 4000
    np.testing.assert_allclose(shares, 0.1, atol=0.02)


def test_later_runs_fall_into_the_gaps():
    found = np.sort(hypotheses.positions(jax.random.key(8), 20, 5)[:, 0])
    gaps = np.diff(np.append(found, found[0] + 1.0))
    assert gaps.max() < 0.09  # 20 independent draws leave about 0.18


def test_draws_of_an_episode_divide_its_share():
    one, three = (hypotheses.positions(jax.random.key(8), 7, 5, draws) for draws in (1, 3))
    np.testing.assert_allclose(np.mod(three - one, 1.0), [[0, 1 / 15, 2 / 15]] * 7, atol=1e-6)
    assert np.all((three >= 0) & (three < 1))


def test_neighbours_in_the_order_are_alike():
    angle = jax.random.uniform(jax.random.key(9), (64,)) * jnp.pi
    points = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    order = hypotheses.order_of(points)
    assert sorted(np.asarray(order).tolist()) == list(range(64))
    step = np.linalg.norm(np.diff(points[order], axis=0), axis=-1)
    shuffled = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    assert step.mean() < 0.25 * shuffled.mean()


def test_hypotheses_are_draws_from_the_prior_in_the_order_of_their_outcomes():
    found = drawn(64)
    assert found.z.shape == (64, SPACE.dim)
    expected = SPACE.sample_prior(jax.random.key(1), (64,))
    np.testing.assert_array_equal(np.sort(found.z[:, -1]), np.sort(expected[:, -1]))
    assert not np.any(np.asarray(found.log_weights))
    own = world_model.outcome(NETWORKS, PARAMS, OBS, found.z, HORIZON)
    np.testing.assert_allclose(found.outcome, own, rtol=1e-4, atol=1e-5)
    outcome = np.asarray(found.outcome)
    axis = np.argmax(np.ptp(outcome, axis=0))  # the halves are split along it
    assert np.ptp(outcome[:, axis]) > 1e-3
    assert outcome[:32, axis].max() <= outcome[32:, axis].min()


@pytest.mark.parametrize("change", ["start", "horizon"])
def test_outcomes_depend_on_the_episode(change):
    start, horizon = (OBS + 1.0, HORIZON) if change == "start" else (OBS, HORIZON + 1)
    other = hypotheses.draw(NETWORKS, SPACE, PARAMS, start, horizon, 16, jax.random.key(1))
    np.testing.assert_array_equal(np.sort(other.z[:, -1]), np.sort(drawn().z[:, -1]))
    assert not np.any(np.isclose(np.sort(other.outcome, axis=0), np.sort(drawn().outcome, axis=0)))


@pytest.mark.parametrize("count", [0, 3, 100])
def test_a_count_that_is_no_power_of_two_is_refused(count):
    with pytest.raises(ValueError, match="power of two"):
        hypotheses.order_of(jnp.zeros((count, 2)))
