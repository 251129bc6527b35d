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

_UNIT = 4.0  # natural parameters from 1e-2 to 1e4 come to lie between 0 and 2.5


def describe(
    space: LatentSpace, total: Float[ArrayLike, "*batch stat"]
) -> Float[Array, "*batch given"]:
    """What stands for a belief: the posterior mean of z, and the natural parameters, whose size
    says how sure it is, on a scale that is linear near zero and logarithmic further out.

    Args:
      space: Any latent space.
      total: Evidence, ``[..., stat_dim]``.

    Returns:
      ``[..., dim + stat_dim]``.
    """
    mean = space.mean(space.posterior(total))
    return jnp.concatenate([mean, jnp.arcsinh(total) / _UNIT], axis=-1)


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
        prior=lambda total, choice: given(total),
        choose=lambda learned, total, obs, left, choice: given(total),
        sample=lambda total, key: given(total),
        condition=lambda learned, total: given(total),
    )
