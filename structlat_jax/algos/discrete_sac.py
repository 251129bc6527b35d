"""Soft actor-critic for actions that are choices (Christodoulou 2019), conditioned on a latent.

The critics and the policy say something of every choice at once, so that what is a draw from the
policy elsewhere is an expectation here: no noise, and no value network. Actions travel as one-hot
vectors.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float

from structlat_jax.algos.base import ActorCritic, Improved
from structlat_jax.algos.pearl_sac import Coefficients
from structlat_jax.data.batches import Batch
from structlat_jax.nets import optim
from structlat_jax.nets.heads import choose
from structlat_jax.nets.networks import DiscreteNetworks
from structlat_jax.shapes import Params, Transition


def make(networks: DiscreteNetworks) -> ActorCritic:
    """The record."""

    def act(params, obs, z, noise):
        return choose(networks.policy(params.policy, obs, z), noise)

    return ActorCritic(
        name="discrete_sac",
        networks=networks,
        start=lambda params: params._replace(target_v=jax.tree.map(jnp.copy, params.q)),
        act=act,
        bellman_error=lambda q, params, t, z, c, _: bellman_error(networks, q, params, t, z, c),
        improve=partial(improve, networks),
    )


def soft_value(
    q: Float[ArrayLike, "2 *batch A"],
    logits: Float[ArrayLike, "*batch A"],
    entropy_weight: Float[ArrayLike, ""] | float,
) -> Float[Array, "*batch"]:
    """``sum_a pi(a) (min_i Q_i(a) - entropy_weight * log pi(a))``: both critics' values of all
    choices ``[2, ..., A]`` and the policy's logits ``[..., A]`` to the state's value ``[...]``."""
    log_pi = jax.nn.log_softmax(logits)
    return jnp.sum(jnp.exp(log_pi) * (jnp.min(q, axis=0) - entropy_weight * log_pi), axis=-1)


def bellman_error(
    networks: DiscreteNetworks,
    q: Params,
    params: Any,
    t: Transition,
    z: Float[ArrayLike, "T D"],
    c: Coefficients,
) -> tuple[Float[Array, "2 T B"], Float[Array, "2 T B"]]:
    """``Q_i(s, z)[a] - y`` of both critics, and their Q, with
    ``y = reward_scale * r + (1 - d) * discount * V(s', z)``, V being `soft_value` of the target
    critics under the policy, held fixed.

    Args:
      networks: Static.
      q: The critics' parameters.
      params: `AgentParams`, or any with its ``target_v`` and ``policy``.
      t: Transitions, ``[T, B]``.
      z: The latent of each task, ``[T, D]``.
      c: Coefficients.
    """
    fixed = jax.lax.stop_gradient(z)[:, None]
    q_t = networks.q(params.target_v, t.next_obs, fixed)
    v_t = soft_value(q_t, networks.policy(params.policy, t.next_obs, fixed), c.entropy_weight)
    target = c.reward_scale * t.train_reward + (1.0 - t.done) * c.discount * v_t
    q_tm1 = jnp.sum(networks.q(q, t.obs, z[:, None]) * t.action, axis=-1)
    return q_tm1 - jax.lax.stop_gradient(target), q_tm1


def policy_loss(
    policy: Params,
    q: Params,
    networks: DiscreteNetworks,
    obs: Float[ArrayLike, "T B obs_dim"],
    z: Float[ArrayLike, "T D"],
    c: Coefficients,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """``mean[sum_a pi(a) (entropy_weight * log pi(a) - min_i Q_i(a))] + regulariser``.

    Args:
      policy, q: Parameters; the critics are held fixed.
      networks: Static.
      obs: ``[T, B, obs_dim]``.
      z: The latent of each task, without gradient, ``[T, D]``.
      c: Coefficients.

    Returns:
      The loss, and the policy's entropy in nats.
    """
    logits = networks.policy(policy, obs, z[:, None])
    value = soft_value(networks.q(q, obs, z[:, None]), logits, c.entropy_weight)
    log_pi = jax.nn.log_softmax(logits)
    entropy = -jnp.mean(jnp.sum(jnp.exp(log_pi) * log_pi, axis=-1))
    return c.mean_reg * jnp.mean(logits**2) - jnp.mean(value), entropy


def improve(
    networks: DiscreteNetworks,
    params: Any,
    q: Params,
    optimisers: Any,
    batch: Batch,
    z: Float[ArrayLike, "T D"],
    c: Coefficients,
) -> Improved:
    """The part of an update that follows the critics': target critics, policy.

    Args:
      networks: Static.
      params: `AgentParams` before the update, or any with its ``v``, ``target_v`` and ``policy``.
      q: The critics after it.
      optimisers: Adam's moments, with ``v`` and ``policy``.
      batch: One batch.
      z: The latent of each task, without gradient, ``[T, D]``.
      c: Coefficients.
    """
    (loss, entropy), grad = jax.value_and_grad(policy_loss, has_aux=True)(
        params.policy, q, networks, batch.transitions.obs, z, c
    )
    policy, opt_policy = optim.adam(params.policy, grad, optimisers.policy, c.lr)
    return Improved(
        v=params.v,
        target_v=optax.incremental_update(q, params.target_v, c.tau),
        policy=policy,
        opt_v=optimisers.v,
        opt_policy=opt_policy,
        loss_v=None,
        loss_policy=loss,
        entropy=entropy,
    )
