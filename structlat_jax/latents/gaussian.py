"""Gaussian blocks: ``gau:n``, n independent variables with prior N(0, 1)."""

from typing import NamedTuple

import distrax
import jax
import jax.numpy as jnp

from structlat_jax.latents import natural
from structlat_jax.latents.block import Block, LatentOptions
from structlat_jax.types import Array


class GaussianPosterior(NamedTuple):
    """Independent normals: ``mean`` and ``variance`` are ``[..., n]``, ``empty`` is ``[...]``."""

    mean: Array
    variance: Array
    empty: Array


def make(sizes: tuple[int, ...], options: LatentOptions) -> Block:
    """A block of ``sizes = (n,)`` Gaussian variables; raises `ValueError` on other sizes."""
    if len(sizes) != 1:
        raise ValueError("a Gaussian block is written gau:N, with one number of at least 1")
    (n,) = sizes

    def evidence(raw):
        return natural.evidence_from_raw(raw, options.precision)

    def posterior(total):
        return GaussianPosterior(*natural.moments_from_total(total, 1.0, options.prior_factor))

    def noise(key, shape):
        return jax.random.normal(key, (*shape, n))

    def transform(q, eps):
        return q.mean + jnp.sqrt(q.variance) * eps

    def kl(q, key):
        del key  # closed form
        normal = distrax.Normal(q.mean, jnp.sqrt(q.variance))
        return jnp.sum(normal.kl_divergence(distrax.Normal(0.0, 1.0)), axis=-1)

    return Block(
        spec=f"gau:{n}",
        family="gau",
        groups=(n, 1),
        stat_dim=2 * n,
        evidence=evidence,
        posterior=posterior,
        noise=noise,
        transform=transform,
        transform_hard=transform,
        sample_prior=noise,
        empty=lambda q: q.empty,
        kl=kl,
        mean=lambda q: q.mean,
    )
