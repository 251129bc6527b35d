"""Gaussian blocks: ``gau:N``, N independent variables with prior N(0, 1)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.latents import natural
from structlat_jax.latents.block import Block, Family, LatentOptions, whole_numbers
from structlat_jax.types import Array


class GaussianPosterior(NamedTuple):
    """Independent normals: ``mean`` and ``variance`` are ``[..., n]``, ``empty`` is ``[...]``."""

    mean: Array
    variance: Array
    empty: Array


def make(sizes: str, options: LatentOptions) -> Block:
    """A block of size ``N``; raises `ValueError` on others."""
    (n,) = whole_numbers(sizes, N=1)

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
        import distrax  # takes most of a second, which importing this library should not

        normal = distrax.Normal(q.mean, jnp.sqrt(q.variance))
        return jnp.sum(normal.kl_divergence(distrax.Normal(0.0, 1.0)), axis=-1)

    return Block(
        spec=f"gau:{n}",
        family="gau",
        groups=(n, 1),
        kind="real",
        discrete=False,
        rest=np.zeros(1),
        traversal=np.linspace(-2, 2, 17)[:, None],
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


FAMILY = Family("gau", "N", "N Gaussian variables", "gau:2", make)
