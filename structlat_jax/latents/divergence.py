"""Two KL divergences to a symmetric Dirichlet prior, and a logit-normal's density, in nats."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

_SHIFT = 8  # recurrence steps before the asymptotic series; its error there is below 1e-9


def _stirling_remainders(
    x: Float[Array, "*batch"],
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """What Stirling's series leaves of log-gamma and digamma, for x > 0.

    Returns ``r = lgamma(x) - [(x - 1/2) log x - x + 1/2 log 2 pi]`` and
    ``t = x (log x - 1/(2x) - digamma(x))``. Both vanish as 1/(12 x), so that differences of huge
    log-gammas can be written without cancellation. Both are built from elementary functions:
    autodiff needs no polygamma, and XLA compiles them quickly. (Abramowitz and Stegun 6.1.40,
    6.3.18, after `_SHIFT` steps of the recurrences 6.1.15 and 6.3.5.)
    """
    small = x < _SHIFT
    low = jnp.where(small, x, 1.0)
    steps = low[..., None] + jnp.arange(_SHIFT, dtype=x.dtype)
    y = jnp.where(small, low + _SHIFT, x)
    series_r = (1 / 12 - (1 / 360 - 1 / 1260 / y**2) / y**2) / y
    series_t = (1 / 12 - (1 / 120 - 1 / 252 / y**2) / y**2) / y
    log_low, log_high = jnp.log(low), jnp.log(low + _SHIFT)
    gap = jnp.log1p(_SHIFT / low)
    lgamma_gap = (low + _SHIFT - 0.5) * log_high - (low - 0.5) * log_low - _SHIFT
    r_small = series_r + lgamma_gap - jnp.sum(jnp.log(steps), axis=-1)
    digamma_gap = -gap + 0.5 / (low + _SHIFT) - 0.5 / low + jnp.sum(1.0 / steps, axis=-1)
    t_small = low * (series_t / (low + _SHIFT) + digamma_gap)
    return jnp.where(small, r_small, series_r), jnp.where(small, t_small, series_t)


def centred_log_prob(
    logits: Float[Array, "*batch K"],
    mean: Float[Array, "*batch K"],
    variance: Float[Array, "*batch K"],
) -> Float[Array, "*batch"]:
    """Log-density of logits but for their mean, of which softmax knows nothing.

    With x ~ N(mean, diag variance), the density of x less its mean, in the plane of K - 1
    dimensions in which it lies: the integral of the normal's density along (1, ..., 1). It does not
    change where the same number is added to all logits or to all means.

    Args:
      logits, mean, variance: ``[..., K]``.

    Returns:
      ``[...]``.
    """
    classes = logits.shape[-1]
    precision = 1.0 / variance
    total = jnp.sum(precision, axis=-1)
    apart = logits - mean
    # Around the weighted mean, which the integral leaves; large means cancel before the squares.
    apart = apart - (jnp.sum(precision * apart, axis=-1) / total)[..., None]
    square = jnp.sum(precision * apart**2, axis=-1)
    volume = (classes - 1) * math.log(2.0 * math.pi) - math.log(classes)
    return -0.5 * (square + volume + jnp.sum(jnp.log(variance), axis=-1) + jnp.log(total))


def log_beta(alpha: float, classes: int) -> float:
    """Logarithm of the multivariate beta function of a symmetric Dirichlet."""
    return classes * math.lgamma(alpha) - math.lgamma(classes * alpha)


def dirichlet_kl(alpha: Float[Array, "*batch K"], prior: float) -> Float[Array, "*batch"]:
    """KL(Dir(alpha) || Dir(prior, ..., prior)).

    Written with Stirling's leading terms cancelled by hand: a direct evaluation in float32 loses
    every digit above alpha ~ 1e6, which an accumulated posterior reaches.

    Args:
      alpha: ``[..., K]``, in (0, 1e30].
      prior: Concentration of the symmetric prior.

    Returns:
      KL in nats, ``[...]``.
    """
    classes = alpha.shape[-1]
    alpha0 = jnp.sum(alpha, axis=-1)
    r, t = _stirling_remainders(alpha)
    r0, t0 = _stirling_remainders(alpha0)
    log_alpha, log_alpha0 = jnp.log(alpha), jnp.log(alpha0)
    half_log = 0.5 * (jnp.sum(log_alpha, axis=-1) - log_alpha0)
    negative_entropy = (
        half_log
        - 0.5 * (classes - 1) * (1.0 + math.log(2 * math.pi))
        + (r0 - jnp.sum(r, axis=-1))
        + (t0 - jnp.sum(t, axis=-1))
    )  # sum alpha_k E[log z_k] - log B(alpha)
    expected_log = (log_alpha - (0.5 + t) / alpha) - (log_alpha0 - (0.5 + t0) / alpha0)[..., None]
    return negative_entropy + log_beta(prior, classes) - prior * jnp.sum(expected_log, axis=-1)


def _kronecker_points(samples: int, classes: int) -> Float[np.ndarray, "{samples} {classes}"]:
    """``[samples, classes]`` points of the R-sequence, an additive-recurrence low-discrepancy
    rule whose step is the generalised golden ratio, the root of x^(K+1) = x + 1."""
    root = 2.0
    for _ in range(64):
        root = (1.0 + root) ** (1.0 / (classes + 1))
    steps = root ** -np.arange(1.0, classes + 1)
    return np.mod(np.outer(np.arange(1, samples + 1), steps), 1.0)


def expected_logsumexp(
    mean: Float[Array, "*batch K"],
    variance: Float[Array, "*batch K"],
    key: PRNGKeyArray,
    samples: int,
) -> Float[Array, "*batch"]:
    """E[logsumexp(x)], x ~ N(mean, diag variance), by randomly shifted quasi-Monte Carlo.

    Each point is used with its mirror image, which integrates the linear part exactly. The
    estimate is unbiased over ``key`` and differentiable in ``mean`` and ``variance``.

    Args:
      mean: ``[..., K]``.
      variance: ``[..., K]``, above 0.
      key: Shifts the points, independently for each leading index.
      samples: Number of points, mirror images included.

    Returns:
      ``[...]``.
    """
    classes = mean.shape[-1]
    points = jnp.asarray(_kronecker_points(max(1, samples // 2), classes), mean.dtype)
    shift = jax.random.uniform(key, (*mean.shape[:-1], 1, classes), mean.dtype)
    uniform = jnp.clip(jnp.mod(points + shift, 1.0), 1e-6, 1.0 - 1e-6)
    normal = jax.scipy.special.ndtri(uniform)
    offset = jnp.sqrt(variance)[..., None, :] * normal
    centre = mean[..., None, :]
    both = jax.nn.logsumexp(jnp.stack([centre + offset, centre - offset]), axis=-1)
    return jnp.mean(both, axis=(0, -1))


def logit_normal_kl(
    mean: Float[Array, "*batch K"],
    variance: Float[Array, "*batch K"],
    prior: float,
    key: PRNGKeyArray,
    samples: int,
) -> Float[Array, "*batch"]:
    """KL(logit-normal || Dir(prior, ..., prior)) without a bridge.

    The entropy and the linear term are closed forms; only E[logsumexp(x)] is integrated.

    Args:
      mean: Means of the logits, ``[..., K]``.
      variance: Their variances, ``[..., K]``.
      prior: Concentration of the symmetric prior.
      key: For `expected_logsumexp`.
      samples: For `expected_logsumexp`.

    Returns:
      KL in nats, ``[...]``.
    """
    classes = mean.shape[-1]
    mean = mean - jnp.mean(mean, axis=-1, keepdims=True)  # softmax does not see a common shift
    log_variance = jnp.log(variance)
    entropy_of_logits = 0.5 * (
        (classes - 1) * math.log(2 * math.pi * math.e)
        + jnp.sum(log_variance, axis=-1)
        + jax.nn.logsumexp(-log_variance, axis=-1)
        - math.log(classes)
    )
    expectation = expected_logsumexp(mean, variance, key, samples)
    constant = log_beta(prior, classes) - 0.5 * math.log(classes)
    return constant - entropy_of_logits + prior * classes * expectation
