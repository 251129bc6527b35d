"""The Laplace bridge between Dirichlet and logit-normal distributions.

MacKay (1998) takes the Laplace approximation of a Dirichlet in the softmax basis; Hennig et al.
(2011) and Hobbhahn et al. (2022) give the map and its inverse. The inverse is printed with a wrong
sign in the paper that this project rebuilds; `form` selects which one is used.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from structlat_jax.latents.block import BRIDGES

_LOG_ALPHA_MAX = 69.0  # alpha within 1e-30 and 1e30: float32 still holds sums and reciprocals


def dirichlet_to_logit_normal(
    alpha: Float[ArrayLike, "..."],
) -> tuple[Float[Array, "*batch K"], Float[Array, "*batch K"]]:
    """Forward bridge.

    Args:
      alpha: Concentrations above 0, ``[..., K]``, K >= 2.

    Returns:
      ``mu [..., K]`` (it sums to zero) and ``var [..., K]``, the diagonal of the covariance on the
      sum-to-zero plane.

    Raises:
      ValueError: if K < 2.
    """
    alpha = jnp.asarray(alpha)
    classes = _classes(alpha)
    log_alpha = jnp.log(alpha)
    mu = log_alpha - jnp.mean(log_alpha, axis=-1, keepdims=True)
    inverse = 1.0 / alpha
    total = jnp.sum(inverse, axis=-1, keepdims=True)
    return mu, inverse * (1.0 - 2.0 / classes) + total / classes**2


def logit_normal_to_dirichlet(
    mu: Float[ArrayLike, "..."], var: Float[ArrayLike, "..."], form: str = "projected"
) -> Float[Array, "*batch K"]:
    """Inverse bridge: the Dirichlet whose Laplace approximation is the given logit-normal.

    Args:
      mu: Means of the logits, ``[..., K]``.
      var: Their variances (a diagonal covariance), above 0, ``[..., K]``.
      form: ``projected`` first projects N(mu, diag var) onto the sum-to-zero plane, which leaves
        the distribution of softmax(x) as it is and which the bridge assumes; ``corrected`` takes
        ``var`` as that plane's diagonal already, the exact inverse of
        `dirichlet_to_logit_normal`; ``printed`` keeps the paper's sign error, for ablations.

    Returns:
      alpha, ``[..., K]``, from 1e-30 to 1e30. The limits keep float32 finite where the formula
      itself leaves its range (means 50 apart).

    Raises:
      ValueError: on another form, K < 2 or shapes that differ.
    """
    mu, var = jnp.asarray(mu), jnp.asarray(var)
    classes = _classes(mu)
    if mu.shape != var.shape:
        raise ValueError(f"mu and var must have one shape, not {mu.shape} and {var.shape}.")
    if form not in BRIDGES:
        raise ValueError(f"form must be one of {', '.join(BRIDGES)}, not {form!r}.")
    if form == "projected":
        mu = mu - jnp.mean(mu, axis=-1, keepdims=True)
        var = var * (1.0 - 2.0 / classes) + jnp.sum(var, axis=-1, keepdims=True) / classes**2
    sign = -1.0 if form == "printed" else 1.0
    # log alpha = log(1 - 2/K + exp(+-mu_k + logsumexp(-mu)) / K^2) - log S_kk, kept as logarithms.
    exponent = sign * mu + jax.nn.logsumexp(-mu, axis=-1, keepdims=True) - 2.0 * math.log(classes)
    if classes > 2:
        exponent = jnp.logaddexp(exponent, math.log1p(-2.0 / classes))
    return jnp.exp(jnp.clip(exponent - jnp.log(var), -_LOG_ALPHA_MAX, _LOG_ALPHA_MAX))


def _classes(x: Float[Array, "..."]) -> int:
    if x.ndim < 1 or x.shape[-1] < 2:
        raise ValueError(f"the bridge needs shape [..., K] with K >= 2, not {x.shape}.")
    return x.shape[-1]
