"""Von Mises-Fisher blocks: ``vmf:V``, V directions in space, unit vectors of three numbers.

The density on the sphere is proportional to exp(eta . z); the length of eta is the concentration
kappa, its direction the mean direction. A product of such densities has the sum of their eta, so
that eta is the evidence, and the uniform prior, eta = 0, changes nothing as one more factor.
(Mardia and Jupp 2000, sections 9.3 and 10.3; as a latent space: Davidson et al. 2018.)
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from structlat_jax.latents import natural
from structlat_jax.latents.block import Block, Family, LatentOptions, whole_numbers

_LIMIT = 1e6  # of each number of one transition's evidence: sums and their squares stay in float32
_SMALL = 0.5  # concentrations below it are served by power series, which need no cancellation
_NEARLY_UNIFORM = 1e-2  # concentrations below it move a point linearly, to 1e-5
_EDGE = 1e-6  # share of the sphere at either pole where the inverse stands still
_SHORTEST = 1e-5  # of a tangent; below it rounding decides where it points


class VonMisesFisherPosterior(NamedTuple):
    """Independent directions: ``natural`` is kappa times the mean direction; ``empty`` marks
    posteriors that have seen nothing and are the prior."""

    natural: Float[Array, "*batch V 3"]
    empty: Bool[Array, "*batch"]


def make(sizes: str, options: LatentOptions) -> Block:
    """A block of size ``V``; raises `ValueError` on others."""
    (variables,) = whole_numbers(sizes, V=1)
    dim = 3 * variables
    scale = natural.scale_of_raw(options.precision)

    def split(x: Float[Array, "*batch dim"]) -> Float[Array, "*batch V 3"]:
        return x.reshape(*x.shape[:-1], variables, 3)

    def flat(x: Float[Array, "*batch V 3"]) -> Float[Array, "*batch dim"]:
        return x.reshape(*x.shape[:-2], dim)

    def evidence(raw: Float[Array, "*batch dim"]) -> Float[Array, "*batch dim"]:
        return jnp.clip(scale * raw, -_LIMIT, _LIMIT)

    def posterior(total: Float[Array, "*batch dim"]) -> VonMisesFisherPosterior:
        return VonMisesFisherPosterior(split(total), jnp.all(total == 0, axis=-1))

    def noise(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "*batch dim"]:
        normal = jax.random.normal(key, (*shape, variables, 3))
        return flat(normal / jnp.linalg.norm(normal, axis=-1, keepdims=True))

    def transform(
        q: VonMisesFisherPosterior, uniform: Float[Array, "*batch dim"]
    ) -> Float[Array, "*batch dim"]:
        return flat(moved(q.natural, split(uniform)))

    def kl(q: VonMisesFisherPosterior, key: PRNGKeyArray | None) -> Float[Array, "*batch"]:
        del key  # closed form
        return jnp.sum(kl_to_uniform(q.natural), axis=-1)

    def log_prob(
        q: VonMisesFisherPosterior, z: Float[Array, "*batch dim"]
    ) -> Float[Array, "*batch"]:
        """Log-density on the unit sphere with respect to its surface."""
        return jnp.sum(log_density(q.natural, split(z)), axis=-1)

    return Block(
        spec=f"vmf:{variables}",
        family="vmf",
        groups=(variables, 3),
        kind="real",
        discrete=False,
        rest=np.eye(3)[0],  # its mean, 0, is no direction
        traverse=_tour,
        stat_dim=dim,
        evidence=evidence,
        posterior=posterior,
        noise=noise,
        transform=transform,
        transform_hard=transform,
        sample_prior=noise,
        empty=lambda q: q.empty,
        kl=kl,
        log_prob=log_prob,
        mean=lambda q: flat(mean_of(q.natural)),
    )


def mean_of(eta: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3"]:
    """The mean ``A(kappa) eta / kappa``, A = coth(kappa) - 1 / kappa, of ``eta [..., 3]``."""
    small, square, kappa = _regimes(eta)
    series = 1 / 3 + square * (-1 / 45 + square * (2 / 945 + square * (-1 / 4725)))
    direct = (1.0 / jnp.tanh(kappa) - 1.0 / kappa) / kappa
    return jnp.where(small, series, direct)[..., None] * eta


def kl_to_uniform(eta: Float[Array, "*batch 3"]) -> Float[Array, "*batch"]:
    """KL to the uniform distribution, kappa coth(kappa) - 1 + log(kappa / sinh(kappa)).

    Args:
      eta: ``[..., 3]``, shorter than 1e18.

    Returns:
      KL in nats, ``[...]``; its gradient is finite everywhere.
    """
    small, square, kappa = _regimes(eta)
    series = square * (1 / 6 + square * (-1 / 60 + square * (1 / 567 + square * (-1 / 5400))))
    # kappa and log sinh(kappa) are both huge, but all of kappa is in both of them.
    faded = jnp.exp(-2.0 * kappa)
    rest = -jnp.expm1(-2.0 * kappa)
    direct = 2.0 * kappa * faded / rest - 1.0 + jnp.log(2.0 * kappa) - jnp.log(rest)
    return jnp.where(small, series, direct)


def log_density(
    eta: Float[Array, "*batch 3"], z: Float[Array, "*batch 3"]
) -> Float[Array, "*batch"]:
    """``log(kappa / (4 pi sinh(kappa))) + eta . z``, z of length 1; the first term is the KL to the
    uniform distribution less the mean of the second.

    Args:
      eta, z: ``[..., 3]``.

    Returns:
      Log-density in nats, ``[...]``.
    """
    away = z - mean_of(eta)
    return kl_to_uniform(eta) - math.log(4.0 * math.pi) + _inner(eta, away)[..., 0]


def moved(
    eta: Float[Array, "*batch 3"], uniform: Float[Array, "*batch 3"]
) -> Float[Array, "*batch 3"]:
    """Draws from uniform points of the sphere, each moved towards the mean direction.

    The cosine t of a uniform point's angle to the mean direction is uniform in [-1, 1]; the
    inverse of the cumulative distribution of w = z . eta / kappa takes it to
    ``w = 1 + log(v + (1 - v) exp(-2 kappa)) / kappa``, v = (1 + t) / 2 (Ulrich 1984; Jakob 2012).
    The point keeps its tangent. Without evidence it stays where it is, and near that the draw is
    linear in eta, so that the gradient is small where little is known.

    Args:
      eta: ``[..., 3]``.
      uniform: ``[..., 3]``, of length 1.

    Returns:
      Unit vectors ``[..., 3]``.
    """
    square = _inner(eta, eta)
    linear = square < _NEARLY_UNIFORM**2
    nearly = uniform + 0.5 * (eta - _inner(eta, uniform) * uniform)
    # Where a branch is not taken its input is harmless, which keeps its gradient finite.
    safe = jnp.where(linear, jnp.ones_like(eta), eta)
    return jnp.where(linear, nearly, _by_inverse(safe, uniform))


def _by_inverse(
    eta: Float[Array, "*batch 3"], uniform: Float[Array, "*batch 3"]
) -> Float[Array, "*batch 3"]:
    kappa = jnp.sqrt(_inner(eta, eta))
    towards = eta / kappa
    # 1 - v and v as squares of chords: near the poles 1 - t and 1 + t would lose their digits.
    away, near = _chord(uniform, towards), _chord(uniform, -towards)
    length = jnp.sqrt(jnp.maximum(4.0 * away * near, _SHORTEST**2))
    away, near = (jnp.clip(share, _EDGE, 1.0 - _EDGE) for share in (away, near))
    far = kappa > 1.0
    weak = jnp.log1p(away * jnp.expm1(-2.0 * jnp.where(far, 1.0, kappa)))
    strong = jnp.log(near + away * jnp.exp(-2.0 * kappa))
    depth = jnp.minimum(-jnp.where(far, strong, weak) / kappa, 2.0 - _EDGE)  # 1 - w
    tangent = uniform - _inner(uniform, towards) * towards
    across = jnp.sqrt(depth * (2.0 - depth)) / length
    return (1.0 - depth) * towards + across * tangent


def _chord(
    one: Float[Array, "*batch 3"], other: Float[Array, "*batch 3"]
) -> Float[Array, "*batch 1"]:
    """Half the distance between unit vectors ``[..., 3]``, squared, ``[..., 1]``."""
    apart = one - other
    return 0.25 * _inner(apart, apart)


def _inner(
    one: Float[Array, "*batch 3"], other: Float[Array, "*batch 3"]
) -> Float[Array, "*batch 1"]:
    """Inner products of vectors ``[..., 3]``, ``[..., 1]``.

    Written out: a sum over the axis of a product with one vector for all rows, multiplied by the
    rows again, comes out wrong on CPUs above 32,768 numbers with jaxlib 0.10.2 (jax issue 39103).
    """
    x, y, z = jnp.split(one * other, 3, axis=-1)
    return x + y + z


def _regimes(
    eta: Float[Array, "*batch 3"],
) -> tuple[Bool[Array, "*batch"], Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Is kappa small, its square where it is, and itself where it is not."""
    square = jnp.sum(eta**2, axis=-1)
    small = square < _SMALL**2
    return small, jnp.where(small, square, 0.0), jnp.sqrt(jnp.where(small, 1.0, square))


def _tour() -> Float[np.ndarray, "N 3"]:
    """Round the equator from the first axis on, then over the poles: unit vectors."""
    angle = np.linspace(0.0, 2.0 * math.pi, 17)
    cos, sin, zero = np.cos(angle), np.sin(angle), np.zeros(17)
    equator, meridian = np.stack([cos, sin, zero], -1), np.stack([cos, zero, sin], -1)
    return np.concatenate([equator, meridian[1:]])


FAMILY = Family("vmf", "V", "V directions in space", "vmf:2", make)
