"""Where inference ends up at its limits: no context, one-hot, tiny and huge, ten thousand steps."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references

from structlat_jax.latents import divergence, laplace_bridge, latent_space

LONG = 10_000
SPECS = ["gau:2", "cat:1x4", "dir:1x4", "vmf:1"]


@partial(jax.jit, static_argnums=0)
def total_of(space, raw):
    return space.combine(space.evidence(raw))


@partial(jax.jit, static_argnums=0)
def kl_and_draw(space, total):
    posterior = space.posterior(total)
    noise = jnp.full((*total.shape[:-1], space.dim), 0.3)
    return space.kl(posterior), space.transform(posterior, noise), space.mean(posterior)


@partial(jax.jit, static_argnums=0)
def gradients(space, total):
    def loss(total):
        kl, z, mean = kl_and_draw(space, total)
        return jnp.sum(kl) + jnp.sum(z**2) + jnp.sum(mean**2)

    return jax.grad(loss)(total)


def assert_finite(space, total):
    for values in (*kl_and_draw(space, total), gradients(space, total)):
        assert np.all(np.isfinite(values))


@pytest.mark.parametrize("precision", ["softplus", "exp"])
@pytest.mark.parametrize("spec", SPECS)
def test_ten_thousand_transitions(spec, precision):
    """The sum of so many factors has the digits of one; but for faint categorical evidence, whose
    log-probabilities near -log K add up to 14,000 before the difference of 3 that counts."""
    space = latent_space(spec, precision=precision, prior_factor=False)
    raw = np.random.default_rng(0).normal(size=(LONG, space.stat_dim)).astype(np.float32)
    total = total_of(space, raw)
    (q,) = space.posterior(total)
    if spec.startswith("cat"):
        scale = 0.02 if precision == "exp" else 1.0
        right = references.categorical_posterior(raw[:, None], scale)
        tolerance = 2e-3 if precision == "exp" else 1e-4 * np.abs(right).max()
        np.testing.assert_allclose(q.logits, right, rtol=1e-4, atol=tolerance)
    elif spec.startswith("vmf"):
        right = np.sum(np.float64(raw), axis=0) * (0.02 if precision == "exp" else 1.0)
        np.testing.assert_allclose(q.natural[0], right, rtol=1e-4, atol=1e-4 * np.abs(raw).sum())
    else:
        mean, variance, contributions = references.gaussian_posterior(raw, precision)
        np.testing.assert_allclose(np.ravel(q.variance), variance, rtol=1e-4)
        assert np.all(np.abs(np.ravel(q.mean) - mean) < 1e-4 * contributions)
    assert_finite(space, total)


@pytest.mark.parametrize("spec", SPECS)
def test_no_context(spec):
    space = latent_space(spec)
    total = total_of(space, jnp.zeros((0, space.stat_dim)))
    np.testing.assert_array_equal(total, 0.0)
    np.testing.assert_allclose(kl_and_draw(space, total)[0], 0.0, atol=1e-6)
    assert_finite(space, total)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_one_hot_categorical(size):
    space = latent_space("cat:1x4", precision="softplus")
    raw = jnp.zeros((8, 4)).at[:, 2].set(size)
    total = total_of(space, raw)
    kl, _, mean = kl_and_draw(space, total)
    np.testing.assert_allclose(mean, [0, 0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(kl, [np.log(4)], rtol=1e-5)
    assert_finite(space, total)


@pytest.mark.parametrize("scale", [-1e4, -30.0, 30.0, 1e4])
@pytest.mark.parametrize("precision", ["softplus", "exp"])
@pytest.mark.parametrize("spec", ["gau:2", "dir:1x4"])
def test_precisions_at_their_limits(spec, precision, scale):
    space = latent_space(spec, precision=precision)
    half = space.stat_dim // 2
    raw = jnp.concatenate([jnp.linspace(-50.0, 50.0, half), jnp.full(half, scale)])
    assert_finite(space, total_of(space, jnp.tile(raw, (100, 1))))


@pytest.mark.parametrize(
    "alpha",
    [
        [1e-8, 1e-8, 1e-8],
        [1e-6, 1.0, 1e6],
        [1e-16, 1.0, 1.0],  # below 1e-18 the gradient itself is no float32
        [1e20, 1e20, 1e20],
        [1e-10, 1e10, 1.0],
    ],
)
def test_dirichlet_kl_at_its_corners(alpha):
    alpha = np.float32(alpha)
    kl, gradient = jax.value_and_grad(lambda a: divergence.dirichlet_kl(a, 0.2))(jnp.array(alpha))
    assert abs(float(kl) - references.mpmath_kl(alpha, 0.2)) < 1e-4 * max(1.0, float(kl))
    assert np.all(np.isfinite(gradient))


@partial(jax.jit, static_argnums=2)
def bridge_gradients(mu, var, form):
    def total(mu, var):
        return jnp.sum(jnp.log(laplace_bridge.logit_normal_to_dirichlet(mu, var, form)))

    return jax.grad(total, argnums=(0, 1))(mu, var)


@pytest.mark.parametrize("form", ["projected", "corrected", "printed"])
def test_bridge_at_its_corners(form):
    """As far as float32 goes at all: clipped, but finite and with finite gradients."""
    sizes = np.array([-50.0, 0.0, 50.0], np.float32)
    mu = np.stack(np.meshgrid(*[sizes] * 3), axis=-1).reshape(-1, 3)
    for var in (1e-7, 1.0, 1e6):
        v = np.full_like(mu, var)
        found = laplace_bridge.logit_normal_to_dirichlet(mu, v, form)
        np.testing.assert_allclose(found, references.bridge_inverse(mu, v, form), rtol=2e-4)
        for gradient in bridge_gradients(mu, v, form):
            assert np.all(np.isfinite(gradient))
