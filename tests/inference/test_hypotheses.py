"""Bayes' rule over draws from the prior: weights by hand, positions that spread, order."""

from functools import cache

import by_hand
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError
from tiny import mixture_log_density

from structlat_jax.algos import pearl
from structlat_jax.config import Structure
from structlat_jax.inference import hypotheses, world_model
from structlat_jax.inference.hypotheses import Hypotheses
from structlat_jax.latents import latent_space
from structlat_jax.nets.init import initialise
from structlat_jax.nets.networks import make_networks
from structlat_jax.shapes import Transition

SPACE = latent_space("cat:1x3,gau:1")
NETWORKS = make_networks(Structure(width=8, depth=1), 2, 1, SPACE.dim, SPACE.stat_dim)
MODEL = world_model.make(8, 2, 1)
READER = world_model.reader(MODEL)
SHAPES = jax.eval_shape(lambda: (NETWORKS.zeros(), MODEL.zeros()))
ZEROS = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), SHAPES)
AGENT, WORLD = initialise(jax.random.key(0), ZEROS, "he", world_model.SMALL_HEADS)
WORLD["dynamics"]["params"]["linear"] = jnp.array([[0, 0], [0, 0], [1.5, -0.8]])  # it moves
OBS = jnp.array([0.3, -0.2])
HORIZON = 5
LEADS = jnp.array([[1.0, 0.0], [0.0, 1.0]])  # of two groups of two


def act(obs, z):
    return pearl.make(NETWORKS, SPACE).act(AGENT, obs, z, None)


def test_what_acts_is_the_mode_of_the_policy():
    z = drawn().z
    x = np.concatenate([np.broadcast_to(OBS, (len(z), 2)), z], axis=-1)
    expected = np.tanh(by_hand.mlp(AGENT.policy, x)[:, :1])
    np.testing.assert_allclose(jax.jit(act)(OBS, z), expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(expected) > 0.1


@cache
def draw(count, horizon=HORIZON):
    """`hypotheses.draw` from a given start."""
    given = (horizon, count, jax.random.key(1))
    return jax.jit(lambda obs: hypotheses.draw(READER, WORLD, act, SPACE, obs, *given))


def drawn(count=16):
    return draw(count)(OBS)


def update(before, seen, exponent, length=None):
    return _update(
        before, seen, jnp.int32(seen.reward.size if length is None else length), exponent
    )


@jax.jit
def _update(before, seen, length, exponent):
    return hypotheses.update(READER, WORLD, before, seen, length, exponent)


def episode(seed, steps=9):
    keys = jax.random.split(jax.random.key(seed), 3)
    obs, action = jax.random.normal(keys[0], (steps, 2)), jax.random.normal(keys[1], (steps, 1))
    reward = jnp.maximum(jax.random.uniform(keys[2], (steps,), minval=-1.0), 0.0)
    return Transition(obs, action, reward, -reward, obs, jnp.zeros(steps))


def test_weights_are_a_power_of_the_likelihood():
    before, seen = drawn(), episode(2)
    assert 0 < np.sum(np.asarray(seen.reward) != 0) < 9
    before = before._replace(log_weights=jnp.linspace(-1.0, 1.0, 16))
    after = update(before, seen, jnp.float32(0.3))
    np.testing.assert_array_equal(after.z, before.z)
    np.testing.assert_array_equal(after.reading, before.reading)
    for destination, prior, weight in zip(*before[1:3], after.log_weights, strict=True):
        predicted = MODEL.reward(WORLD, seen.obs, seen.action, destination)
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
    lengths = jnp.array([9, 4, 1])
    over = jax.vmap(_update, in_axes=(None, 0, 0, None))
    together = over(drawn(), stacked, lengths, 0.5).log_weights
    alone = [
        update(drawn(), *each).log_weights
        for each in zip(episodes, [0.5] * 3, lengths, strict=True)
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("beyond", [0.0, np.nan])
@pytest.mark.parametrize("length", [0, 1, 4])
def test_only_the_steps_before_the_end_count(length, beyond):
    """Whatever stands behind it: zeros, or numbers that are none."""
    seen = jax.device_get(episode(6))
    alone = jax.tree.map(lambda x: x[:length], seen)
    expected = update(drawn(), alone, 0.5) if length else drawn()
    spoiled = jax.tree.map(np.copy, seen)
    for x in spoiled:
        x[length:] = beyond
    got = update(drawn(), spoiled, 0.5, length)
    np.testing.assert_allclose(got.log_weights, expected.log_weights, rtol=1e-4, atol=1e-5)


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
    belief = Hypotheses(z, jnp.zeros((4, 2)), jnp.log(weights), LEADS)
    at = jax.vmap(lambda p: hypotheses.at(belief, p))((jnp.arange(1000) + 0.5) / 1000)
    counts = np.bincount(np.asarray(at[:, 0], int), minlength=4)
    np.testing.assert_allclose(counts / 1000, weights, atol=2e-3)
    assert float(hypotheses.mean(belief)[0]) == pytest.approx(1.9)
    squares = 0.1 * 1.9**2 + 0.4 * 0.9**2 + 0.5 * 1.1**2
    assert float(hypotheses.spread(belief)[0]) == pytest.approx(squares**0.5)
    np.testing.assert_allclose(hypotheses.group_weights(belief), [0.5, 0.5], rtol=1e-6)


def test_groups_lead_to_the_mean_of_where_their_members_do():
    few, many = drawn(), drawn(128)
    np.testing.assert_allclose(few.leads, few.reading, rtol=1e-6)  # each is a group of its own
    pairs = np.asarray(many.reading).reshape(64, 2, 2).mean(axis=1)
    np.testing.assert_allclose(many.leads, pairs, rtol=1e-5, atol=1e-6)


@jax.jit
def greedy(belief, key):
    return hypotheses.greedy(READER, WORLD, act, belief, OBS, HORIZON, key)


def returns_by_hand(belief):
    """Of every hypothesis as a way to act, the expected return in the task of every other."""
    table = np.zeros((16, 16))
    for i, z in enumerate(belief.z):
        obs = OBS
        for _ in range(HORIZON):
            action = act(obs, z)
            logit, mean, _ = MODEL.reward(WORLD, obs, action, belief.reading)
            table[i] += np.asarray(mean / (1.0 + jnp.exp(-logit)))
            obs = MODEL.next_obs(WORLD, obs, action)
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
    belief = Hypotheses(jnp.eye(4), jnp.eye(4), jnp.array([-3e4, -1e30, -2.9e4, -jnp.inf]), LEADS)
    np.testing.assert_array_equal(hypotheses.at(belief, jnp.float32(0.999999)), jnp.eye(4)[2])
    assert np.isfinite(hypotheses.mean(belief)).all()


def test_the_prior_has_equal_weights():
    belief = Hypotheses(jnp.eye(4), jnp.eye(4), jnp.arange(4.0), LEADS)
    flat = hypotheses.prior_where(belief, jnp.bool_(True))
    np.testing.assert_array_equal(flat.log_weights, jnp.zeros(4))
    np.testing.assert_array_equal(flat.reading, belief.reading)
    kept = hypotheses.prior_where(belief, jnp.bool_(False))
    np.testing.assert_array_equal(kept.log_weights, belief.log_weights)


SHARES = [(1, 1), (3, 5), (5, 5), (20, 5), (40, 9), (17, 1), (8, 2)]


@pytest.mark.parametrize(("episodes", "strata"), SHARES)
def test_each_run_of_episodes_visits_every_share_once(episodes, strata):
    keys = jax.random.split(jax.random.key(3), 50)
    run = jax.jit(jax.vmap(lambda key: hypotheses.positions(key, episodes, strata)))
    found = np.asarray(run(keys))
    assert found.shape == (50, episodes, 1)
    assert np.all((found >= 0) & (found < 1))
    for start in range(0, episodes - strata + 1, strata):
        visited = np.sort(np.float64(found[:, start : start + strata, 0]), axis=1)
        gaps = np.diff(np.append(visited, visited[:, :1] + 1.0, axis=1), axis=1)
        np.testing.assert_allclose(gaps, 1.0 / strata, atol=1e-5)


def test_each_position_alone_is_uniform():
    keys = jax.random.split(jax.random.key(7), 4000)
    found = jax.jit(jax.vmap(lambda k: hypotheses.positions(k, 7, 5)))(keys)
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
    order = jax.jit(hypotheses.order_of)(points)
    assert sorted(np.asarray(order).tolist()) == list(range(64))
    step = np.linalg.norm(np.diff(points[order], axis=0), axis=-1)
    shuffled = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    assert step.mean() < 0.25 * shuffled.mean()


def test_hypotheses_are_draws_from_the_prior_in_the_order_of_their_destinations():
    found = drawn(64)
    assert found.z.shape == (64, SPACE.dim)
    expected = SPACE.sample_prior(jax.random.key(1), (64,))
    np.testing.assert_allclose(np.sort(found.z[:, -1]), np.sort(expected[:, -1]), rtol=1e-5)
    assert not np.any(np.asarray(found.log_weights))
    own = world_model.imagine(MODEL, WORLD, act, OBS, found.z, HORIZON).destination
    np.testing.assert_allclose(found.reading, own, rtol=1e-4, atol=1e-5)
    destination = np.asarray(found.reading)
    axis = np.argmax(np.ptp(destination, axis=0))  # the halves are split along it
    assert np.ptp(destination[:, axis]) > 1e-3
    assert destination[:32, axis].max() <= destination[32:, axis].min()


@pytest.mark.parametrize("change", ["start", "horizon"])
def test_outcomes_depend_on_the_episode(change):
    start, horizon = (OBS + 1.0, HORIZON) if change == "start" else (OBS, HORIZON + 1)
    other = draw(16, horizon)(start)
    np.testing.assert_array_equal(np.sort(other.z[:, -1]), np.sort(drawn().z[:, -1]))
    assert not np.any(np.isclose(np.sort(other.reading, axis=0), np.sort(drawn().reading, axis=0)))


@pytest.mark.parametrize("count", [0, 3, 100])
def test_a_count_that_is_no_power_of_two_is_refused(count):
    with pytest.raises(ValueError, match="power of two"):
        hypotheses.order_of(jnp.zeros((count, 2)))


def test_a_wrong_shape_raises():
    with pytest.raises(TypeCheckError, match="position"):
        hypotheses.at(drawn(), jnp.zeros(2))
    with pytest.raises(TypeCheckError, match="action"):
        MODEL.next_obs(WORLD, OBS, jnp.zeros(3))
