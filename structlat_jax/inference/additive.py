"""From transitions to a posterior over z: whole contexts, masked ones, or one step at a time."""

from typing import Any

import jax.numpy as jnp

from structlat_jax.latents import LatentSpace
from structlat_jax.nets.networks import Networks
from structlat_jax.types import Array, Params, Transition


def context_features(context: Transition, reward_scale: Array, next_obs: bool) -> Array:
    """What the encoder sees of transitions ``[...]``: observation, action and scaled reward (and
    the next observation if ``next_obs``), ``[..., features]``. Never the shaped reward."""
    parts = [context.obs, context.action, reward_scale * context.reward[..., None]]
    return jnp.concatenate(parts + ([context.next_obs] if next_obs else []), axis=-1)


def evidence_of(networks: Networks, space: LatentSpace, params: Params, features: Array) -> Array:
    """Evidence of single transitions: features ``[..., features]`` to ``[..., stat_dim]``."""
    return space.evidence(networks.encode(params, features))


def infer(
    networks: Networks,
    space: LatentSpace,
    params: Params,
    features: Array,
    mask: Array | None = None,
) -> tuple[Any, ...]:
    """Posterior given whole contexts.

    Args:
      networks, space: Static.
      params: The encoder's parameters.
      features: ``[..., N, features]`` from `context_features`.
      mask: ``[..., N]``, 0 for transitions to leave out.

    Returns:
      The posterior, with leading axes ``[...]``.
    """
    evidence = evidence_of(networks, space, params, features)
    return space.posterior(space.combine(evidence, mask))


def totals_of(space: LatentSpace, evidence: Array, owners: Array) -> Array:
    """Evidence of whole episodes ``[E, H, stat_dim]`` to that of contexts, ``[..., M, stat_dim]``.

    Args:
      space: Static.
      evidence: From `evidence_of`.
      owners: 1 where an episode belongs to a context and 0 elsewhere, ``[..., M, E]``.
    """
    # In full precision: accelerators round the factors of a product by default.
    return jnp.matmul(owners, space.combine(evidence), precision="highest")


def infer_contexts(
    networks: Networks, space: LatentSpace, params: Params, features: Array, owners: Array
) -> tuple[Any, ...]:
    """Posteriors given contexts that lie one after the other, as `contexts.Contexts` has them.

    Args:
      networks, space: Static.
      params: The encoder's parameters.
      features: ``[E, H, features]`` from `context_features`.
      owners: ``[M, E]``.

    Returns:
      The posteriors, with leading axis ``[M]``.
    """
    evidence = evidence_of(networks, space, params, features)
    return space.posterior(totals_of(space, evidence, owners))
