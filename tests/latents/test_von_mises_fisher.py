"""Directions against SciPy's and mpmath's von Mises-Fisher distribution, and at their extremes."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import stats

from structlat_jax.latents import latent_space
from structlat_jax.latents.von_mises_fisher import kl_to_uniform, log_density, mean_of, moved

MU = np.array([0.6, 0.0, 0.8])
COUNT = 20_000
KAPPAS = [0.0, 0.005, 0.02, 0.4, 0.9, 1.1, 5.0, 100.0, 1e6]
SPACE = latent_space("vmf:1", precision="softplus")

kl_of = jax.jit(kl_to_uniform)
means = jax.jit(mean_of)
kl_gradient = jax.jit(jax.vmap(jax.grad(kl_to_uniform)))
jacobians = jax.jit(jax.vmap(jax.jacobian(moved)))


def sharp(kappas):
    """eta ``[..., 3]`` of some concentrations, and those that single precision makes of them."""
    eta = np.float32(np.asarray(kappas)[..., None] * MU)
    return eta, np.linalg.norm(np.float64(eta), axis=-1)


def exact(what, kappas):
    with mpmath.workdps(60):
        return np.array([float(what(mpmath.mpf(float(k)))) for k in kappas])


def kl_exact(k):
    return k * mpmath.coth(k) - 1 + mpmath.log(k) - mpmath.log(mpmath.sinh(k))


def length_exact(k):
    return mpmath.coth(k) - 1 / k


def uniform(seed=0):
    return SPACE.noise(jax.random.key(seed), (COUNT,))


@jax.jit
def draw(eta, points):
    return moved(jnp.broadcast_to(eta, points.shape), points)


def drawn(kappa, seed=0):
    return np.float64(draw(np.float32(kappa * MU), uniform(seed)))


GRID = np.concatenate([np.geomspace(1e-6, 1e6, 300), np.linspace(0.4, 0.6, 100)])


def test_kl_matches_mpmath_for_all_concentrations():
    eta, kappas = sharp(GRID)
    np.testing.assert_allclose(kl_of(eta), exact(kl_exact, kappas), rtol=1e-5)


def test_kl_gradient_matches_mpmath():
    """In log kappa; d KL / d kappa = kappa A'(kappa), A the length of the mean."""
    eta, kappas = sharp(np.geomspace(1e-3, 1e6, 200))
    slope = exact(lambda k: k**2 * (1 / k**2 - 1 / mpmath.sinh(k) ** 2), kappas)
    np.testing.assert_allclose(np.sum(kl_gradient(eta) * eta, axis=-1), slope, rtol=1e-4)


def test_mean_matches_mpmath_for_all_concentrations():
    eta, kappas = sharp(GRID)
    expected = exact(length_exact, kappas)[:, None] * eta / kappas[:, None]
    np.testing.assert_allclose(means(eta), expected, rtol=1e-5)


@pytest.mark.parametrize("kappa", [0.3, 2.0, 50.0])
def test_kl_matches_the_density_of_scipy(kappa):
    """By its entropy, and by plain Monte Carlo over our own draws."""
    density = stats.vonmises_fisher(MU, kappa)
    ours = float(kl_of(np.float32(kappa * MU)))
    assert ours == pytest.approx(np.log(4 * np.pi) - density.entropy(), rel=1e-4)
    z = drawn(kappa)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)  # SciPy wants it in double precision
    gain = density.logpdf(z) + np.log(4 * np.pi)
    assert abs(np.mean(gain) - ours) < 4 * np.std(gain) / np.sqrt(COUNT)


def cumulative(kappa):
    """Of w = z . mu, below which a share of the draws lies."""
    if kappa == 0:
        return lambda w: (w + 1) / 2
    return lambda w: np.exp(kappa * (w - 1)) * np.expm1(-kappa * (w + 1)) / np.expm1(-2 * kappa)


@pytest.mark.parametrize("kappa", KAPPAS)
def test_draws_have_the_distribution(kappa):
    z = drawn(kappa)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, atol=2e-4)
    depth = np.sum((z - MU) ** 2, axis=-1) / 2  # 1 - w, with the digits that 1 - z . mu loses
    assert stats.kstest(1 - depth, cumulative(kappa)).pvalue > 1e-3 or kappa > 1e3
    if kappa > 1e3:
        assert stats.kstest(kappa * depth, "expon").pvalue > 1e-3
    side = np.arctan2(z[:, 1], z @ np.array([0.8, 0.0, -0.6]))  # round the mean direction
    assert stats.kstest(side, "uniform", args=(-np.pi, 2 * np.pi)).pvalue > 1e-3


def test_draws_are_like_those_of_scipy():
    z = drawn(3.0)
    mu, kappa = stats.vonmises_fisher.fit(z / np.linalg.norm(z, axis=-1, keepdims=True))
    assert kappa == pytest.approx(3.0, abs=0.1)
    np.testing.assert_allclose(mu, MU, atol=0.03)


@pytest.mark.parametrize("kappa", KAPPAS)
def test_gradients_of_draws_add_up_to_that_of_the_mean(kappa):
    """d E[z] / d eta = A'(kappa) mu mu^T + A(kappa) / kappa (1 - mu mu^T); without bias, and with
    little noise where little is known."""
    eta = np.broadcast_to(np.float32(kappa * MU), (COUNT, 3))
    each = np.float64(jacobians(eta, uniform()))
    k = max(kappa, 1e-6)
    (length,) = exact(length_exact, [k])
    (bend,) = exact(lambda k: 1 / k**2 - 1 / mpmath.sinh(k) ** 2, [k])
    along = np.outer(MU, MU)
    expected = bend * along + length / k * (np.eye(3) - along)
    error = np.abs(each.mean(0) - expected)
    assert np.all(error < 5 * each.std(0) / np.sqrt(COUNT) + 1e-5 * length / k)
    assert each.std() < max(1.2 * length / k, 1e-6)


def test_a_point_stays_where_it_is_without_evidence_and_goes_to_the_mean_with_much():
    points = uniform()
    np.testing.assert_array_equal(draw(np.zeros(3, np.float32), points), points)
    np.testing.assert_allclose(drawn(1e6), np.broadcast_to(MU, (COUNT, 3)), atol=0.01)


def test_draws_are_continuous_where_the_formulas_change():
    for kappa in (0.01, 1.0):
        below, above = drawn(kappa * 0.9999), drawn(kappa * 1.0001)
        np.testing.assert_allclose(below, above, atol=2e-4)


def test_points_at_the_poles_stay_finite():
    points = np.float32([MU, -MU, [0.8, 0.0, -0.6]])
    for kappa in (*KAPPAS, 1e-20, 1e12):
        eta = np.float32(np.broadcast_to(kappa * MU, (3, 3)))
        z = draw(eta[0], points)
        assert np.all(np.isfinite(z))
        assert np.all(np.linalg.norm(z, axis=-1) < 1.001)
        assert np.all(np.isfinite(jacobians(eta, points)))
        assert np.isfinite(kl_of(eta[0]))
        assert np.all(np.isfinite(kl_gradient(eta)))


def test_evidence_is_the_natural_parameter_and_adds():
    raw = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    faint = latent_space("vmf:1")
    np.testing.assert_allclose(SPACE.evidence(jnp.array(raw)), raw)
    np.testing.assert_allclose(faint.evidence(jnp.array(raw)), 0.02 * raw, rtol=1e-6)
    (q,) = SPACE.posterior(SPACE.combine(SPACE.evidence(jnp.array(raw))))
    np.testing.assert_allclose(q.natural, raw.sum(0)[None], rtol=1e-5, atol=1e-6)
    assert not q.empty


def test_evidence_of_one_transition_is_bounded():
    raw = jnp.array([1e9, -1e9, 1e5])
    np.testing.assert_allclose(SPACE.evidence(raw), [1e6, -1e6, 1e5], rtol=1e-6)


def test_two_equal_transitions_count_twice():
    """The product of two densities is the density whose kappa is the sum."""
    one, two = (SPACE.posterior(jnp.array(n * np.float32(2.0 * MU)))[0] for n in (1, 2))
    z = np.random.default_rng(0).normal(size=(50, 3))
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    once = stats.vonmises_fisher(MU, np.linalg.norm(one.natural)).logpdf(z)
    twice = stats.vonmises_fisher(MU, np.linalg.norm(two.natural)).logpdf(z)
    np.testing.assert_allclose(np.ptp(2 * once - twice), 0.0, atol=1e-5)


def test_several_variables_add_up_and_keep_to_themselves():
    space = latent_space("vmf:2")
    total = jnp.array([0.0, 0.0, 3.0, -1.0, 0.0, 0.0])
    q = space.posterior(total)
    expected = kl_of(np.float32([[0, 0, 3], [-1, 0, 0]])).sum()
    np.testing.assert_allclose(space.kl(q), [expected], rtol=1e-6)
    mean = np.reshape(space.mean(q), (2, 3))
    np.testing.assert_allclose(mean[0, :2], 0.0)
    np.testing.assert_allclose(mean[1], [-exact(length_exact, [1.0])[0], 0.0, 0.0], rtol=1e-5)
    z = np.reshape(space.transform(q, space.noise(jax.random.key(0))), (2, 3))
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, rtol=1e-5)
    each = [log_density(jnp.reshape(total, (2, 3))[i], z[i]) for i in range(2)]
    np.testing.assert_allclose(space.log_prob(q, z.ravel()), [sum(each)], rtol=1e-5)
    acting = space.transform(q, space.noise(jax.random.key(0)), hard=True)
    np.testing.assert_array_equal(np.reshape(acting, (2, 3)), z)


@pytest.mark.parametrize("prior_factor", [True, False])
def test_the_prior_is_uniform_and_counting_it_changes_nothing(prior_factor):
    space = latent_space("vmf:1", prior_factor=prior_factor)
    z = np.asarray(space.sample_prior(jax.random.key(1), (COUNT,)))
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, rtol=1e-6)
    for axis in z.T:
        assert stats.kstest(axis, "uniform", args=(-1, 2)).pvalue > 1e-3
    total = jnp.array([1.0, 2.0, -1.0])
    np.testing.assert_array_equal(space.posterior(total)[0].natural, total[None])


@pytest.mark.slow
@pytest.mark.parametrize("lead", [(), (4,), (2, 3)])
def test_leading_axes(lead):
    space = latent_space("vmf:2")
    total = jnp.ones((*lead, 6))
    q = space.posterior(total)
    assert space.kl(q).shape == (*lead, 1)
    for z in (
        space.mean(q),
        space.sample(q, jax.random.key(0)),
        space.noise(jax.random.key(0), lead),
    ):
        assert z.shape == (*lead, 6)
