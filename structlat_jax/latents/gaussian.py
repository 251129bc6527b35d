"""Gaussian blocks: ``gau:N``, N independent variables with prior N(0, 1)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from structlat_jax.latents import natural
from structlat_jax.latents.block import Block, Family, LatentOptions, whole_numbers


class GaussianPosterior(NamedTuple):
    """Independent normals; ``empty`` marks those that have seen nothing and are the prior."""

    mean: Float[Array, "*batch n"]
    variance: Float[Array, "*batch n"]
    empty: Bool[Array, "*batch"]


def make(sizes: str, options: LatentOptions) -> Block:
    """A block of size ``N``; raises `ValueError` on others."""
    (n,) = whole_numbers(sizes, N=1)

    def evidence(raw: Float[Array, "*batch stat"]) -> Float[Array, "*batch stat"]:
        return natural.evidence_from_raw(raw, options.precision)

    def posterior(total: Float[Array, "*batch stat"]) -> GaussianPosterior:
        return GaussianPosterior(*natural.moments_from_total(total, 1.0, options.prior_factor))

    def noise(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "*batch n"]:
        return jax.random.normal(key, (*shape, n))

    def transform(q: GaussianPosterior, eps: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        return q.mean + jnp.sqrt(q.variance) * eps

    def kl(q: GaussianPosterior, key: PRNGKeyArray | None) -> Float[Array, "*batch"]:
        del key  # closed form
        import distrax  # takes most of a second, which importing this library should not

        normal = distrax.Normal(q.mean, jnp.sqrt(q.variance))
        return jnp.sum(normal.kl_divergence(distrax.Normal(0.0, 1.0)), axis=-1)

    def log_prob(q: GaussianPosterior, z: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        squares = (z - q.mean) ** 2 / q.variance
        return -0.5 * jnp.sum(squares + jnp.log(2.0 * jnp.pi * q.variance), axis=-1)

    return Block(
        spec=f"gau:{n}",
        family="gau",
        groups=(n, 1),
        kind="real",
        discrete=False,
        rest=np.zeros(1),
        traverse=lambda: np.linspace(-2, 2, 17)[:, None],
        stat_dim=2 * n,
        evidence=evidence,
        posterior=posterior,
        noise=noise,
        transform=transform,
        transform_hard=transform,
        sample_prior=noise,
        empty=lambda q: q.empty,
        kl=kl,
        log_prob=log_prob,
        mean=lambda q: q.mean,
        kl_between=lambda q, p: jnp.sum(natural.normal_kl(q, p), axis=-1),
    )


FAMILY = Family("gau", "N", "N Gaussian variables", "gau:2", make)
