"""PEARL's update (Rakelly et al. 2019, algorithm 1, in the order of their public code).

Soft actor-critic with a value network (Haarnoja et al. 2018), conditioned on a latent that is
inferred from context. One equation per loss; one update is `update`. What is said of actions here
is for those that are numbers; `discrete_sac` has its like for choices.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, ScalarLike

from structlat_jax.algos import soft
from structlat_jax.algos.base import ActorCritic, Improved
from structlat_jax.data.batches import Batch
from structlat_jax.inference.additive import evidence_of, totals_of
from structlat_jax.latents import LatentSpace
from structlat_jax.nets import optim
from structlat_jax.nets.heads import squash
from structlat_jax.nets.networks import AgentParams, Networks, track
from structlat_jax.shapes import Params, Transition


class Coefficients(NamedTuple):
    """The traced scalars of one update; see `config.Hyper` for what each means."""

    lr: ScalarLike
    encoder_lr: ScalarLike
    discount: ScalarLike
    tau: ScalarLike
    reward_scale: ScalarLike
    entropy_weight: ScalarLike
    kl_weight: ScalarLike
    silent_weight: ScalarLike
    mean_reg: ScalarLike
    std_reg: ScalarLike
    aggregate_weight: ScalarLike = 0.0
    decoder_weight: ScalarLike = 0.0
    change_weight: ScalarLike = 0.0
    context_reward_scale: ScalarLike = 1.0
    entropy_target: ScalarLike = 0.0
    open_blocks: ScalarLike = jnp.inf
    shaped_share: ScalarLike = 1.0


class Optimisers(NamedTuple):
    """Adam's moments, one state per loss."""

    encoder: optax.OptState
    q: optax.OptState
    v: optax.OptState
    policy: optax.OptState
    temperature: optax.OptState = ()


class Losses(NamedTuple):
    """What an update reports.

    Attributes:
      q, v, policy: The three losses, scalars; ``v`` is None where there is no value network.
      kl: Mean over tasks of the KL per block in nats, ``[blocks]``.
      q_mean: Mean predicted Q in scaled reward units, a scalar.
      entropy: Mean of minus the log-density of the policy's actions in nats, a scalar.
    """

    q: Float[Array, ""]
    v: Float[Array, ""] | None
    policy: Float[Array, ""]
    kl: Float[Array, " blocks"]
    q_mean: Float[Array, ""]
    entropy: Float[Array, ""]


class CriticAux(NamedTuple):
    """What the critic's loss hands on: ``z [T, D]``, ``kl [T, blocks]``, its other terms."""

    posterior: Any
    z: Float[Array, "T D"]
    kl: Float[Array, "T blocks"]
    bellman: Float[Array, ""]
    q_mean: Float[Array, ""]


def init_optimisers(params: AgentParams) -> Optimisers:
    """Fresh Adam states."""
    return Optimisers(*(optim.init(getattr(params, name)) for name in Optimisers._fields))


def critic_loss(
    trained: tuple[Params, Params],
    params: AgentParams,
    actor: ActorCritic,
    space: LatentSpace,
    batch: Batch,
    c: Coefficients,
) -> tuple[Float[Array, ""], CriticAux]:
    """Bellman error of both critics plus the weighted KL; the encoder's only loss.

    ``sum_i mean[(Q_i(s, a, z) - y)^2] + kl_weight * sum_tasks KL(q(z|c) || p(z))``, with
    ``y = reward_scale * r + (1 - d) * discount * V_target(s', z)`` held fixed.
    One term goes beyond PEARL: ``silent_weight * sum_tasks KL(q(z|c0) || p(z))``, c0 being the
    context's episodes without success, keeps failure from being mistaken for evidence of a task. A
    weight of 0 switches it off, and so does an environment that does not say what success is.

    Args:
      trained: The encoder's and the critics' parameters.
      params: All parameters, for the targets.
      actor, space: Static.
      batch: One batch.
      c: Coefficients.

    Returns:
      The loss and what later steps need.
    """
    encoder, q = trained
    t = batch.transitions
    context = batch.context
    evidence = evidence_of(actor.networks, space, encoder, context.features)
    owners = jnp.stack([context.owners, context.owners * context.failed])
    both = space.posterior(totals_of(space, evidence, owners, context.length))
    kl, kl_failed = space.kl(both, batch.kl_key)
    posterior = jax.tree.map(lambda x: x[0], both)
    z = space.transform(posterior, batch.latent_noise)
    error, q_tm1 = actor.bellman_error(q, params, t, z, c, batch.next_noise)
    bellman = jnp.sum(jnp.mean(error**2, axis=(1, 2)))
    loss = bellman + c.kl_weight * jnp.sum(kl)
    loss += c.silent_weight * jnp.sum(kl_failed)
    return loss, CriticAux(posterior, z, kl, bellman, jnp.mean(q_tm1))


def bellman_error(
    networks: Networks,
    q: Params,
    target_v: Params,
    t: Transition,
    z: Float[ArrayLike, "T D"],
    c: Coefficients,
) -> tuple[Float[Array, "2 T B"], Float[Array, "2 T B"]]:
    """``Q_i(s, a, z) - y`` of both critics, with y as in `critic_loss`, and their Q.

    Args:
      networks: Static.
      q, target_v: Parameters; the latter, or what is in its place: see `soft.target_of`.
      t: Transitions, ``[T, B]``.
      z: The latent of each task, ``[T, D]``.
      c: Coefficients.
    """
    v_t = soft.next_value(networks, target_v, t.next_obs, z, c.entropy_weight)
    target = c.reward_scale * t.train_reward + (1.0 - t.done) * c.discount * v_t
    q_tm1 = networks.q(q, t.obs, t.action, z[:, None])
    return q_tm1 - jax.lax.stop_gradient(target), q_tm1


def policy_loss(
    policy: Params,
    q: Params,
    networks: Networks,
    batch: Batch,
    z: Float[ArrayLike, "T D"],
    c: Coefficients,
) -> tuple[Float[Array, ""], tuple[Float[Array, "T B"], Float[Array, "T B"]]]:
    """``mean[entropy_weight * log pi - min_i Q_i] + regularisers`` at actions drawn from pi.

    Args:
      policy, q: Parameters; the critics are held fixed.
      networks: Static.
      batch: One batch.
      z: The latent of each task, without gradient, ``[T, D]``.
      c: Coefficients.

    Returns:
      The loss, and ``(log pi, min Q)`` of those actions, each ``[T, B]``.
    """
    obs = batch.transitions.obs
    mean, log_std = networks.policy(policy, obs, z[:, None])
    action, log_pi = squash(mean, log_std, batch.action_noise)
    min_q = jnp.min(networks.q(q, obs, action, z[:, None]), axis=0)
    regulariser = c.mean_reg * jnp.mean(mean**2) + c.std_reg * jnp.mean(log_std**2)
    return jnp.mean(c.entropy_weight * log_pi - min_q) + regulariser, (log_pi, min_q)


def value_loss(
    v: Params,
    networks: Networks,
    obs: Float[ArrayLike, "T B obs_dim"],
    z: Float[ArrayLike, "T D"],
    target: Float[ArrayLike, "T B"],
) -> Float[Array, ""]:
    """``mean[(V(s, z) - target)^2]`` with ``target = min Q - entropy_weight * log pi``."""
    return jnp.mean((networks.v(v, obs, z[:, None]) - target) ** 2)


def improve(
    networks: Networks,
    params: Any,
    q: Params,
    optimisers: Any,
    batch: Batch,
    z: Float[ArrayLike, "T D"],
    c: Coefficients,
) -> Improved:
    """The part of an update that follows the critics': value, target, policy.

    Args:
      networks: Static.
      params: `AgentParams` before the update, or any with its ``v``, ``target_v`` and ``policy``.
      q: The critics after it.
      optimisers: Adam's moments, with ``v`` and ``policy``.
      batch: One batch.
      z: The latent of each task, without gradient, ``[T, D]``.
      c: Coefficients.
    """
    (loss_policy, (log_pi, min_q)), grad_policy = jax.value_and_grad(policy_loss, has_aux=True)(
        params.policy, q, networks, batch, z, c
    )
    policy, opt_policy = optim.adam(params.policy, grad_policy, optimisers.policy, c.lr)
    entropy = -jnp.mean(log_pi)
    if not params.v:
        slow, moments = params.target_v, (optimisers.v, opt_policy)
        slow = optax.incremental_update(q, slow, c.tau)
        return Improved(params.v, slow, policy, *moments, None, loss_policy, entropy)
    v_target = jax.lax.stop_gradient(min_q - c.entropy_weight * log_pi)
    loss_v, grad_v = jax.value_and_grad(value_loss)(
        params.v, networks, batch.transitions.obs, z, v_target
    )
    v, opt_v = optim.adam(params.v, grad_v, optimisers.v, c.lr)
    target_v = optax.incremental_update(v, params.target_v, c.tau)
    return Improved(v, target_v, policy, opt_v, opt_policy, loss_v, loss_policy, entropy)


def losses_of(made: Improved, bellman: Array, kl: Array, q_mean: Array) -> Losses:
    """What an update reports, from `improve` and from the critics' loss."""
    own = {"v": made.loss_v, "policy": made.loss_policy, "entropy": made.entropy}
    return Losses(q=bellman, kl=kl, q_mean=q_mean, **own)


def update(
    actor: ActorCritic,
    space: LatentSpace,
    params: AgentParams,
    optimisers: Optimisers,
    batch: Batch,
    c: Coefficients,
) -> tuple[AgentParams, Optimisers, Losses]:
    """One PEARL update: critics with encoder, value, target, policy, in that order.

    Args:
      actor, space: Static.
      params: All parameters.
      optimisers: Adam's moments.
      batch: One batch.
      c: Coefficients.

    Returns:
      New parameters, new moments, and the losses.
    """
    c = soft.tempered(params, c)
    (_, aux), (grad_encoder, grad_q) = jax.value_and_grad(critic_loss, has_aux=True)(
        (params.encoder, params.q), params, actor, space, batch, c
    )
    encoder, opt_encoder = optim.adam(
        params.encoder, grad_encoder, optimisers.encoder, c.encoder_lr
    )
    q, opt_q = optim.adam(params.q, grad_q, optimisers.q, c.lr)

    made = actor.improve(params, q, optimisers, batch, jax.lax.stop_gradient(aux.z), c)
    losses = losses_of(made, aux.bellman, jnp.mean(aux.kl, axis=0), aux.q_mean)
    heat, opt_heat = soft.cool(params, optimisers, made.entropy, batch, c)
    new_params = AgentParams(encoder, q, made.v, made.target_v, made.policy, heat)
    new_optimisers = Optimisers(opt_encoder, opt_q, made.opt_v, made.opt_policy, opt_heat)
    return track(actor.networks, new_params, batch.transitions.obs), new_optimisers, losses
