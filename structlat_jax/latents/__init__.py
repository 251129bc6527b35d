"""Latent spaces: Dirichlet, categorical and Gaussian blocks behind one interface."""

from structlat_jax.latents import laplace_bridge
from structlat_jax.latents.block import Block, LatentOptions
from structlat_jax.latents.space import (
    FAMILIES,
    LatentSpace,
    LatentSpecError,
    block_names,
    latent_space,
)

__all__ = [
    "FAMILIES",
    "Block",
    "LatentOptions",
    "LatentSpace",
    "LatentSpecError",
    "block_names",
    "laplace_bridge",
    "latent_space",
]
