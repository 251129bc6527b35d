"""Acting on the belief itself: what a policy is given of a posterior in place of a draw from it.

So do Bayes-adaptive methods (Duff 2002; Zintgraf et al. 2020): an agent that sees how sure it is
can find out while it acts, within an episode.
"""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from structlat_jax.inference import additive
from structlat_jax.inference.base import Inference
from structlat_jax.latents import LatentSpace
from structlat_jax.nets.networks import Networks


def describe(
    space: LatentSpace, total: Float[ArrayLike, "*batch stat"]
) -> Float[Array, "*batch given"]:
    """What stands for a belief: the posterior mean of z, and the natural parameters x as
    ``x / (1 + |x|)``, whose size says how sure it is. (Of a precision in units of a standard normal
    prior's that is one less the variance.) It is bounded, since evidence is not: an agent that has
    seen more than any did in training is as sure as those were, and acts alike.

    Args:
      space: Any latent space.
      total: Evidence, ``[..., stat_dim]``.

    Returns:
      ``[..., dim + stat_dim]``.
    """
    mean = space.mean(space.posterior(total))
    return jnp.concatenate([mean, total / (1.0 + jnp.abs(total))], axis=-1)


def width(space: LatentSpace) -> int:
    """Numbers in what `describe` gives."""
    return space.dim + space.stat_dim


def make(networks: Networks, space: LatentSpace, next_obs: bool) -> Inference:
    """The encoder's posterior as `additive.make` has it, acted on step by step.

    Args:
      networks, space: Static.
      next_obs: Whether the encoder sees the next observation.
    """

    def given(total):
        return describe(space, total)

    return dataclasses.replace(
        additive.make(networks, space, next_obs),
        name="belief",
        prior=None,
        choose=None,
        sample=lambda total, key: given(total),
        condition=lambda learned, total: given(total),
        gathered=lambda total: total,
    )
