"""Soft actor-critic for choices: an update in NumPy, what each step may touch, and what acts."""

from functools import cache

import by_hand
import choices
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from tiny import all_finite, flat, quick_compile

from structlat_jax.algos import discrete_sac, pearl, pearl_sac, portable
from structlat_jax.config import Structure
from structlat_jax.data.batches import Batch, Context
from structlat_jax.envs.host.policy import actor
from structlat_jax.latents import latent_space
from structlat_jax.nets.heads import acting_noise, choose
from structlat_jax.nets.networks import DiscreteNetworks, make_networks
from structlat_jax.shapes import Transition
from structlat_jax.train.learn import init, meta_step

OBS, ACTIONS, T, B = 2, 4, 3, 5
SPACE = latent_space("gau:2", precision="exp")
STRUCTURE = Structure(width=8, depth=1, encoder_width=8, encoder_depth=1)
NETWORKS = make_networks(STRUCTURE, OBS, ACTIONS, SPACE.dim, SPACE.stat_dim, discrete=True)
ACTOR = pearl.actor_critic(NETWORKS)
USED = {
    "lr": 1e-2,
    "discount": 0.9,
    "tau": 0.1,
    "reward_scale": 3.0,
    "entropy_weight": 0.5,
    "mean_reg": 1e-2,
}
C = pearl_sac.Coefficients(
    **USED, **dict.fromkeys(set(pearl_sac.Coefficients._fields) - set(USED), 0.0)
)


def normal(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


@cache
def params(seed=0):
    rng, shapes = np.random.default_rng(seed), jax.eval_shape(NETWORKS.zeros)
    return jax.tree.map(lambda x: 0.5 * normal(rng, *x.shape), shapes)


@cache
def batch():
    rng = np.random.default_rng(0)
    t = Transition(
        obs=normal(rng, T, B, OBS),
        action=np.eye(ACTIONS, dtype=np.float32)[rng.integers(ACTIONS, size=(T, B))],
        reward=np.full((T, B), np.float32(np.nan)),  # the actor-critic must not see it
        train_reward=normal(rng, T, B),
        next_obs=normal(rng, T, B, OBS),
        done=np.float32(rng.uniform(size=(T, B)) < 0.3),
    )
    context = Context(
        features=normal(rng, T, 1, OBS + ACTIONS + 1),
        length=np.ones(T, np.int32),
        owners=np.eye(T, dtype=np.float32),
        failed=np.ones(T, np.float32),
    )
    noise = np.full((T, B, ACTIONS), np.float32(np.nan))  # expectations need none
    start = np.full((T, OBS), np.float32(np.nan))
    latent = normal(rng, T, SPACE.dim)
    return Batch(t, start, context, latent, noise, jax.random.key(0))


@cache
def updated():
    """Parameters after one update, its losses, and z."""

    def run(p, one):
        posterior = pearl.make(NETWORKS, SPACE).posterior(p, one)
        moments = pearl_sac.init_optimisers(p)
        after, _, losses = pearl_sac.update(ACTOR, SPACE, p, moments, one, C)
        return after, losses, SPACE.transform(posterior, one.latent_noise)

    return jax.device_get(jax.jit(run)(params(), batch()))


def wide(z):
    return np.broadcast_to(np.float64(z)[:, None], (T, B, SPACE.dim))


def of(net, obs, z):
    """Every choice's number, ``[T, B, A]``, in double precision."""
    return by_hand.mlp(net, np.concatenate([np.float64(obs), wide(z)], axis=-1))


def critics(q, obs, z):
    return np.stack([of(jax.tree.map(lambda x, i=i: x[i], q), obs, z) for i in range(2)])


def log_softmax(logits):
    return logits - logsumexp(logits, axis=-1, keepdims=True)


def value_by_hand(q, policy, obs, z):
    """Twice, since both losses have it: a state's value, and the policy that it is of."""
    log_pi = log_softmax(of(policy, obs, z))
    low = critics(q, obs, z).min(axis=0)
    return np.sum(np.exp(log_pi) * (low - 0.5 * log_pi), axis=-1), low, log_pi


def errors_by_hand():
    """``Q - y`` of both critics before the update, ``[2, T, B]``."""
    p, (_, _, z), t = params(), updated(), batch().transitions
    value = value_by_hand(p.target_v, p.policy, t.next_obs, z)[0]
    target = 3.0 * t.train_reward + 0.9 * (1.0 - t.done) * value
    return np.sum(critics(p.q, t.obs, z) * t.action, axis=-1) - target


def hidden(net, obs, z):
    """What the head reads, ``[T, B, width]``."""
    p = jax.tree.map(np.float64, net["params"])
    x = np.concatenate([np.float64(obs), wide(z)], axis=-1)
    return np.maximum(x @ p["kernel_0"] + p["bias_0"], 0.0)


def adam(before, gradient, rate=1e-2):
    """Adam's first step goes by the sign of the gradient, but for what is added to its size."""
    return before - rate * gradient / (np.abs(gradient) + 1e-8)


def test_the_critics_loss():
    _, losses, _ = updated()
    np.testing.assert_allclose(losses.q, np.sum(np.mean(errors_by_hand() ** 2, (1, 2))), rtol=1e-4)
    assert losses.v is None


def test_the_critics_heads_after_one_step():
    p, (after, _, z), t = params(), updated(), batch().transitions
    errors = errors_by_hand()
    for i in range(2):
        one = jax.tree.map(lambda x, i=i: x[i], p.q)
        per_choice = 2.0 * errors[i][..., None] * t.action / (T * B)
        kernel = np.einsum("tbw,tba->wa", hidden(one, t.obs, z), per_choice)
        for name, gradient in (("kernel_head", kernel), ("bias_head", per_choice.sum((0, 1)))):
            big = np.abs(gradient) > 1e-5  # elsewhere the sign is a matter of rounding
            expected = adam(np.float64(one["params"][name]), gradient)
            found = after.q["params"][name][i]
            np.testing.assert_allclose(found[big], expected[big], rtol=1e-4, atol=1e-5)


def test_the_policys_loss_and_its_head_after_one_step():
    """The gradient of ``sum pi (c log pi - Q)`` is ``pi (c log pi - Q - its mean)``."""
    p, (after, losses, z), obs = params(), updated(), batch().transitions.obs
    value, low, log_pi = value_by_hand(after.q, p.policy, obs, z)
    logits = of(p.policy, obs, z)
    expected = -value.mean() + 1e-2 * np.mean(logits**2)
    np.testing.assert_allclose(losses.policy, expected, rtol=1e-4)
    entropy = -np.mean(np.sum(np.exp(log_pi) * log_pi, axis=-1))
    np.testing.assert_allclose(losses.entropy, entropy, rtol=1e-4)
    per_choice = np.exp(log_pi) * (0.5 * log_pi - low + value[..., None]) / (T * B)
    per_choice += 2e-2 * logits / logits.size
    kernel = np.einsum("tbw,tba->wa", hidden(p.policy, obs, z), per_choice)
    big = np.abs(kernel) > 1e-5
    found = after.policy["params"]["kernel_head"]
    expected = adam(np.float64(p.policy["params"]["kernel_head"]), kernel)
    np.testing.assert_allclose(found[big], expected[big], rtol=1e-4, atol=1e-5)


def test_the_target_critics_follow_slowly_and_there_is_no_value_network():
    p, (after, _, _) = params(), updated()
    mixed = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, p.target_v, after.q)
    np.testing.assert_allclose(flat(after.target_v), flat(mixed), rtol=1e-5, atol=1e-7)
    assert after.v == p.v == {}


def test_training_starts_with_target_critics_that_are_the_critics():
    started = ACTOR.start(params())
    np.testing.assert_array_equal(flat(started.target_v), flat(started.q))
    assert np.any(flat(started.target_v) != flat(params().target_v))


def test_the_value_of_a_state():
    """Of the lower critic, and the entropy on top: with equal chances ``log A`` of it."""
    q = jnp.array([[1.0, 4.0], [3.0, 2.0]])
    found = discrete_sac.soft_value(q, jnp.zeros(2), 0.5)
    np.testing.assert_allclose(found, 1.5 + 0.5 * np.log(2.0), rtol=1e-6)


def test_what_acts_draws_by_the_policys_chances():
    logits = jnp.array([0.0, 1.0, -1.0, 2.0])

    def draw(key):
        return choose(jnp.broadcast_to(logits, (40_000, 4)), acting_noise(key, (40_000, 4), True))

    drawn = np.asarray(jax.jit(draw)(jax.random.key(0)))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_array_equal(drawn.sum(axis=-1), 1.0)
    np.testing.assert_allclose(drawn.mean(axis=0), jax.nn.softmax(logits), atol=0.01)
    np.testing.assert_array_equal(choose(logits, None), [0, 0, 0, 1])


def test_workers_of_host_environments_make_the_same_choices():
    p, rng = params(), np.random.default_rng(1)
    obs, z, noise = normal(rng, 50, OBS), normal(rng, SPACE.dim), rng.gumbel(size=(50, ACTIONS))
    act = actor(portable.of_mlp(jax.tree.map(np.asarray, p.policy)), z, discrete=True)
    for given in (noise.astype(np.float32), None):
        ours = jax.jit(ACTOR.act)(p, obs, jnp.asarray(z), given)
        its = [act(one, None if given is None else given[i]) for i, one in enumerate(obs)]
        np.testing.assert_array_equal(ours, its)


KINDS = {
    "context": {"posterior": "context", "inference": "hypotheses"},
    "task": {"posterior": "task", "inference": "auto", "latent": "dir:1x3,gau:1"},
    "truth": {"posterior": "truth", "inference": "decoded", "explorer": "smooth"},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_posterior_learns_from_choices(kind):
    """Two meta-steps are finite, change what they are to change, and keep one-hot actions."""
    own = choices.setup("chain", **KINDS[kind])
    assert isinstance(own.networks, DiscreteNetworks)
    with quick_compile():
        before = jax.jit(lambda key: init(own, key))(jax.random.key(0))
        step = jax.jit(lambda state: meta_step(own, own.config.hyper, state))
        after, metrics = step(step(before)[0])
    assert all_finite(after)
    assert all_finite(metrics)
    assert "v" not in metrics
    for name in ("encoder", "q", "target_v", "policy"):
        old, new = (flat(getattr(x.params, name)) for x in (before, after))
        assert np.any(old != new), name
    assert own.blocks == 2  # so that two steps fill the replay
    actions = np.asarray(own.layout.unpack(after.replay.rows).action).reshape(-1, 3)
    assert set(np.unique(actions)) == {0.0, 1.0}
    np.testing.assert_array_equal(actions.sum(axis=-1), 1.0)
