"""The paper's inference: a product of one factor per transition, which is a sum of evidence."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Num, ScalarLike

from structlat_jax.config import Hyper
from structlat_jax.inference.base import Inference, Learned, Randomness
from structlat_jax.latents import LatentSpace
from structlat_jax.nets.networks import Encoding
from structlat_jax.shapes import Params, Transition, within


def context_features(
    context: Transition, reward_scale: ScalarLike, next_obs: bool
) -> Float[Array, "... features"]:
    """What the encoder sees of transitions ``[...]``: observation, action and scaled reward (and
    the next observation if ``next_obs``), ``[..., features]``. Never the shaped reward."""
    parts = [context.obs, context.action, reward_scale * context.reward[..., None]]
    return jnp.concatenate(parts + ([context.next_obs] if next_obs else []), axis=-1)


def evidence_of(
    networks: Encoding,
    space: LatentSpace,
    params: Params,
    features: Float[ArrayLike, "*batch features"],
) -> Float[Array, "*batch {space.stat_dim}"]:
    """Evidence of single transitions: features ``[..., features]`` to ``[..., stat_dim]``."""
    return space.evidence(networks.encode(params, features))


def infer(
    networks: Encoding,
    space: LatentSpace,
    params: Params,
    features: Float[ArrayLike, "*batch N features"],
    mask: Num[ArrayLike, "*batch N"] | Bool[ArrayLike, "*batch N"] | None = None,
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


def totals_of(
    space: LatentSpace,
    evidence: Float[ArrayLike, "E H {space.stat_dim}"],
    owners: Float[ArrayLike, "*batch M E"],
    length: Int[ArrayLike, " E"],
) -> Float[Array, "*batch M {space.stat_dim}"]:
    """Evidence of whole episodes ``[E, H, stat_dim]`` to that of contexts, ``[..., M, stat_dim]``.

    Args:
      space: Static.
      evidence: From `evidence_of`.
      owners: 1 where an episode belongs to a context and 0 elsewhere, ``[..., M, E]``.
      length: Steps of each episode, ``[E]``.
    """
    of_episodes = space.combine(evidence, within(length, evidence.shape[-2]))
    # In full precision: accelerators round the factors of a product by default.
    return jnp.matmul(owners, of_episodes, precision="highest")


def infer_contexts(
    networks: Encoding,
    space: LatentSpace,
    params: Params,
    features: Float[ArrayLike, "E H features"],
    owners: Float[ArrayLike, "M E"],
    length: Int[ArrayLike, " E"],
) -> tuple[Any, ...]:
    """Posteriors given contexts that lie one after the other, as `contexts.Contexts` has them.

    Args:
      networks, space: Static.
      params: The encoder's parameters.
      features: ``[E, H, features]`` from `context_features`.
      owners: ``[M, E]``.
      length: Steps of each episode, ``[E]``.

    Returns:
      The posteriors, with leading axis ``[M]``.
    """
    evidence = evidence_of(networks, space, params, features)
    return space.posterior(totals_of(space, evidence, owners, length))


def observer(networks: Encoding, space: LatentSpace, next_obs: bool) -> Any:
    """How a sum of evidence learns: ``(learned, hyper, total, transitions [H], length)`` to the sum
    with theirs; `Inference.update` of this inference, and a part of others'."""

    def observe(
        learned: Learned,
        hyper: Hyper,
        total: Float[ArrayLike, " stat"],
        seen: Transition,
        length: Int[ArrayLike, ""],
    ) -> Float[Array, " stat"]:
        features = context_features(seen, hyper.context_reward_scale, next_obs)
        evidence = evidence_of(networks, space, learned.agent.encoder, features)
        return total + space.combine(evidence, within(length, seen.reward.shape[-1]))

    return observe


def make(networks: Encoding, space: LatentSpace, next_obs: bool) -> Inference:
    """The inference whose belief is the sum of the evidence, ``[stat_dim]``.

    Args:
      networks, space: Static.
      next_obs: Whether the encoder sees the next observation.
    """

    def randomness(key, episodes, strata, parts):
        del strata  # independent draws
        names = ("prior", "noise", "reset", "kl")
        keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
        shape = (episodes, parts)
        choices = (space.sample_prior(keys["prior"], shape), space.noise(keys["noise"], shape))
        return Randomness(None, None, choices, keys["reset"], keys["kl"])

    def init(learned, key, obs):
        del learned, key, obs
        return jnp.zeros(space.stat_dim)

    def choose(learned, total, obs, left, choice):
        del learned, obs, left
        return space.transform(space.posterior(total), choice[1], hard=True)

    def summary(totals, key):
        posterior = space.posterior(totals)
        return space.mean(posterior), space.kl(posterior, key)

    return Inference(
        name="amortised",
        randomness=randomness,
        init=init,
        update=observer(networks, space, next_obs),
        prior=lambda total, choice: choice[0],
        choose=choose,
        sample=lambda total, key: space.sample(space.posterior(total), key, hard=True),
        note=lambda total: total,
        summary=summary,
        spread=lambda totals: space.deviation(space.posterior(totals)),
    )
