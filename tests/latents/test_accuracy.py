"""Single precision against float64 on random inputs, up to the ends of the stated ranges.

Errors are relative, to the number itself or to 1 if that is larger: a KL near 0 is a difference of
terms near 1 and can have no more absolute digits than these. The slow form has a million cases.
"""

from functools import partial

import jax
import numpy as np
import pytest
import references

from structlat_jax.latents import divergence, laplace_bridge, latent_space
from structlat_jax.nets.heads import squash

CASES = {"short": 4_000, "million": 1_000_000}
SIZES = [pytest.param("short"), pytest.param("million", marks=pytest.mark.slow)]
CHUNK = 100_000
TOLERANCE = 1e-4


def worst(size, draw, ours, reference, seed=0):
    """The largest relative error over so many random cases; fails if anything is not finite.

    Args:
      size: Of `CASES`.
      draw: ``(rng, n)`` to a tuple of float32 inputs.
      ours: Of the inputs, a tuple of float32 arrays.
      reference: Of the inputs, a tuple of pairs: float64 array, and what errors are relative to
        (None: the larger of the number and 1).
    """
    rng, largest = np.random.default_rng(seed), 0.0
    for start in range(0, CASES[size], CHUNK):
        inputs = draw(rng, min(CHUNK, CASES[size] - start))
        for mine, (right, scale) in zip(ours(*inputs), reference(*inputs), strict=True):
            assert np.all(np.isfinite(mine))
            scale = np.maximum(np.abs(right), 1.0) if scale is None else scale
            largest = max(largest, float(np.max(np.abs(np.float64(mine) - right) / scale)))
    print(f"largest relative error {largest:.2e}")
    return largest


def uniform(rng, low, high, shape):
    return rng.uniform(low, high, shape).astype(np.float32)


def spread(rng, low, high, shape):
    """Uniform in the logarithm."""
    return np.exp(rng.uniform(np.log(low), np.log(high), shape)).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("form", "classes"), [("projected", 4), ("corrected", 3), ("projected", 2)]
)
def test_inverse_bridge(size, form, classes):
    """Means up to 50, variances from 1e-7 to 1e6: concentrations from 1e-30 to 1e30."""

    def draw(rng, n):
        reach = rng.choice([1.0, 10.0, 50.0], (n, 1))
        mu = (reach * rng.uniform(-1, 1, (n, classes))).astype(np.float32)
        return mu, spread(rng, 1e-7, 1e6, (n, classes))

    ours = jax.jit(lambda mu, var: (laplace_bridge.logit_normal_to_dirichlet(mu, var, form),))

    def reference(mu, var):
        right = references.bridge_inverse(mu, var, form)
        return ((right, right),)

    assert worst(size, draw, ours, reference) < TOLERANCE


@pytest.mark.parametrize("size", SIZES)
def test_forward_bridge(size):
    def reference(alpha):
        mu, var = references.bridge_forward(alpha)
        return (mu, None), (var, var)

    def draw(rng, n):
        return (spread(rng, 1e-6, 1e6, (n, 4)),)

    ours = jax.jit(laplace_bridge.dirichlet_to_logit_normal)
    assert worst(size, draw, ours, reference) < TOLERANCE


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("classes", "prior"), [(4, 0.2), (2, 1.0)])
def test_dirichlet_kl(size, classes, prior):
    def draw(rng, n):
        return (spread(rng, 1e-6, 1e6, (n, classes)),)

    def reference(alpha):
        return ((references.dirichlet_kl(alpha, prior), None),)

    ours = jax.jit(lambda alpha: (divergence.dirichlet_kl(alpha, prior),))
    assert worst(size, draw, ours, reference) < TOLERANCE


@partial(jax.jit, static_argnums=0)
def infer(space, raw):
    return space.posterior(space.combine(space.evidence(raw)))


@partial(jax.jit, static_argnums=0)
def kl_of(space, posterior):
    return space.kl(posterior)[..., 0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("precision", ["softplus", "exp"])
def test_gaussian_posterior_and_kl(size, precision):
    """Means up to 50, raw scales up to 20, which is the whole range of the precision."""
    space = latent_space("gau:2", precision=precision, prior_factor=False)

    def draw(rng, n):
        mean, scale = uniform(rng, -50, 50, (n, 4, 2)), uniform(rng, -20, 20, (n, 4, 2))
        return (np.concatenate([mean, scale], axis=-1),)

    def ours(raw):
        (q,) = infer(space, raw)
        return q.mean, q.variance, kl_of(space, (q,))

    def reference(raw):
        mean, variance, contributions = references.gaussian_posterior(raw, precision)
        (q,) = infer(space, raw)
        return (
            (mean, np.maximum(contributions, 1e-3)),
            (variance, variance),
            (references.gaussian_kl(q.mean, q.variance), None),
        )

    assert worst(size, draw, ours, reference) < TOLERANCE


@pytest.mark.parametrize("size", SIZES)
def test_categorical_posterior_and_kl(size):
    space = latent_space("cat:1x4", precision="softplus")

    def draw(rng, n):
        reach = rng.choice([1.0, 10.0, 200.0], (n, 1, 1))
        return ((reach * rng.normal(size=(n, 4, 4))).astype(np.float32),)

    def ours(raw):
        (q,) = infer(space, raw)
        return q.logits[..., 0, :], kl_of(space, (q,))

    def reference(raw):
        (q,) = infer(space, raw)
        right = references.categorical_posterior(raw[:, :, None], 1.0)[:, 0]
        return (right, None), (references.categorical_kl(q.logits[..., 0, :]), None)

    assert worst(size, draw, ours, reference) < TOLERANCE


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("reach", "tolerance"), [(1.5, TOLERANCE), (20.0, 0.05)])
def test_action_density(size, reach, tolerance):
    """Log standard deviations from -4 on: below, (x - mean) / std has lost the digits of x. Where
    tanh saturates, 1 - tanh^2 is the difference of two numbers that float32 cannot tell apart;
    PEARL's 1e-6 keeps it finite, but its logarithm is then good to a few percent only."""

    def draw(rng, n):
        noise = np.clip(rng.normal(size=(n, 2)), -2.5, 2.5).astype(np.float32)
        log_std = uniform(rng, -4, -0.5 if reach < 5 else 2, (n, 2))
        return uniform(rng, -reach, reach, (n, 2)), log_std, noise

    def reference(*inputs):
        return ((references.tanh_normal_log_density(*inputs), None),)

    ours = jax.jit(lambda *inputs: (squash(*inputs)[1],))
    assert worst(size, draw, ours, reference) < tolerance
