"""Latent spaces: blocks of several families behind one interface."""

from structlat_jax.latents import laplace_bridge
from structlat_jax.latents.block import Block, Family, LatentOptions, whole_numbers
from structlat_jax.latents.space import (
    FAMILIES,
    LatentSpace,
    LatentSpecError,
    block_names,
    latent_space,
    spec_help,
)

__all__ = [
    "FAMILIES",
    "Block",
    "Family",
    "LatentOptions",
    "LatentSpace",
    "LatentSpecError",
    "block_names",
    "laplace_bridge",
    "latent_space",
    "spec_help",
    "whole_numbers",
]
