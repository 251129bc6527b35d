"""Natural parameters: what the families share about evidence that adds.

A factor N(mu, v) contributes (1/v, mu/v); a product of factors is the sum of these
(Rakelly et al. 2019, section 4.1). Gaussian blocks and the logits of Dirichlet blocks are such.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

VARIANCE_FLOOR = 1e-7
FAINT = 0.02  # hundreds of transitions add up: at full size a fresh encoder is already certain
_LOG_PRECISION_SHIFT = 2.0
_LOG_PRECISION_RANGE = (-13.8, 16.1)  # variances from 1e-7 to 1e6, in which the bridge is tested


def scale_of_raw(precision: str) -> float:
    """What multiplies an encoder's output that is evidence as it stands, without a precision in it:
    1 for ``softplus``, `FAINT` for ``exp``, so that one transition starts with little to say."""
    return FAINT if precision == "exp" else 1.0


def evidence_from_raw(
    raw: Float[Array, "*batch two_n"], precision: str
) -> Float[Array, "*batch two_n"]:
    """Encoder output to natural parameters.

    Args:
      raw: ``[..., 2 n]``: ``n`` means, then ``n`` unconstrained scales.
      precision: ``softplus`` (variance = softplus(raw), at least 1e-7, as in PEARL) or ``exp``
        (precision = exp(raw - 2), so that one transition starts with little to say).

    Returns:
      ``[..., 2 n]``: precisions, then precisions times means.
    """
    mean, scale = jnp.split(raw, 2, axis=-1)
    if precision == "softplus":
        tau = 1.0 / jnp.maximum(jax.nn.softplus(scale), VARIANCE_FLOOR)
    else:
        tau = jnp.exp(jnp.clip(scale - _LOG_PRECISION_SHIFT, *_LOG_PRECISION_RANGE))
    return jnp.concatenate([tau, tau * mean], axis=-1)


def normal_kl(q: Any, p: Any) -> Float[Array, "..."]:
    """KL in nats between normals, number by number, of two posteriors with ``mean`` and
    ``variance``."""
    ratio = q.variance / p.variance
    return 0.5 * (ratio + (q.mean - p.mean) ** 2 / p.variance - 1.0 - jnp.log(ratio))


def moments_from_total(
    total: Float[Array, "*batch two_n"], prior_variance: float, prior_factor: bool
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"], Bool[Array, "*batch"]]:
    """Total natural parameters to mean and variance.

    Args:
      total: ``[..., 2 n]``, summed over transitions.
      prior_variance: Variance of the zero-mean prior, used where nothing was seen.
      prior_factor: Whether the prior counts as one more factor.

    Returns:
      ``mean [..., n]``, ``variance [..., n]`` and ``empty [...]`` (nothing was seen).
    """
    tau, weighted = jnp.split(total, 2, axis=-1)
    unseen = tau <= 0
    if prior_factor:
        tau = tau + 1.0 / prior_variance
    safe = jnp.where(unseen, 1.0, tau)  # keeps the gradient of the branch not taken finite
    variance = jnp.where(unseen, prior_variance, 1.0 / safe)
    mean = jnp.where(unseen, 0.0, weighted / safe)
    return mean, variance, jnp.all(unseen, axis=-1)
