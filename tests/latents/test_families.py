"""Each family against its formula in float64 numpy, and far from where training goes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma, gammaln, log_softmax, softmax

from structlat_jax.latents import latent_space, natural

N = 6
PEARL = {"precision": "softplus", "prior_factor": False}


def raw_of(space, seed, shape=(N,), scale=1.5):
    noise = np.random.default_rng(seed).normal(size=(*shape, space.stat_dim))
    return np.float32(scale * noise)


@partial(jax.jit, static_argnums=0)
def infer(space, raw):
    """Raw encoder output to the posterior."""
    return space.posterior(space.combine(space.evidence(raw)))


@partial(jax.jit, static_argnums=0)
def kl_of(space, posterior):
    return space.kl(posterior)


def product_of_gaussians(raw, precision):
    """Mean and variance of the product over axis 0, as PEARL writes it."""
    mean, scale = np.split(np.float64(raw), 2, axis=-1)
    softplus = np.maximum(np.logaddexp(scale, 0.0), 1e-7)
    tau = 1.0 / softplus if precision == "softplus" else np.exp(scale - 2.0)
    return (tau * mean).sum(0) / tau.sum(0), 1.0 / tau.sum(0)


@pytest.mark.parametrize("precision", ["softplus", "exp"])
@pytest.mark.parametrize("spec", ["gau:3", "dir:2x3"])
def test_posterior_is_the_product_of_gaussians(spec, precision):
    space = latent_space(spec, precision=precision, prior_factor=False)
    raw = raw_of(space, 0)
    (q,) = infer(space, raw)
    mean, variance = product_of_gaussians(raw, precision)
    np.testing.assert_allclose(np.ravel(q.mean), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.ravel(q.variance), variance, rtol=1e-4)
    assert not np.any(q.empty)


def test_categorical_posterior_is_the_normalised_product():
    space = latent_space("cat:2x3", precision="softplus")
    raw = raw_of(space, 1)
    expected = log_softmax(log_softmax(np.float64(raw).reshape(N, 2, 3), -1).sum(0), -1)
    (q,) = infer(space, raw)
    np.testing.assert_allclose(q.logits, expected, atol=1e-4)
    np.testing.assert_allclose(space.mean((q,)), np.exp(expected).ravel(), atol=1e-5)


@pytest.mark.parametrize(("spec", "factor"), [("gau:2", 1.0), ("dir:1x3", 0.2)])
def test_prior_factor_is_one_more_factor(spec, factor):
    """The prior is N(0, 1), or N(0, 1 / alpha) per logit, as one more Gaussian."""
    without, with_prior = (latent_space(spec, prior_factor=on) for on in (False, True))
    total = without.combine(without.evidence(raw_of(without, 2)))
    half = without.stat_dim // 2
    one_more = total + jnp.array([factor] * half + [0.0] * half)
    for x, y in zip(with_prior.posterior(total)[0], without.posterior(one_more)[0], strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)
    nothing = with_prior.posterior(jnp.zeros(without.stat_dim))
    np.testing.assert_allclose(kl_of(with_prior, nothing), 0.0, atol=1e-5)


@pytest.mark.parametrize("prior_factor", [True, False])
def test_what_nothing_was_seen_of_keeps_the_moments_of_the_prior(prior_factor):
    total = jnp.array([0.0, 4.0, 0.0, 2.0])  # two precisions, then those times the means
    mean, variance, empty = natural.moments_from_total(total, 3.0, prior_factor)
    seen = 4.0 + prior_factor / 3.0
    np.testing.assert_allclose(variance, [3.0, 1.0 / seen], rtol=1e-6)
    np.testing.assert_allclose(mean, [0.0, 2.0 / seen], rtol=1e-6)
    assert not empty


def test_gaussian_kl_is_the_closed_form():
    space = latent_space("gau:3", **PEARL)
    (q,) = infer(space, raw_of(space, 3))
    mean, variance = np.float64(q.mean), np.float64(q.variance)
    expected = 0.5 * np.sum(variance + mean**2 - 1.0 - np.log(variance))
    np.testing.assert_allclose(kl_of(space, (q,)), [expected], rtol=1e-5)


def test_categorical_kl_is_the_closed_form():
    space = latent_space("cat:2x3", **PEARL)
    (q,) = infer(space, raw_of(space, 4))
    log_p = np.float64(q.logits)
    expected = np.sum(np.exp(log_p) * (log_p + np.log(3)))
    np.testing.assert_allclose(kl_of(space, (q,)), [expected], rtol=1e-4)


def numpy_dirichlet_kl(mean, variance, prior):
    """Through the projected bridge, one variable."""
    k = len(mean)
    mu = mean - mean.mean()
    var = variance * (1 - 2 / k) + variance.sum() / k**2
    a = (1 - 2 / k + np.exp(mu) * np.exp(-mu).sum() / k**2) / var
    log_beta = gammaln(a).sum() - gammaln(a.sum())
    log_beta_prior = k * gammaln(prior) - gammaln(k * prior)
    return log_beta_prior - log_beta + ((a - prior) * (digamma(a) - digamma(a.sum()))).sum()


@pytest.mark.parametrize("alpha", [0.2, 1.5])
def test_dirichlet_kl_sums_over_its_variables(alpha):
    space = latent_space("dir:2x4", alpha=alpha, **PEARL)
    (q,) = infer(space, raw_of(space, 5))
    mean, variance = np.float64(q.mean), np.float64(q.variance)
    expected = sum(numpy_dirichlet_kl(m, v, alpha) for m, v in zip(mean, variance, strict=True))
    np.testing.assert_allclose(kl_of(space, (q,)), [expected], rtol=1e-4)


def test_blocks_of_a_product_do_not_mix():
    """Block by block, a product equals its blocks on their own."""
    specs = ("dir:2x4", "cat:1x3", "gau:2")
    product = latent_space(",".join(specs), **PEARL)
    raw = raw_of(product, 6)
    ends = np.cumsum([16, 3])
    whole = infer(product, raw)
    alone = [
        infer(latent_space(spec, **PEARL), part)
        for spec, part in zip(specs, np.split(raw, ends, axis=-1), strict=True)
    ]
    kl = [kl_of(latent_space(spec, **PEARL), q)[0] for spec, q in zip(specs, alone, strict=True)]
    np.testing.assert_allclose(kl_of(product, whole), kl, rtol=1e-5)
    for q, (expected,) in zip(whole, alone, strict=True):
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5), q, expected)


def test_spread_of_draws_follows_the_posterior():
    space = latent_space("gau:2", prior_factor=False)
    q = space.posterior(jnp.broadcast_to(jnp.array([4.0, 0.25, 8.0, -1.0]), (20_000, 4)))
    z = space.transform(q, space.noise(jax.random.key(0), (20_000,)))
    np.testing.assert_allclose(np.mean(z, 0), [2.0, -4.0], atol=0.06)
    np.testing.assert_allclose(np.std(z, 0), [0.5, 2.0], rtol=0.03)


@pytest.mark.slow
def test_deviations_are_those_of_the_families():
    """By the closed forms, to what 512 draws can tell; the prior's where nothing was seen."""
    space = latent_space("gau:2,cat:1x3,dir:1x3")
    total = jax.random.normal(jax.random.key(2), (space.stat_dim,)).at[:2].set([3.0, 0.5])
    posterior = space.posterior(space.evidence(total))
    empty = space.posterior(jnp.zeros(space.stat_dim))
    found, prior = (np.asarray(space.deviation(q)) for q in (posterior, empty))
    np.testing.assert_allclose(found[:2], np.sqrt(posterior[0].variance), rtol=0.1)
    p = np.asarray(space.mean(posterior)[2:5])
    np.testing.assert_allclose(found[2:5], np.sqrt(p * (1 - p)), atol=0.05)
    np.testing.assert_allclose(prior[:2], 1.0, rtol=0.1)
    flat = (2 / 9) ** 0.5  # of one weight of three that are equally likely
    np.testing.assert_allclose(prior[2:5], flat, atol=0.05)
    np.testing.assert_allclose(prior[5:], flat / 1.6**0.5, atol=0.05)  # Dir(0.2, 0.2, 0.2)
    both = space.posterior(jnp.stack([space.evidence(total), jnp.zeros(space.stat_dim)]))
    np.testing.assert_allclose(space.deviation(both), [found, prior], rtol=1e-5)


def test_categorical_draws_are_one_hot_when_acting_and_relaxed_in_training():
    space = latent_space("cat:3x4", **PEARL)
    posterior = infer(space, raw_of(space, 0, (200, N)))
    hard = np.asarray(space.sample(posterior, jax.random.key(0), hard=True)).reshape(200, 3, 4)
    assert set(np.unique(hard)) == {0.0, 1.0}
    np.testing.assert_array_equal(hard.sum(-1), 1.0)
    soft = np.asarray(space.sample(posterior, jax.random.key(0))).reshape(200, 3, 4)
    np.testing.assert_allclose(soft.sum(-1), 1.0, rtol=1e-5)
    assert np.mean((soft > 0.01) & (soft < 0.99)) > 0.1
    np.testing.assert_array_equal(hard.argmax(-1), soft.argmax(-1))  # the same noise decides


@pytest.mark.parametrize("temperature", [0.25, 4.0])
def test_relaxed_draws_are_softmaxes_at_the_temperature(temperature):
    space = latent_space("cat:1x3", temperature=temperature)
    q = space.posterior(jnp.log(jnp.array([0.5, 0.3, 0.2])))
    gumbel = jnp.array([0.1, -0.4, 1.2])
    expected = softmax((np.log([0.5, 0.3, 0.2]) + np.asarray(gumbel)) / temperature)
    np.testing.assert_allclose(space.transform(q, gumbel), expected, rtol=1e-5)


def test_categorical_draws_have_the_posterior_frequencies():
    space = latent_space("cat:1x3")
    probabilities = np.array([0.6, 0.3, 0.1])
    total = jnp.broadcast_to(jnp.log(probabilities), (20_000, 3))
    z = space.sample(space.posterior(total), jax.random.key(0), hard=True)
    np.testing.assert_allclose(np.mean(z, 0), probabilities, atol=0.015)


def test_dirichlet_draws_lie_on_the_simplex():
    space = latent_space("dir:2x4")
    posterior = infer(space, raw_of(space, 0, (100, N)))
    noise = space.noise(jax.random.key(0), (100,))
    z = np.asarray(space.transform(posterior, noise)).reshape(100, 2, 4)
    assert np.min(z) >= 0
    np.testing.assert_allclose(z.sum(-1), 1.0, rtol=1e-5)


def test_dirichlet_draws_are_softmaxes_of_normal_draws():
    space = latent_space("dir:2x3", **PEARL)
    (q,) = infer(space, raw_of(space, 0, (50, N)))
    noise = space.noise(jax.random.key(0), (50,))
    logits = q.mean + np.sqrt(q.variance) * np.reshape(noise, (50, 2, 3))
    z = np.reshape(space.transform((q,), noise), (50, 2, 3))
    np.testing.assert_allclose(z, softmax(logits, axis=-1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("spec", ["gau:2", "cat:1x3", "dir:1x3", "vmf:1"])
def test_evidence_with_a_zero_in_it_is_evidence(spec):
    space = latent_space(spec)
    total = space.combine(space.evidence(raw_of(space, 0))).at[0].set(0.0)
    assert not space.posterior(total)[0].empty
    assert space.posterior(jnp.zeros_like(total))[0].empty


def kl_and_gradient(space):
    def total_kl(raw, mask):
        posterior = space.posterior(space.combine(space.evidence(raw), mask))
        return jnp.sum(space.kl(posterior, jax.random.key(0))), posterior

    return jax.jit(jax.value_and_grad(total_kl, has_aux=True))


def assert_finite(tree):
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(("precision", "kl"), [("softplus", "bridge"), ("exp", "exact")])
def test_far_evidence_and_long_contexts_stay_finite(precision, kl):
    space = latent_space("dir:2x4,cat:1x3,gau:2,vmf:2", precision=precision, kl=kl, kl_samples=32)
    run, mask = kl_and_gradient(space), jnp.ones(10_000)
    contexts = [raw_of(space, seed, (10_000,), scale) for seed, scale in ((0, 1.0), (1, 1e4))]
    for sign in (1.0, -1.0):
        contexts.append(jnp.full((10_000, space.stat_dim), sign * 1e4))
    for raw in contexts:
        assert_finite(run(raw, mask))


def test_masked_away_context_has_finite_gradients():
    """Nothing seen: the KL is zero and so is its gradient, on both sides of the select."""
    space = latent_space("dir:2x4,cat:1x3,gau:2,vmf:2", **PEARL)
    (kl, _), grad = kl_and_gradient(space)(raw_of(space, 0), jnp.zeros(N))
    assert abs(kl) < 1e-5
    np.testing.assert_array_equal(grad, 0.0)


@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ({"bridge": "laplace"}, "projected, corrected, printed"),
        ({"kl": "mc"}, "bridge, exact"),
        ({"precision": "relu"}, "softplus, exp"),
        ({"alpha": 0.0}, "above 0"),
        ({"alpha": float("nan")}, "above 0"),
        ({"temperature": -1.0}, "above 0"),
        ({"kl_samples": 1}, "at least 2"),
    ],
)
def test_options_out_of_range_raise_and_name_what_is_allowed(option, allowed):
    with pytest.raises(ValueError, match=allowed):
        latent_space("dir:2x4", **option)


def test_bridge_option_reaches_the_kl():
    total = jnp.array([1.0, 1.0, 1.0, 3.0, 0.0, -1.0])
    kls = set()
    for bridge in ("projected", "corrected", "printed"):
        space = latent_space("dir:1x3", bridge=bridge)
        kls.add(round(float(kl_of(space, space.posterior(total))[0]), 3))
    assert len(kls) == 3
