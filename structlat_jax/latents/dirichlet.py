"""Dirichlet blocks: ``dir:VxK``, V points on the simplex with prior Dir(alpha, ..., alpha).

The posterior is logit-normal: z = softmax(x), x ~ N(mean, diag variance), because products of
normals are normal while products of Dirichlets need not be Dirichlets (paper, section 3.1).
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from structlat_jax.latents import divergence, laplace_bridge, natural
from structlat_jax.latents.block import Block, Family, LatentOptions, whole_numbers

_LEAST = 1e-4  # of a weight whose logarithm counts
_STEPS = 8  # of a traversal from one class to another
_ALL_PAIRS = 6  # with more classes, only neighbours are mixed


class DirichletPosterior(NamedTuple):
    """Independent logit-normals: mean and variance of the logits; ``empty`` marks posteriors that
    have seen nothing and are the Dirichlet prior."""

    mean: Float[Array, "*batch V K"]
    variance: Float[Array, "*batch V K"]
    empty: Bool[Array, "*batch"]


def make(sizes: str, options: LatentOptions) -> Block:
    """A block of sizes ``VxK``, K >= 2; raises `ValueError` on others."""
    variables, classes = whole_numbers(sizes, V=1, K=2)
    dim = variables * classes
    # The prior as one Gaussian factor on the logits: the forward bridge of Dir(alpha), its
    # variance freed from the sum-to-zero plane, so that the projected bridge gives alpha back.
    prior_variance = 1.0 / options.alpha

    def split(x: Float[Array, "*batch dim"]) -> Float[Array, "*batch V K"]:
        return x.reshape(*x.shape[:-1], variables, classes)

    def flat(x: Float[Array, "*batch V K"]) -> Float[Array, "*batch dim"]:
        return x.reshape(*x.shape[:-2], dim)

    def evidence(raw: Float[Array, "*batch stat"]) -> Float[Array, "*batch stat"]:
        return natural.evidence_from_raw(raw, options.precision)

    def posterior(total: Float[Array, "*batch stat"]) -> DirichletPosterior:
        mean, variance, empty = natural.moments_from_total(
            total, prior_variance, options.prior_factor
        )
        return DirichletPosterior(split(mean), split(variance), empty)

    def noise(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "*batch dim"]:
        return jax.random.normal(key, (*shape, dim))

    def transform(
        q: DirichletPosterior, eps: Float[Array, "*batch dim"]
    ) -> Float[Array, "*batch dim"]:
        return flat(jax.nn.softmax(q.mean + jnp.sqrt(q.variance) * split(eps), axis=-1))

    def sample_prior(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "*batch dim"]:
        # distrax draws in the same way, but takes a second to import, which loading an agent would
        # wait for.
        concentration = jnp.full((classes,), options.alpha)
        return flat(jax.random.dirichlet(key, concentration, (*shape, variables)))

    def concentration(q: DirichletPosterior) -> Float[Array, "*batch V K"]:
        return laplace_bridge.logit_normal_to_dirichlet(q.mean, q.variance, options.bridge)

    def kl(q: DirichletPosterior, key: PRNGKeyArray | None) -> Float[Array, "*batch"]:
        if options.kl == "exact":
            per_variable = divergence.logit_normal_kl(
                q.mean, q.variance, options.alpha, key, options.kl_samples
            )
        else:
            per_variable = divergence.dirichlet_kl(concentration(q), options.alpha)
        return jnp.where(q.empty, 0.0, jnp.sum(per_variable, axis=-1))

    def log_prob(q: DirichletPosterior, z: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """Log-density of the centred logits of z; weights below `_LEAST` count as that, since what
        tells them apart changes nothing that acts on z."""
        logits = jnp.log(jnp.maximum(split(z), _LEAST))
        per_variable = divergence.centred_log_prob(logits, q.mean, q.variance)
        return jnp.sum(per_variable, axis=-1)

    def mean(q: DirichletPosterior) -> Float[Array, "*batch dim"]:
        alpha = laplace_bridge.logit_normal_to_dirichlet(q.mean, q.variance)
        return flat(alpha / jnp.sum(alpha, axis=-1, keepdims=True))

    return Block(
        spec=f"dir:{variables}x{classes}",
        family="dir",
        groups=(variables, classes),
        kind="simplex",
        discrete=False,
        rest=np.full(classes, 1.0 / classes),
        traverse=lambda: _mixtures(classes),
        stat_dim=2 * dim,
        evidence=evidence,
        posterior=posterior,
        noise=noise,
        transform=transform,
        transform_hard=transform,
        sample_prior=sample_prior,
        empty=lambda q: q.empty,
        kl=kl,
        log_prob=log_prob,
        mean=mean,
        # Of the logits, which bounds that of the weights: softmax forgets what it may.
        kl_between=lambda q, p: jnp.sum(natural.normal_kl(q, p), axis=(-2, -1)),
    )


def _mixtures(classes: int) -> Float[np.ndarray, "N {classes}"]:
    """Every class alone, and what lies between two of them: weights ``[N, K]``."""
    corners = np.eye(classes)
    pairs = list(itertools.combinations(range(classes), 2))
    if classes > _ALL_PAIRS:
        pairs = [(k, (k + 1) % classes) for k in range(classes)]
    step = np.linspace(0.0, 1.0, _STEPS + 1)[1:-1, None]
    between = [(1.0 - step) * corners[i] + step * corners[j] for i, j in pairs]
    return np.concatenate([corners, *between])


FAMILY = Family("dir", "VxK", "V Dirichlet variables of K classes", "dir:2x4", make)
