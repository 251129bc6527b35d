"""MAML's adaptation, against a policy gradient in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.algos import actor
from structlat_jax.inference import adapted
from structlat_jax.inference.adapted import Tried

EPISODES, HORIZON, OBS, ACTION = 3, 4, 2, 1
DISCOUNT, RATE = 0.9, 0.3
TAKEN = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]], bool)


def tried():
    rng = np.random.default_rng(0)
    shape = (EPISODES, HORIZON)
    parts = (
        rng.normal(size=(*shape, OBS)),
        rng.normal(size=(*shape, ACTION)),
        rng.normal(size=shape),
    )
    return Tried(*(jnp.float32(x) for x in parts), jnp.asarray(TAKEN))


def by_hand(seen):
    """Advantages of each step in double precision."""
    reward = np.where(TAKEN, np.asarray(seen.reward, float), 0.0)
    ahead = np.array(
        [
            [np.sum(DISCOUNT ** np.arange(HORIZON - t) * row[t:]) for t in range(HORIZON)]
            for row in reward
        ]
    )
    mean = np.where(TAKEN, ahead, 0.0).sum(axis=0) / TAKEN.sum(axis=0)
    apart = np.where(TAKEN, ahead - mean, 0.0)
    return apart / np.sqrt((apart**2).sum() / TAKEN.sum() + 1e-8)


def test_advantages_are_against_the_mean_of_the_same_step():
    seen = tried()
    found = adapted.advantages(seen.reward, seen.taken, DISCOUNT)
    np.testing.assert_allclose(found, by_hand(seen), rtol=1e-4, atol=1e-5)


def log_density(policy, obs, drawn):
    mean = obs @ policy["w"]
    return actor.log_density(drawn, mean, policy["log_std"])


def test_a_step_goes_along_the_policy_gradient():
    seen, rng = tried(), np.random.default_rng(1)
    policy = {"w": jnp.float32(rng.normal(size=(OBS, ACTION))), "log_std": jnp.full(ACTION, -0.5)}
    after = adapted.step(log_density, policy, seen, RATE, DISCOUNT)
    gained, std = by_hand(seen), np.exp(-0.5)
    apart = (seen.drawn - seen.obs @ policy["w"]) / std
    weight = gained[..., None] * TAKEN[..., None] / TAKEN.sum()
    w = np.einsum("eto,eta->oa", seen.obs, weight * apart / std)
    log_std = np.sum(weight * (np.asarray(apart) ** 2 - 1.0), axis=(0, 1))
    np.testing.assert_allclose(after["w"] - policy["w"], RATE * w, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        after["log_std"] - policy["log_std"], RATE * log_std, rtol=1e-3, atol=1e-5
    )


def test_where_nothing_is_paid_nothing_is_learned():
    seen = tried()._replace(reward=jnp.zeros((EPISODES, HORIZON)))
    policy = {"w": jnp.ones((OBS, ACTION)), "log_std": jnp.zeros(ACTION)}
    after = adapted.step(log_density, policy, seen, RATE, DISCOUNT)
    np.testing.assert_array_equal(after["w"], policy["w"])


def test_the_step_is_differentiated_in_full():
    """Against differences of the objective behind the step."""
    seen = tried()
    policy = {"w": jnp.float32([[0.3], [-0.2]]), "log_std": jnp.zeros(ACTION)}

    def behind(w):
        own = adapted.step(log_density, {**policy, "w": w}, seen, RATE, DISCOUNT)
        return jnp.sum(own["w"] ** 2)

    found = jax.grad(behind)(policy["w"])
    size = 1e-2
    for i in range(OBS):
        change = jnp.zeros((OBS, ACTION)).at[i, 0].set(size)
        slope = (behind(policy["w"] + change) - behind(policy["w"] - change)) / (2 * size)
        np.testing.assert_allclose(found[i, 0], slope, rtol=2e-2, atol=1e-3)
    assert not np.allclose(
        found, 2 * (adapted.step(log_density, policy, seen, RATE, DISCOUNT)["w"])
    )


def test_actions_tell_what_was_drawn():
    drawn = jnp.linspace(-3.0, 3.0, 13)
    np.testing.assert_allclose(adapted.drawn_of(jnp.tanh(drawn)), drawn, rtol=1e-3, atol=1e-5)
    assert np.isfinite(adapted.drawn_of(jnp.array([1.0, -1.0]))).all()
