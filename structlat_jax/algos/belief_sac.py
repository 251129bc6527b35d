"""PEARL's actor-critic on beliefs in place of draws from them.

Evidence adds, so that the belief after one more transition is known: the Bellman target values the
next observation together with the belief that the transition itself leads to, and what is found out
on the way is worth what it is worth later (Duff 2002: planning in belief space; Dorfman et al.
2021 learn so from stored experience). Contexts are those of PEARL, some of them cut short and some
of them empty, as an episode meets them from its first step on.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from structlat_jax.algos import pearl_sac
from structlat_jax.algos.base import maximised
from structlat_jax.algos.pearl_sac import Coefficients, Losses, Optimisers, improve
from structlat_jax.data.batches import Batch
from structlat_jax.inference import additive, belief
from structlat_jax.latents import LatentSpace
from structlat_jax.nets import optim
from structlat_jax.nets.networks import AgentParams, Networks
from structlat_jax.shapes import Params

EMPTY = 0.25  # share of contexts in which nothing was seen yet
CUT = 0.25  # share of context episodes that are not over yet


class Thinned(NamedTuple):
    """Contexts as they are met along the way.

    Attributes:
      owners: As `Context.owners`, zero for contexts in which nothing was seen, ``[M, E]``.
      length: Steps of each episode that were taken so far, ``[E]``.
    """

    owners: Float[Array, "M E"]
    length: Int[Array, " E"]


def thin(batch: Batch, key: Array) -> Thinned:
    """Contexts of a batch, some of them cut short and some of them empty."""
    context, (key_empty, key_cut, key_at) = batch.context, jax.random.split(key, 3)
    count, episodes = context.owners.shape
    kept = jax.random.uniform(key_empty, (count, 1)) >= EMPTY
    cut = jax.random.uniform(key_cut, (episodes,)) < CUT
    share = jax.random.uniform(key_at, (episodes,))
    shorter = jnp.ceil(share * context.length).astype(context.length.dtype)
    length = jnp.where(cut, shorter, context.length)
    return Thinned(context.owners * kept, length)


class _Aux(NamedTuple):
    given: Float[Array, "M C"]
    kl: Float[Array, "M blocks"]
    bellman: Float[Array, ""]
    q_mean: Float[Array, ""]


def critic_loss(
    trained: tuple[Params, Params],
    target_v: Params,
    networks: Networks,
    space: LatentSpace,
    next_obs: bool,
    batch: Batch,
    seen: Thinned,
    key_kl: Array,
    c: Coefficients,
) -> tuple[Float[Array, ""], _Aux]:
    """``sum_i mean[(Q_i(s, a, b) - y)^2] + kl_weight * sum_tasks KL(q_b || p)`` with
    ``y = reward_scale * r + (1 - d) * discount * V_target(s', b')`` held fixed; b' is b and the
    evidence of (s, a, r, s').

    Args:
      trained: The encoder's and the critics' parameters.
      target_v: Parameters of the target value network.
      networks, space: Static.
      next_obs: Whether the encoder sees the next observation; static.
      batch: One batch.
      seen: Of its contexts.
      key_kl: For ``kl="exact"``.
      c: Coefficients.
    """
    encoder, q = trained
    t = batch.transitions
    evidence = additive.evidence_of(networks, space, encoder, batch.context.features)
    total = additive.totals_of(space, evidence, seen.owners, seen.length)
    kl = space.kl(space.posterior(total), key_kl)
    given = belief.describe(space, total)
    features = additive.context_features(t, c.context_reward_scale, next_obs)
    more = additive.evidence_of(networks, space, encoder, features)
    later = jax.lax.stop_gradient(belief.describe(space, total[:, None] + more))
    v_t = networks.v(target_v, t.next_obs, later)
    paid = c.reward_scale * maximised(t, c.shaped_share)
    target = paid + (1.0 - t.done) * c.discount * v_t
    q_tm1 = networks.q(q, t.obs, t.action, given[:, None])
    error = q_tm1 - jax.lax.stop_gradient(target)
    bellman = jnp.sum(jnp.mean(error**2, axis=(1, 2)))
    return bellman + c.kl_weight * jnp.sum(kl), _Aux(given, kl, bellman, jnp.mean(q_tm1))


def update(
    networks: Networks,
    space: LatentSpace,
    next_obs: bool,
    params: AgentParams,
    optimisers: Optimisers,
    batch: Batch,
    c: Coefficients,
) -> tuple[AgentParams, Optimisers, Losses]:
    """One update in PEARL's order; see `pearl_sac.update`."""
    key_thin, key_kl = jax.random.split(batch.kl_key)
    seen = thin(batch, key_thin)
    (_, aux), (grad_encoder, grad_q) = jax.value_and_grad(critic_loss, has_aux=True)(
        *((params.encoder, params.q), params.target_v, networks, space, next_obs),
        *(batch, seen, key_kl, c),
    )
    encoder, opt_encoder = optim.adam(
        params.encoder, grad_encoder, optimisers.encoder, c.encoder_lr
    )
    q, opt_q = optim.adam(params.q, grad_q, optimisers.q, c.lr)
    made = improve(networks, params, q, optimisers, batch, jax.lax.stop_gradient(aux.given), c)
    losses = pearl_sac.losses_of(made, aux.bellman, jnp.mean(aux.kl, axis=0), aux.q_mean)
    new_params = AgentParams(encoder, q, made.v, made.target_v, made.policy)
    return new_params, Optimisers(opt_encoder, opt_q, made.opt_v, made.opt_policy), losses
