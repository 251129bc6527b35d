"""Log-densities of posteriors: by other libraries, by integration, and by their own draws."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from structlat_jax.latents import latent_space
from structlat_jax.latents.divergence import centred_log_prob
from structlat_jax.latents.von_mises_fisher import log_density

ALONE = ("gau:3", "dir:2x3", "cat:2x3", "vmf:2")
SPECS = [
    "dir:1x4,gau:2,cat:1x3,vmf:1",  # every family, block by block
    *(pytest.param(spec, marks=pytest.mark.slow) for spec in ALONE),
]


@functools.partial(jax.jit, static_argnums=0)
def posterior_of(space, seed=0):
    raw = 1.5 * jax.random.normal(jax.random.key(seed), (4, space.stat_dim))
    return space.posterior(space.combine(space.evidence(raw)))


def test_gaussian_by_scipy():
    space = latent_space("gau:3")
    (q,) = posterior_of(space)
    z = jnp.array([0.3, -1.0, 2.0])
    expected = scipy.stats.norm.logpdf(z, q.mean, np.sqrt(q.variance)).sum()
    np.testing.assert_allclose(space.log_prob((q,), z), [expected], rtol=1e-5)


def test_categorical_by_hand():
    space = latent_space("cat:2x3")
    (q,) = posterior_of(space)
    z = jnp.array([0.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    expected = q.logits[0, 1] + q.logits[1, 2]
    np.testing.assert_allclose(space.log_prob((q,), z), [expected], rtol=1e-5)


def test_centred_logits_by_a_normal_in_their_plane():
    """An orthonormal basis of the plane makes it a density that SciPy has."""
    mean, variance = np.array([0.5, -1.0, 2.0, 0.1]), np.array([0.3, 1.0, 2.5, 0.7])
    logits = np.array([1.0, 0.0, -0.5, 0.4])
    basis = np.linalg.svd(np.eye(4) - 0.25)[0][:, :3]
    normal = scipy.stats.multivariate_normal(basis.T @ mean, basis.T @ np.diag(variance) @ basis)
    found = centred_log_prob(*map(jnp.asarray, (logits, mean, variance)))
    np.testing.assert_allclose(found, normal.logpdf(basis.T @ logits), rtol=1e-5)


@pytest.mark.parametrize("shift", [3.0, -40.0])
def test_a_shift_of_all_logits_changes_nothing(shift):
    mean, variance = jnp.array([0.5, -1.0, 2.0]), jnp.array([0.3, 1.0, 2.5])
    logits = jnp.array([1.0, 0.0, -0.5])
    usual = centred_log_prob(logits, mean, variance)
    for moved in ((logits + shift, mean), (logits, mean + shift)):
        np.testing.assert_allclose(centred_log_prob(*moved, variance), usual, rtol=1e-4)


@pytest.mark.parametrize("kappa", [1e-4, 0.1, 1.0, 30.0, 1e4])
def test_von_mises_fisher_by_scipy(kappa):
    towards = np.array([2.0, -1.0, 0.5]) / math.sqrt(5.25)
    z = np.array([1.0, -1.0, 0.2]) / math.sqrt(2.04)
    expected = scipy.stats.vonmises_fisher(towards, kappa).logpdf(z)
    found = log_density(jnp.asarray(kappa * towards), jnp.asarray(z))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("spec", SPECS)
def test_no_density_explains_its_draws_better(spec):
    """Gibbs' inequality: the mean over draws of a posterior is greatest under itself."""
    space = latent_space(spec, precision="softplus")  # draws that differ enough

    @jax.jit
    def means(own, other, key):
        noise = space.noise(key, (4000,))
        z = jax.vmap(lambda eps: space.transform(own, eps, hard=True))(noise)
        each = [jax.vmap(lambda x, q=q: space.log_prob(q, x))(z) for q in (own, other)]
        return [jnp.mean(one, axis=0) for one in each]

    mean = means(posterior_of(space), posterior_of(space, seed=1), jax.random.key(2))
    assert mean[0].shape == (len(space.blocks),)
    assert np.all(mean[0] > mean[1])


@pytest.mark.parametrize("spec", SPECS)
def test_any_leading_axes_and_finite_gradients_everywhere(spec):
    space = latent_space(spec)

    def run(raw, z):
        return space.log_prob(space.posterior(space.combine(space.evidence(raw))), z)

    def inputs(lead):  # z has weights that are exactly or nearly 0
        raw = jax.random.normal(jax.random.key(0), (*lead, 4, space.stat_dim))
        return raw, space.sample_prior(jax.random.key(5), lead)

    for lead in ((), (3,), (2, 3)):
        shapes = jax.eval_shape(lambda lead=lead: inputs(lead))
        assert jax.eval_shape(run, *shapes).shape == (*lead, len(space.blocks))

    @jax.jit
    def everything():
        raw, z = inputs((2, 3))
        return run(raw, z), jax.grad(lambda x: jnp.sum(run(x, z)))(raw), run(raw[1, 2], z[1, 2])

    found, gradient, alone = everything()
    np.testing.assert_allclose(found[1, 2], alone, rtol=1e-4, atol=1e-4)
    assert np.all(np.isfinite(found))
    assert np.all(np.isfinite(gradient))
    assert np.any(gradient != 0)


def test_a_wrong_width_raises():
    space = latent_space("gau:3")
    with pytest.raises(ValueError, match=r"z must have shape \[\.\.\., 3\]"):
        space.log_prob(posterior_of(space), jnp.zeros(2))
