import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references
from scipy.special import digamma, gammaln
from scipy.stats import multivariate_normal

from structlat_jax.latents import divergence, laplace_bridge

dirichlet_kl = jax.jit(divergence.dirichlet_kl, static_argnums=1)
logit_normal_kl = jax.jit(divergence.logit_normal_kl, static_argnums=(2, 4))
expected_logsumexp = jax.jit(divergence.expected_logsumexp, static_argnums=3)

kl_gradient = jax.jit(jax.vmap(jax.grad(lambda a: divergence.dirichlet_kl(a, 0.2))))


def random_alpha(low, high, shape, seed):
    rng = np.random.default_rng(seed)
    return np.exp(rng.uniform(np.log(low), np.log(high), shape)).astype(np.float32)


@pytest.mark.parametrize(("classes", "prior"), [(2, 1.0), (4, 0.2), (9, 3.0)])
def test_dirichlet_kl_matches_float64(classes, prior):
    alpha = random_alpha(1e-6, 1e6, (2000, classes), classes)
    np.testing.assert_allclose(
        dirichlet_kl(alpha, prior), references.dirichlet_kl(alpha, prior), rtol=1e-4, atol=2e-4
    )


def test_dirichlet_kl_matches_float64_around_the_recurrence():
    """Concentrations on both sides of the switch from the recurrence to the series."""
    alpha = np.stack([np.linspace(6.0, 10.0, 200), np.full(200, 8.0)], -1).astype(np.float32)
    np.testing.assert_allclose(
        dirichlet_kl(alpha, 0.2), references.dirichlet_kl(alpha, 0.2), rtol=1e-5
    )


def test_stirling_remainders_match_float64():
    """What a KL of few digits hides: the series themselves, on both sides of the recurrence."""
    x = np.linspace(4.0, 40.0, 400).astype(np.float32)
    y = np.float64(x)
    r = gammaln(y) - ((y - 0.5) * np.log(y) - y + 0.5 * np.log(2 * np.pi))
    t = y * (np.log(y) - 0.5 / y - digamma(y))
    ours = jax.jit(divergence._stirling_remainders)(x)
    series = x >= 8
    for mine, right in zip(ours, (r, t), strict=True):
        np.testing.assert_allclose(np.asarray(mine)[series], right[series], rtol=1e-5)
        np.testing.assert_allclose(mine, right, atol=5e-5)


@pytest.mark.parametrize("alpha", [[1e12, 1e12], [1e12, 3e11, 2e12, 0.3], [1e12, 1e-3, 1.0]])
def test_dirichlet_kl_of_sharp_posteriors_matches_mpmath(alpha):
    alpha = np.float32(alpha)
    np.testing.assert_allclose(
        dirichlet_kl(alpha, 0.2), references.mpmath_kl(alpha, 0.2), rtol=1e-5
    )


@pytest.mark.parametrize("prior", [0.2, 30.0])
def test_dirichlet_kl_is_zero_at_the_prior_and_grows_away_from_it(prior):
    factors = np.exp(np.linspace(0.0, 8.0, 60))
    for scale in (factors, 1.0 / factors):
        alpha = np.repeat((prior * scale)[:, None], 4, axis=1).astype(np.float32)
        kl = np.asarray(dirichlet_kl(alpha, prior))
        assert abs(kl[0]) < 1e-4
        assert np.all(np.diff(kl) > 0)


def test_dirichlet_kl_gradient_matches_finite_differences():
    alpha = random_alpha(1e-2, 1e4, (200, 4), 7)
    grad = kl_gradient(alpha)
    a = np.float64(alpha)
    step = 1e-5 * a
    expected = np.zeros_like(a)
    for k in range(4):
        d = np.zeros_like(a)
        d[:, k] = step[:, k]
        expected[:, k] = (
            references.dirichlet_kl(a + d, 0.2) - references.dirichlet_kl(a - d, 0.2)
        ) / (2 * step[:, k])
    # In log-alpha, the coordinate in which the network moves it.
    np.testing.assert_allclose(np.asarray(grad) * a, expected * a, rtol=2e-3, atol=2e-3)


def test_dirichlet_kl_gradient_is_finite_at_the_cap():
    grad = kl_gradient(np.array([[1e30, 1e-6, 1e30, 1.0]], np.float32))
    assert np.all(np.isfinite(grad))


def monte_carlo_kl(mean, variance, prior, rng, samples=400_000):
    """Plain Monte Carlo of E[log q(z) - log p(z)], densities in additive log-ratio coordinates."""
    k = len(mean)
    x = mean + np.sqrt(variance) * rng.standard_normal((samples, k))
    ratios = x[:, :-1] - x[:, -1:]
    covariance = np.diag(variance[:-1]) + variance[-1]
    log_q = multivariate_normal(mean[:-1] - mean[-1], covariance).logpdf(ratios)
    log_z = x - np.logaddexp.reduce(x, axis=-1, keepdims=True)
    # Both densities carry the Jacobian of the simplex, prod z: it leaves prior, not prior - 1.
    log_p = prior * log_z.sum(-1) - (k * gammaln(prior) - gammaln(k * prior))
    return np.mean(log_q - log_p)


@pytest.mark.parametrize("case", range(20))
def test_logit_normal_kl_matches_monte_carlo(case):
    rng = np.random.default_rng(case)
    k = 2 + case % 7
    mean = rng.normal(size=k) * 1.5
    variance = np.exp(rng.uniform(np.log(0.1), np.log(3.0), k))
    prior = 0.2 if k % 2 else 1.0  # a static argument: one program per K
    key = jax.random.key(case)
    got = logit_normal_kl(jnp.float32(mean), jnp.float32(variance), prior, key, 4096)
    assert abs(got - monte_carlo_kl(mean, variance, prior, rng)) < 0.02


def test_bridge_fails_where_the_exact_kl_does_not():
    """The design's example: wide logits look like a prior of 0.2, but the bridge says nats."""
    mean, variance = jnp.zeros(4), jnp.full(4, 20.0)
    exact = logit_normal_kl(mean, variance, 0.2, jax.random.key(0), 4096)
    assert abs(exact - 0.35) < 0.02
    through_bridge = dirichlet_kl(laplace_bridge.logit_normal_to_dirichlet(mean, variance), 0.2)
    assert through_bridge - exact > 1.0


def test_logit_normal_kl_does_not_see_a_common_shift():
    mean, variance = jnp.array([0.0, 2.0, -1.0]), jnp.array([1.0, 0.3, 2.0])
    key = jax.random.key(1)
    shifted = logit_normal_kl(mean + 30.0, variance, 0.2, key, 256)
    np.testing.assert_allclose(shifted, logit_normal_kl(mean, variance, 0.2, key, 256), atol=1e-3)


def test_expected_logsumexp_gradient_is_an_expectation_of_softmax():
    """d/d mean = E[s], d/d variance = E[s (1 - s)] / 2 (Stein), s = softmax(x)."""
    mean, variance = np.array([0.5, -1.0, 2.0, 0.0]), np.array([1.0, 0.5, 2.0, 4.0])
    x = mean + np.sqrt(variance) * np.random.default_rng(0).standard_normal((400_000, 4))
    s = np.exp(x - np.logaddexp.reduce(x, axis=-1, keepdims=True))
    gradients = jax.jit(jax.grad(expected_logsumexp, argnums=(0, 1)), static_argnums=3)
    grads = gradients(jnp.float32(mean), jnp.float32(variance), jax.random.key(0), 4096)
    np.testing.assert_allclose(grads[0], s.mean(0), atol=4e-3)
    np.testing.assert_allclose(grads[1], (s * (1 - s)).mean(0) / 2, atol=4e-3)


def test_expected_logsumexp_is_unbiased_with_few_points():
    mean, variance = jnp.array([0.5, -1.0, 2.0]), jnp.array([4.0, 1.0, 9.0])
    batch = (20_000, 3)
    coarse = expected_logsumexp(
        jnp.broadcast_to(mean, batch), jnp.broadcast_to(variance, batch), jax.random.key(0), 2
    )
    fine = expected_logsumexp(mean, variance, jax.random.key(1), 16_384)
    assert abs(np.mean(coarse) - fine) < 4 * np.std(coarse) / np.sqrt(len(coarse)) + 1e-3


def test_leading_axes_get_their_own_shift():
    """A batch of equal posteriors must not share one error."""
    mean, variance = jnp.zeros((50, 3)), jnp.full((50, 3), 4.0)
    values = expected_logsumexp(mean, variance, jax.random.key(0), 8)
    assert values.shape == (50,)
    assert np.std(values) > 1e-3
