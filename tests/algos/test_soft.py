"""What goes beyond PEARL's actor-critic, number by number; and that without it nothing changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_pearl_sac import ACTION, ACTOR, NETWORKS, OBS, SPACE, B, C, T, make_batch, params

from structlat_jax.algos import pearl_sac, soft
from structlat_jax.algos.options import AlgorithmOptions
from structlat_jax.config import Structure
from structlat_jax.nets.init import initialise
from structlat_jax.nets.networks import make_networks, track

TWIN = AlgorithmOptions(targets="twin")
LEARNED = AlgorithmOptions(entropy_control="learned")


def twin_params():
    own = params()
    return own._replace(v={}, target_v=jax.tree.map(lambda x: 0.9 * x, own.q))


def with_noise():
    noise = np.random.default_rng(7).normal(size=(T, B, ACTION)).astype(np.float32)
    return make_batch()._replace(next_noise=noise)


@jax.jit
def updated(own, batch, c):
    return pearl_sac.update(ACTOR, SPACE, own, pearl_sac.init_optimisers(own), batch, c)


def test_the_value_of_two_critics_by_hand():
    """``min Q(s', a') - alpha log pi(a')``, a' by hand from the policy's mean and deviation."""
    own, batch = twin_params(), with_noise()
    z = np.random.default_rng(1).normal(size=(T, SPACE.dim)).astype(np.float32)
    next_obs = batch.transitions.next_obs
    found = soft.next_value(NETWORKS, soft.target_of(own, batch.next_noise), next_obs, z, 0.5)
    mean, log_std = (
        np.asarray(x, float) for x in NETWORKS.policy(own.policy, next_obs, z[:, None])
    )
    before = mean + np.exp(log_std) * batch.next_noise
    action = np.tanh(before)
    log_pi = -0.5 * batch.next_noise**2 - log_std - 0.5 * np.log(2 * np.pi)
    log_pi = (log_pi - np.log(1 - action**2 + 1e-6)).sum(-1)
    both = np.asarray(NETWORKS.q(own.target_v, next_obs, np.float32(action), z[:, None]))
    np.testing.assert_allclose(found, both.min(axis=0) - 0.5 * log_pi, rtol=2e-4, atol=2e-4)


def test_without_a_value_network_the_copies_lag_and_nothing_else_is_there():
    own, c = twin_params(), C._replace(tau=0.25)
    new, moments, losses = updated(own, with_noise(), c)
    assert (new.v, moments.v, losses.v) == ({}, (), None)
    for slow, old, fast in zip(
        *(jax.tree.leaves(x) for x in (new.target_v, own.target_v, new.q)), strict=True
    ):
        np.testing.assert_allclose(slow, 0.75 * old + 0.25 * fast, rtol=1e-5, atol=1e-7)


def test_no_gradient_reaches_the_copies():
    batch, own = with_noise(), twin_params()
    z = jnp.ones((T, SPACE.dim))

    def loss(target_q, policy):
        target = soft.Twin(target_q, policy, batch.next_noise)
        error, _ = pearl_sac.bellman_error(NETWORKS, own.q, target, batch.transitions, z, C)
        return jnp.sum(error**2)

    grads = jax.jit(jax.grad(loss, argnums=(0, 1)))(own.target_v, own.policy)
    assert all(not np.any(x) for x in jax.tree.leaves(grads))


@pytest.mark.parametrize(("target", "sign"), [(5.0, 1.0), (-50.0, -1.0)])
def test_the_temperature_goes_towards_its_target(target, sign):
    """Adam's first step is the step size, up if there is less entropy than there is to be."""
    own = params()._replace(temperature={"log_factor": jnp.float32(0.3)})
    c = C._replace(entropy_target=target)
    new, _, losses = updated(own, make_batch(), c)
    assert (float(losses.entropy) < ACTION * target) == (sign > 0)
    moved = float(new.temperature["log_factor"]) - 0.3
    assert moved == pytest.approx(sign * C.lr, rel=1e-3)


def test_the_temperature_multiplies_the_weight_of_the_entropy():
    own = params()._replace(temperature={"log_factor": jnp.float32(np.log(3.0))})
    mine, _, _ = updated(own, make_batch(), C._replace(entropy_weight=0.1))
    its, _, _ = updated(params(), make_batch(), C._replace(entropy_weight=0.3))
    for x, y in zip(*(jax.tree.leaves(p.policy) for p in (mine, its)), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


def test_what_is_not_asked_for_is_not_there():
    plain = soft.zeros(NETWORKS, AlgorithmOptions())
    assert plain.temperature == ()
    assert jax.tree.structure(plain) == jax.tree.structure(NETWORKS.zeros())
    twin = ACTOR.start(soft.zeros(NETWORKS, TWIN))
    assert twin.v == {}
    assert jax.tree.structure(twin.target_v) == jax.tree.structure(twin.q)
    assert soft.zeros(NETWORKS, LEARNED).temperature["log_factor"] == 0.0


NORMED = make_networks(
    Structure(width=8, depth=1, encoder_width=8, encoder_depth=1, obs_norm=True),
    *(OBS, ACTION, SPACE.dim, SPACE.stat_dim),
)


def test_networks_see_observations_in_units_of_their_spread():
    """By hand: the same network without it, given ``(obs - mean) / deviation``."""
    own = initialise(jax.random.key(0), NORMED.zeros(), "he")
    mean, square = np.float32([3.0, -2.0]), np.float32([13.0, 4.25])
    moved = jax.tree_util.tree_map_with_path(
        lambda path, x: {"seen_mean": mean, "seen_square": square}.get(path[-1].key, x) + 0 * x, own
    )
    obs = np.random.default_rng(0).normal(size=(5, OBS)).astype(np.float32)
    action, z = np.ones((5, ACTION), np.float32), np.ones((5, SPACE.dim), np.float32)
    shown = (obs - mean) / [2.0, 0.5]
    features = np.concatenate([obs, action, np.ones((5, 1))], axis=1)
    shown_features = np.concatenate([shown, action, np.ones((5, 1))], axis=1)

    def without(tree):
        return {"params": {k: x for k, x in tree["params"].items() if not k.startswith("seen")}}

    for mine, its in (
        (NORMED.v(moved.v, obs, z), NETWORKS.v(without(moved.v), shown, z)),
        (NORMED.q(moved.q, obs, action, z), NETWORKS.q(without(moved.q), shown, action, z)),
        (
            NORMED.policy(moved.policy, obs, z)[0],
            NETWORKS.policy(without(moved.policy), shown, z)[0],
        ),
        (
            NORMED.encode(moved.encoder, features),
            NETWORKS.encode(without(moved.encoder), shown_features),
        ),
    ):
        np.testing.assert_allclose(mine, its, rtol=1e-5, atol=1e-5)


def test_moments_of_observations_are_followed_by_hand():
    own = initialise(jax.random.key(0), NORMED.zeros(), "he")
    obs = np.float32([[[2.0, 0.0], [4.0, 0.0]]])
    after = track(NORMED, own, obs)
    for part in after:
        for tree in [part["params"]] if part else []:
            np.testing.assert_allclose(
                tree["seen_mean"][..., :],
                np.broadcast_to([0.03, 0.0], tree["seen_mean"].shape),
                rtol=1e-6,
            )
            np.testing.assert_allclose(
                tree["seen_square"][..., :],
                np.broadcast_to([0.99 + 0.1, 0.99], tree["seen_square"].shape),
                rtol=1e-6,
            )
    assert track(NETWORKS, own, obs) is own


def test_no_gradient_changes_the_moments():
    own = initialise(jax.random.key(0), NORMED.zeros(), "he")
    grads = jax.grad(lambda p: NORMED.v(p, jnp.ones((3, OBS)), jnp.ones((3, SPACE.dim))).sum())
    found = grads(own.v)["params"]
    assert not np.any(found["seen_mean"])
    assert not np.any(found["seen_square"])
    assert np.any(found["kernel_0"])
