"""Float64 references of every density, divergence and posterior, in NumPy, SciPy and mpmath.

Inputs are float32 numbers: what is compared is the arithmetic, not the rounding of the inputs.
"""

import mpmath
import numpy as np
from scipy.special import digamma, gammaln, log_softmax, logsumexp

LARGEST = 69.0  # of |log alpha|: where the library clips


def bridge_inverse(mu, var, form="projected"):
    """Concentrations ``[..., K]`` of a logit-normal, by the formula with the right sign."""
    mu, var = np.float64(mu), np.float64(var)
    k = mu.shape[-1]
    if form == "projected":
        mu = mu - mu.mean(-1, keepdims=True)
        var = var * (1 - 2 / k) + var.sum(-1, keepdims=True) / k**2
    sign = -1.0 if form == "printed" else 1.0
    inner = sign * mu + logsumexp(-mu, axis=-1, keepdims=True) - 2 * np.log(k)
    if k > 2:
        inner = np.logaddexp(inner, np.log1p(-2 / k))
    return np.exp(np.clip(inner - np.log(var), -LARGEST, LARGEST))


def bridge_forward(alpha):
    """``mu, var`` of a Dirichlet."""
    a = np.float64(alpha)
    k = a.shape[-1]
    log_a = np.log(a)
    return log_a - log_a.mean(-1, keepdims=True), (1 - 2 / k) / a + (1 / a).sum(
        -1, keepdims=True
    ) / k**2


def dirichlet_kl(alpha, prior):
    """KL of Dirichlets in nats over the last axis."""
    a = np.float64(alpha)
    a0, k = a.sum(-1), a.shape[-1]
    log_beta = gammaln(a).sum(-1) - gammaln(a0)
    log_beta_prior = k * gammaln(prior) - gammaln(k * prior)
    expected_log = digamma(a) - digamma(a0)[..., None]
    return log_beta_prior - log_beta + ((a - prior) * expected_log).sum(-1)


def mpmath_kl(alpha, prior):
    """`dirichlet_kl` of one ``[K]`` at 80 digits, for concentrations that cancel in float64."""
    with mpmath.workdps(80):
        a = [mpmath.mpf(float(x)) for x in alpha]
        a0, k, b = sum(a), len(a), mpmath.mpf(prior)
        log_beta = sum(mpmath.loggamma(x) for x in a) - mpmath.loggamma(a0)
        log_beta_prior = k * mpmath.loggamma(b) - mpmath.loggamma(k * b)
        cross = sum((x - b) * (mpmath.digamma(x) - mpmath.digamma(a0)) for x in a)
        return float(log_beta_prior - log_beta + cross)


def gaussian_kl(mean, variance):
    """KL to N(0, 1) in nats, summed over the last axis."""
    mean, variance = np.float64(mean), np.float64(variance)
    return 0.5 * (variance + mean**2 - 1 - np.log(variance)).sum(-1)


def categorical_kl(logits):
    """KL to the uniform distribution in nats over the last axis."""
    log_p = log_softmax(np.float64(logits), axis=-1)
    return (np.exp(log_p) * (log_p + np.log(log_p.shape[-1]))).sum(-1)


def precisions(scale, precision):
    """Encoder output to precisions, as `natural.evidence_from_raw`."""
    scale = np.float64(scale)
    if precision == "softplus":
        return 1 / np.maximum(np.logaddexp(scale, 0), 1e-7)
    return np.exp(np.clip(scale - 2, -13.8, 16.1))


def gaussian_posterior(raw, precision):
    """Mean, variance and the mean of absolute contributions of a product over axis -2.

    The last is what rounding errors of the mean are to be compared with: contributions cancel.
    """
    mean, scale = np.split(np.float64(raw), 2, axis=-1)
    tau = precisions(scale, precision)
    total = tau.sum(-2)
    return (tau * mean).sum(-2) / total, 1 / total, (tau * np.abs(mean)).sum(-2) / total


def categorical_posterior(raw, scale):
    """Normalised log-probabilities of a product over axis -3 of ``[..., N, V, K]``."""
    each = np.maximum(log_softmax(scale * np.float64(raw), axis=-1), -30.0)
    return log_softmax(each.sum(-3), axis=-1)


def tanh_normal_log_density(mean, log_std, noise):
    """Of an action, with PEARL's 1e-6 inside the logarithm of the Jacobian, over the last axis."""
    mean, log_std, noise = (np.float64(x) for x in (mean, log_std, noise))
    before = mean + np.exp(log_std) * noise
    jacobian = np.log(1 / np.cosh(before) ** 2 + 1e-6)
    return (-0.5 * noise**2 - log_std - 0.5 * np.log(2 * np.pi) - jacobian).sum(-1)
