"""Bayes' rule over draws from the prior: weights by hand, positions that spread, order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structlat_jax import hypotheses
from structlat_jax.config import Structure
from structlat_jax.hypotheses import Hypotheses
from structlat_jax.latents import latent_space
from structlat_jax.networks import make_networks
from structlat_jax.types import Transition

SPACE = latent_space("cat:1x3,gau:1")
NETWORKS = make_networks(Structure(width=8, depth=1), 2, 1, SPACE.dim, SPACE.stat_dim)
PARAMS = NETWORKS.init(jax.random.key(0))
OBS = jnp.array([0.3, -0.2])


def drawn(count=16, seed=1):
    return hypotheses.draw(NETWORKS, SPACE, PARAMS, OBS, count, jax.random.key(seed))


def episode(seed, steps=5):
    keys = jax.random.split(jax.random.key(seed), 3)
    obs, action = jax.random.normal(keys[0], (steps, 2)), jax.random.normal(keys[1], (steps, 1))
    reward = jax.random.uniform(keys[2], (steps,))
    return Transition(obs, action, reward, -reward, obs, jnp.zeros(steps))


def test_weights_are_those_of_a_normal_likelihood():
    before, seen = drawn(), episode(2)
    after = hypotheses.update(NETWORKS, PARAMS, before, seen, jnp.float32(0.3))
    for z, weight in zip(before.z, after.log_weights, strict=True):
        misfit = [
            float(NETWORKS.reward(PARAMS.reward, seen.obs[t], seen.action[t], z)) - seen.reward[t]
            for t in range(5)
        ]
        assert weight == pytest.approx(-np.sum(np.square(misfit)) / (2 * 0.3**2), rel=1e-4)


def test_evidence_adds_in_any_order():
    one, other = episode(3), episode(4)

    def after(*episodes):
        belief = drawn()
        for seen in episodes:
            belief = hypotheses.update(NETWORKS, PARAMS, belief, seen, jnp.float32(0.5))
        return belief.log_weights

    np.testing.assert_allclose(after(one, other), after(other, one), rtol=1e-5)


def test_only_the_own_reward_counts():
    seen = episode(5)
    other = seen._replace(train_reward=seen.train_reward + 7.0, next_obs=seen.next_obs + 1.0)
    weights = [
        hypotheses.update(NETWORKS, PARAMS, drawn(), t, jnp.float32(0.5)).log_weights
        for t in (seen, other)
    ]
    np.testing.assert_array_equal(*weights)


def test_positions_draw_in_proportion_to_the_weights():
    z = jnp.arange(4.0)[:, None]
    weights = jnp.array([0.1, 0.4, 0.0, 0.5])
    belief = Hypotheses(z, jnp.log(weights))
    at = jax.vmap(lambda p: hypotheses.at(belief, p))((jnp.arange(1000) + 0.5) / 1000)
    counts = np.bincount(np.asarray(at[:, 0], int), minlength=4)
    np.testing.assert_allclose(counts / 1000, weights, atol=2e-3)
    assert float(hypotheses.mean(belief)[0]) == pytest.approx(1.9)


def test_extreme_weights_stay_finite():
    belief = Hypotheses(jnp.eye(4), jnp.array([-3e4, -1e30, -2.9e4, -jnp.inf]))
    np.testing.assert_array_equal(hypotheses.at(belief, jnp.float32(0.999999)), jnp.eye(4)[2])
    assert np.isfinite(hypotheses.mean(belief)).all()


def test_the_prior_has_equal_weights():
    belief = Hypotheses(jnp.eye(4), jnp.arange(4.0))
    flat = hypotheses.prior_where(belief, jnp.bool_(True))
    np.testing.assert_array_equal(flat.log_weights, jnp.zeros(4))
    kept = hypotheses.prior_where(belief, jnp.bool_(False))
    np.testing.assert_array_equal(kept.log_weights, belief.log_weights)


@given(st.integers(0, 2**31 - 1), st.integers(1, 40), st.integers(1, 9))
def test_each_run_of_episodes_visits_every_share_once(seed, episodes, strata):
    found = hypotheses.positions(jax.random.key(seed), episodes, strata)
    assert found.shape == (episodes,)
    assert np.all((found >= 0) & (found < 1))
    for start in range(0, episodes - strata + 1, strata):
        run = np.sort(np.asarray(found[start : start + strata], np.float64))
        gaps = np.diff(np.append(run, run[0] + 1.0))
        np.testing.assert_allclose(gaps, 1.0 / strata, atol=1e-5)


def test_each_position_alone_is_uniform():
    keys = jax.random.split(jax.random.key(7), 4000)
    found = jax.vmap(lambda k: hypotheses.positions(k, 7, 5))(keys)
    shares = np.stack([np.histogram(column, 10, (0, 1))[0] for column in found.T]) / 4000
    np.testing.assert_allclose(shares, 0.1, atol=0.02)


def test_later_runs_fall_into_the_gaps():
    found = np.sort(hypotheses.positions(jax.random.key(8), 20, 5))
    gaps = np.diff(np.append(found, found[0] + 1.0))
    assert gaps.max() < 0.09  # 20 independent draws leave about 0.18


def test_neighbours_in_the_order_are_alike():
    angle = jax.random.uniform(jax.random.key(9), (64,)) * jnp.pi
    points = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    order = hypotheses.order_of(points)
    assert sorted(np.asarray(order).tolist()) == list(range(64))
    step = np.linalg.norm(np.diff(points[order], axis=0), axis=-1)
    shuffled = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    assert step.mean() < 0.25 * shuffled.mean()


def test_hypotheses_are_draws_from_the_prior_in_that_order():
    found = drawn(64)
    assert found.z.shape == (64, SPACE.dim)
    expected = SPACE.sample_prior(jax.random.key(1), (64,))
    np.testing.assert_array_equal(np.sort(found.z[:, -1]), np.sort(expected[:, -1]))
    actions = jnp.tanh(NETWORKS.policy(PARAMS.policy, OBS, found.z)[0])[:, 0]
    assert np.all(np.diff(actions) >= 0)  # one action: the order is its own


@pytest.mark.parametrize("count", [0, 3, 100])
def test_a_count_that_is_no_power_of_two_is_refused(count):
    with pytest.raises(ValueError, match="power of two"):
        hypotheses.order_of(jnp.zeros((count, 2)))
