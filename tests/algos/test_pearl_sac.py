"""The losses term by term, what each step of the update may touch, and a probe with known Q."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from structlat_jax.algos import pearl, pearl_sac
from structlat_jax.config import Structure
from structlat_jax.data.batches import Batch, Context
from structlat_jax.latents import latent_space
from structlat_jax.nets.heads import squash
from structlat_jax.nets.networks import make_networks
from structlat_jax.shapes import Transition

OBS, ACTION, T, B, N = 2, 2, 3, 4, 5
SPACE = latent_space("cat:1x3,gau:2", precision="exp")
STRUCTURE = Structure(width=8, depth=1, encoder_width=8, encoder_depth=1)
NETWORKS = make_networks(STRUCTURE, OBS, ACTION, SPACE.dim, SPACE.stat_dim)
ACTOR = pearl.actor_critic(NETWORKS)
PEARL = {
    "lr": 1e-2,
    "encoder_lr": 2e-2,
    "discount": 0.9,
    "tau": 0.1,
    "reward_scale": 3.0,
    "entropy_weight": 0.5,
    "kl_weight": 0.2,
    "mean_reg": 1e-3,
    "std_reg": 3e-3,
}
BEYOND_PEARL = set(pearl_sac.Coefficients._fields) - set(PEARL)
C = pearl_sac.Coefficients(**PEARL, **dict.fromkeys(BEYOND_PEARL, 0.0))


@cache
def params(seed=0):
    """Random parameters of the right shapes; the initialisers themselves compile slowly."""
    rng, shapes = np.random.default_rng(seed), jax.eval_shape(NETWORKS.zeros)
    random = jax.tree.map(lambda x: np.asarray(0.4 * rng.normal(size=x.shape), x.dtype), shapes)
    return random._replace(target_v=random.v)


def make_batch(seed=0, done=0.3, tasks=T, size=B):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    t = Transition(
        obs=normal(tasks, size, OBS),
        action=np.tanh(normal(tasks, size, ACTION)),
        reward=np.full((tasks, size), np.float32(np.nan)),  # the actor-critic must not see it
        train_reward=normal(tasks, size),
        next_obs=normal(tasks, size, OBS),
        done=np.float32(rng.uniform(size=(tasks, size)) < done),
    )
    # Episodes of one step; the first task has three of them, the others N.
    owners = np.kron(np.eye(tasks), np.ones((1, N))).astype(np.float32)
    owners[0, 3:N] = 0.0
    context = Context(
        features=normal(tasks * N, 1, OBS + ACTION + 1),
        length=np.ones(tasks * N, np.int32),
        owners=owners,
        failed=np.float32(np.arange(tasks * N) % N >= 2),
    )
    return Batch(
        transitions=t,
        start=np.full((tasks, OBS), np.float32(np.nan)),  # nor where episodes start
        context=context,
        latent_noise=normal(tasks, SPACE.dim),
        action_noise=normal(tasks, size, ACTION),
        kl_key=jax.random.key(seed),
    )


def critic(p, batch, c=C):
    """Value, auxiliaries and gradients with respect to encoder, critics and target network."""
    # Not itself jitted: a default argument of a jitted function compiles once more.
    return jax.device_get(_critic(p, batch, c))


@jax.jit
def _critic(p, batch, c):
    def loss(trained, target):
        return pearl_sac.critic_loss(trained, p._replace(target_v=target), ACTOR, SPACE, batch, c)

    grad = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    return grad((p.encoder, p.q), p.target_v)


def update(p, batch, c=C):
    return jax.device_get(_update(p, batch, c))


@jax.jit
def _update(p, batch, c):
    return pearl_sac.update(ACTOR, SPACE, p, pearl_sac.init_optimisers(p), batch, c)


@jax.jit
def policy_terms(p, q, batch, z):
    return pearl_sac.policy_loss(p.policy, q, NETWORKS, batch, z, C)


def largest(tree):
    return max(float(np.max(np.abs(x))) for x in jax.tree.leaves(tree))


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), a, b)


def differ(a, b):
    return any(np.any(x != y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


def test_critic_loss_is_the_bellman_error_of_both_twins():
    batch = make_batch()
    p = params()._replace(target_v=params(1).v)
    (loss, aux), _ = critic(p, batch)
    t, z = batch.transitions, aux.z[:, None]
    next_value = np.asarray(jax.jit(NETWORKS.v)(p.target_v, t.next_obs, z))
    target = 3.0 * t.train_reward + 0.9 * (1.0 - np.asarray(t.done)) * next_value
    q = np.asarray(jax.jit(NETWORKS.q)(p.q, t.obs, t.action, z))
    bellman = np.mean((q[0] - target) ** 2) + np.mean((q[1] - target) ** 2)
    np.testing.assert_allclose(aux.bellman, bellman, rtol=1e-4)
    np.testing.assert_allclose(loss, bellman + 0.2 * np.sum(aux.kl), rtol=1e-4)
    np.testing.assert_allclose(aux.q_mean, np.mean(q), rtol=1e-4)


@pytest.mark.parametrize(("done", "matters"), [(2.0, False), (-1.0, True)])
def test_target_network_matters_only_where_the_episode_goes_on(done, matters):
    batch = make_batch(done=done)
    losses = [critic(params()._replace(target_v=params(s).v), batch)[0][0] for s in (0, 1)]
    assert (abs(losses[0] - losses[1]) > 1e-4) == matters


def test_only_the_target_network_enters_the_target():
    p, batch = params(), make_batch()
    other = p._replace(v=params(1).v, policy=params(1).policy)
    assert_same(update(p, batch)[2].q, update(other, batch)[2].q)


def test_kl_is_summed_over_tasks_while_the_bellman_error_is_averaged():
    batch = make_batch()
    twice = jax.tree.map(lambda x: np.concatenate([x, x]), batch._replace(kl_key=None))
    owners = np.kron(np.eye(2, dtype=np.float32), batch.context.owners)
    twice = twice._replace(context=twice.context._replace(owners=owners))
    (once, aux), _ = critic(params(), batch)
    (both, aux_both), _ = critic(params(), twice._replace(kl_key=batch.kl_key))
    assert aux.kl.shape == (T, 2)
    np.testing.assert_allclose(aux_both.bellman, aux.bellman, rtol=1e-4)
    np.testing.assert_allclose(once - aux.bellman, 0.2 * np.sum(aux.kl), rtol=1e-4)
    np.testing.assert_allclose(both - aux_both.bellman, 2 * (once - aux.bellman), rtol=1e-4)
    assert np.sum(aux.kl) > 0.1


def test_the_failed_part_is_pulled_to_the_prior():
    """The same KL as that of a context which holds the episodes without success only."""
    batch, c = make_batch(), C._replace(silent_weight=0.7)
    (loss, aux), _ = critic(params(), batch, c)
    failed = batch.context._replace(owners=batch.context.owners * batch.context.failed)
    (_, alone), _ = critic(params(), batch._replace(context=failed))
    expected = aux.bellman + 0.2 * np.sum(aux.kl) + 0.7 * np.sum(alone.kl)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e3])
def test_what_lies_behind_the_end_of_an_episode_does_not_matter(scale):
    """Contexts of longer episodes of which the first step counts, whatever follows."""
    batch, c = make_batch(), C._replace(silent_weight=0.7)
    beyond = scale * np.random.default_rng(9).normal(size=(T * N, 2, OBS + ACTION + 1))
    features = np.concatenate([batch.context.features, np.float32(beyond)], axis=1)
    longer = batch._replace(context=batch.context._replace(features=features))
    (loss, aux), grads = critic(params(), longer, c)
    (usual, its), its_grads = critic(params(), batch, c)
    assert_close((loss, aux.kl, grads), (usual, its.kl, its_grads))


def test_target_carries_no_gradient():
    """Neither to the target network nor, through z in V(s', z), to the encoder."""
    p, batch = params(), make_batch()
    kernel = p.q["params"]["kernel_0"].copy()
    kernel[:, OBS + ACTION :] = 0.0  # critics that ignore z
    p = p._replace(q={"params": {**p.q["params"], "kernel_0": kernel}})
    _, ((encoder, q), target) = critic(p, batch, C._replace(kl_weight=0.0))
    assert largest(target) == 0.0
    assert largest(encoder) == 0.0
    assert largest(q) > 1e-3


def test_critics_reach_the_encoder():
    _, ((encoder, _), _) = critic(params(), make_batch(), C._replace(kl_weight=0.0))
    assert largest(encoder) > 1e-4


def test_policy_and_value_do_not_reach_encoder_or_critics():
    """The step of encoder and critics is the same whatever policy, value and entropy are."""
    p, batch = params(), make_batch()
    other = p._replace(v=params(1).v, policy=params(1).policy)
    first, _, _ = update(p, batch)
    second, _, _ = update(other, batch, C._replace(entropy_weight=9.0, mean_reg=1.0, std_reg=2.0))
    assert_same((first.encoder, first.q), (second.encoder, second.q))
    assert differ(first.policy, second.policy)


def test_first_step_of_each_network_has_its_own_size():
    """Adam's first step moves each parameter with a gradient by the learning rate."""
    p, batch = params(), make_batch()
    new, _, _ = update(p, batch)
    for name, lr in {"encoder": 2e-2, "q": 1e-2, "v": 1e-2, "policy": 1e-2}.items():
        moved = jax.tree.map(lambda a, b: a - b, getattr(new, name), getattr(p, name))
        np.testing.assert_allclose(largest(moved), lr, rtol=1e-2)


def test_policy_loss_is_its_equation():
    p, batch, z = params(), make_batch(), make_batch(1).latent_noise
    loss, (log_pi, min_q) = policy_terms(p, p.q, batch, z)
    obs = batch.transitions.obs
    mean, log_std = jax.jit(NETWORKS.policy)(p.policy, obs, z[:, None])
    action, expected_log_pi = jax.jit(squash)(mean, log_std, batch.action_noise)
    q = jax.jit(NETWORKS.q)(p.q, obs, action, z[:, None])
    np.testing.assert_allclose(log_pi, expected_log_pi, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(min_q, np.minimum(*q), rtol=1e-3, atol=1e-4)
    regulariser = 1e-3 * np.mean(mean**2) + 3e-3 * np.mean(log_std**2)
    expected = np.mean(0.5 * log_pi - min_q) + regulariser
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-5)


def test_value_and_policy_follow_the_updated_critics():
    """PEARL's order: critics first; then V and policy see the new Q, and the old policy."""
    p, batch = params(), make_batch()
    new, _, losses = update(p, batch)
    (_, aux), _ = critic(p, batch)
    loss, (log_pi, min_q) = policy_terms(p, new.q, batch, aux.z)
    np.testing.assert_allclose(losses.policy, loss, rtol=1e-4)
    value = np.asarray(jax.jit(NETWORKS.v)(p.v, batch.transitions.obs, aux.z[:, None]))
    target = np.asarray(min_q - 0.5 * log_pi)
    np.testing.assert_allclose(losses.v, np.mean((value - target) ** 2), rtol=1e-3)
    np.testing.assert_allclose(losses.entropy, -np.mean(log_pi), rtol=1e-4)
    old, _ = policy_terms(p, p.q, batch, aux.z)
    assert abs(old - loss) > 1e-3  # so that the order shows


def test_target_follows_the_updated_value_network():
    p = params()._replace(target_v=params(1).v)
    new, _, _ = update(p, make_batch())
    expected = jax.tree.map(lambda v, old: 0.1 * v + 0.9 * old, new.v, p.target_v)
    assert_close(new.target_v, expected)


def test_reported_losses_leave_the_weighted_terms_out():
    batch = make_batch()
    (_, aux), _ = critic(params(), batch)
    _, _, losses = update(params(), batch)
    np.testing.assert_allclose(losses.q, aux.bellman, rtol=1e-5)
    np.testing.assert_allclose(losses.kl, np.mean(aux.kl, axis=0), rtol=1e-5)


@jax.jit
def train_probe(done):
    """Q after many updates in a world of one state that always pays 1."""
    ones = jnp.ones((1, 16))
    state = jnp.zeros((1, 16, OBS))
    p = params()
    c = C._replace(discount=0.5, tau=0.2, reward_scale=1.0, entropy_weight=0.0, kl_weight=0.0)

    def body(carry, key):
        key_action, key_noise = jax.random.split(key)
        action = jax.random.uniform(key_action, (1, 16, ACTION), minval=-1.0)
        t = Transition(state, action, ones, ones, state, done * ones)
        noise = jax.random.normal(key_noise, (1, 16, ACTION))
        batch = make_batch(tasks=1)._replace(transitions=t, action_noise=noise)
        p, o, losses = pearl_sac.update(ACTOR, SPACE, *carry, batch, c)
        return (p, o), losses.q_mean

    keys = jax.random.split(jax.random.key(0), 600)
    return jax.lax.scan(body, (p, pearl_sac.init_optimisers(p)), keys)[1]


@pytest.mark.slow
@pytest.mark.parametrize(("done", "value"), [(0.0, 2.0), (1.0, 1.0)])
def test_q_converges_to_the_known_value(done, value):
    """r / (1 - discount) if the world goes on, r if it ends: here 2 and 1."""
    np.testing.assert_allclose(train_probe(done)[-50:], value, atol=0.05)


def test_a_wrong_shape_raises():
    with pytest.raises(TypeCheckError, match="target"):
        pearl_sac.value_loss({}, NETWORKS, jnp.ones((T, B, OBS)), jnp.ones((T, 5)), jnp.ones(T))
