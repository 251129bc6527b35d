"""Proximal policy optimisation, against NumPy: advantages, one whole update, units of values."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structlat_jax.algos import ppo
from structlat_jax.algos.actor import Actor, Targets
from structlat_jax.config import Hyper
from structlat_jax.nets import optim
from structlat_jax.nets.mlp import MLP

DISCOUNT, DECAY = 0.9, 0.8
TRIALS, STEPS, OBS, ACTION = 3, 6, 2, 2
VALID = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 1, 1], [1, 0, 1, 1, 1, 0]], bool)


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def advantages_by_hand(reward, value, valid):
    """Of one trial: its valid steps as an episode without gaps, each return a plain sum."""
    kept = np.flatnonzero(valid)
    r, v = reward[kept].astype(float), np.append(value[kept].astype(float), 0.0)
    errors = r + DISCOUNT * v[1:] - v[:-1]
    found = np.zeros(len(reward))
    for i, at in enumerate(kept):
        weights = (DISCOUNT * DECAY) ** np.arange(len(kept) - i)
        found[at] = np.sum(weights * errors[i:])
    return found


def test_advantages_pass_over_steps_that_were_not_taken():
    reward, value = draw(0, TRIALS, STEPS), draw(1, TRIALS, STEPS)
    found = ppo.advantages(*map(jnp.asarray, (reward, value, VALID)), DISCOUNT, DECAY)
    expected = [advantages_by_hand(*each) for each in zip(reward, value, VALID, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.fixture
def taken():
    return ppo.Taken(
        obs=jnp.asarray(draw(2, TRIALS, STEPS, OBS)),
        given=jnp.zeros((TRIALS, STEPS, 1)),
        features=jnp.zeros((TRIALS, STEPS, 1)),
        drawn=jnp.asarray(draw(3, TRIALS, STEPS, ACTION)),
        log_prob=jnp.asarray(draw(4, TRIALS, STEPS) - 2.0),
        advantage=jnp.asarray(draw(5, TRIALS, STEPS)),
        target=jnp.asarray(3.0 * draw(6, TRIALS, STEPS)),
        valid=jnp.ones(VALID.shape, bool),
        acted=jnp.asarray(VALID),
    )


class Linear(MLP):
    """No hidden layers; what is given beside ``x`` is not looked at."""

    @nn.compact
    def __call__(self, x, z=None):
        zeros = nn.initializers.zeros_init()
        kernel = self.param("kernel_head", zeros, (x.shape[-1], self.out))
        return x @ kernel + self.param("bias_head", zeros, (self.out,))


@pytest.fixture
def linear():
    """An actor without hidden layers, whose gradients are written by hand below."""
    actor = Actor(Linear(1, 0, ACTION), Linear(1, 0, 1), (OBS, 1))
    rng = np.random.default_rng(7)
    params = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=x.shape) * 0.5, jnp.float32), actor.zeros()
    )
    return actor, params


def step_by_hand(params, targets, taken, c):
    """Loss and gradients of a linear actor in double precision, and Adam's first step."""
    obs, drawn, old, gained, target, valid = (
        np.asarray(x, float)
        for x in (
            *(taken.obs, taken.drawn, taken.log_prob, taken.advantage, taken.target),
            taken.acted,
        )
    )
    net, head = params["policy"]["net"]["params"], params["v"]["params"]
    log_std = np.asarray(params["policy"]["log_std"], float)
    apart = (drawn - obs @ net["kernel_head"] - net["bias_head"]) / np.exp(log_std)
    ratio = np.exp(-np.sum(0.5 * apart**2 + log_std, axis=-1) - old)
    count = valid.sum()
    plain, cut = ratio * gained, np.clip(ratio, 1 - c.clip, 1 + c.clip) * gained
    policy = -np.sum(valid * np.minimum(plain, cut)) / count
    # A clipped ratio has no gradient.
    weight = -(valid * ratio * gained * (plain <= cut)) / count
    into_mean = weight[..., None] * apart / np.exp(log_std)
    error = (
        (obs @ head["kernel_head"])[..., 0]
        + head["bias_head"]
        - np.asarray((target - targets.mean) / targets.spread)
    )
    v = np.sum(valid * error**2) / count
    into_value = c.value_weight * 2.0 * valid * error / count
    entropy = np.sum(log_std + 0.5 * np.log(2 * np.pi * np.e))
    grads = {
        "policy kernel": np.einsum("mlo,mla->oa", obs, into_mean),
        "policy bias": into_mean.sum(axis=(0, 1)),
        "log_std": np.sum(weight[..., None] * (apart**2 - 1.0), axis=(0, 1)) - c.entropy_weight,
        "v kernel": np.einsum("mlo,ml->o", obs, into_value)[:, None],
        "v bias": into_value.sum()[None],
    }
    norm = np.sqrt(sum(np.sum(g**2) for g in grads.values()))
    grads = {n: g * min(1.0, ppo.LARGEST_GRADIENT / norm) for n, g in grads.items()}
    loss = policy + c.value_weight * v - c.entropy_weight * entropy
    return loss, {n: -c.lr * g / (np.abs(g) + 1e-8) for n, g in grads.items()}, norm


@pytest.mark.parametrize("clip", [0.2, 50.0])
def test_one_update_is_what_the_formulas_say(linear, taken, clip):
    actor, params = linear
    targets = Targets(jnp.float32(0.7), jnp.float32(2.0))
    rates = {"lr": 1e-2, "clip": clip, "entropy_weight": 0.05, "lr_decay_start": 5.0}
    hyper = Hyper(**rates)
    c = ppo.coefficients_at(hyper, jnp.int32(0))
    expected, moved, norm = step_by_hand(params, targets, taken, c)
    assert norm > ppo.LARGEST_GRADIENT  # so that the gradient is shortened

    def objective(own, some, c):
        return ppo.loss(actor, own, targets, some, some.given, c)

    np.testing.assert_allclose(objective(params, taken, c)[0], expected, rtol=1e-5)
    start = jnp.int32(0)
    after, _, terms = ppo.improve(
        *(objective, hyper, params, optim.init(params), taken, start),
        *((1, 1), jax.random.key(0)),
    )
    change = jax.tree.map(lambda a, b: np.asarray(a, float) - np.asarray(b, float), after, params)
    found = {
        "policy kernel": change["policy"]["net"]["params"]["kernel_head"],
        "policy bias": change["policy"]["net"]["params"]["bias_head"],
        "log_std": change["policy"]["log_std"],
        "v kernel": change["v"]["params"]["kernel_head"],
        "v bias": change["v"]["params"]["bias_head"],
    }
    for name, value in moved.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-3, atol=1e-6, err_msg=name)
    assert terms["policy"].shape == (1,)


def test_new_units_leave_values_as_they_are(linear, taken):
    actor, params = linear
    before = Targets(jnp.float32(0.7), jnp.float32(2.0))
    v, after = ppo.rescaled(params["v"], before, taken)
    assert float(after.spread) != float(before.spread)
    values = [
        actor.value(own, targets, taken.obs, taken.given)
        for own, targets in ((params["v"], before), (v, after))
    ]
    np.testing.assert_allclose(*values, rtol=1e-5, atol=1e-6)


def test_every_trial_is_seen_once_per_epoch(linear, taken):
    """The objective's gradient is which trials it saw; Adam's first step moves each of them."""
    seen = {"trial": jnp.eye(6)}
    own = {"seen": jnp.zeros(6)}

    def objective(own, some, c):
        total = jnp.sum(some["trial"], axis=0)
        return jnp.sum(own["seen"] * total), {"total": total}

    given = (objective, Hyper(), own, optim.init(own), seen, jnp.int32(0))
    terms = ppo.improve(*given, (4, 2), jax.random.key(0))[2]["total"]
    np.testing.assert_array_equal(terms[:2].sum(axis=0), np.ones(6))
    np.testing.assert_array_equal(terms[2:].sum(axis=0), np.ones(6))
    assert not np.array_equal(terms[0], terms[2])  # another order
