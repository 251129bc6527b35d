"""The product of blocks: what must hold for every spec."""

import random
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structlat_jax.latents import FAMILIES, latent_space

N = 6  # transitions in most contexts; one number, because each shape compiles a program


STATISTICS = {"dir": 2, "cat": 1, "gau": 2, "vmf": 1}
"""Numbers of evidence per number of z, of every family."""

OF_CLASSES = ("dir", "cat")


def random_block(rng):
    family = rng.choice(["dir", "cat", "gau", "vmf"])
    if family not in OF_CLASSES:
        return f"{family}:{rng.randint(1, 4)}"
    return f"{family}:{rng.randint(1, 3)}x{rng.randint(2, 5)}"


def random_spec(rng):
    return ",".join(random_block(rng) for _ in range(rng.randint(1, 4)))


any_spec = st.integers(0, 10_000).map(lambda seed: random_spec(random.Random(seed)))
# The numerical tests share a few specs, so that each compiles once.
POOL = ("dir:1x3", "cat:2x2", "gau:1", "vmf:2", "vmf:1,dir:2x5,gau:4", "gau:4,cat:1x2,dir:1x3")
pooled_spec = st.sampled_from(POOL)
precisions = st.sampled_from(("softplus", "exp"))
seeds = st.integers(0, 1000)
MIXED = "dir:2x4,cat:1x3,gau:2"


def parts_of(spec):
    """(family, V, K) per block, read independently of the library; K numbers per variable."""
    for block in spec.split(","):
        family, sizes = block.split(":")
        v, *k = map(int, sizes.split("x"))
        yield family, v, k[0] if k else {"gau": 1, "vmf": 3}[family]


@cache
def space_of(spec, **options):
    return latent_space(spec, **dict(options))


@cache
def sums_of(spec, precision="softplus"):
    """A jitted function: raw output, order and mask to the same evidence, summed in many ways."""
    space = latent_space(spec, precision=precision)

    def run(raw, order, mask):
        evidence = space.evidence(raw)
        streamed = jnp.zeros(space.stat_dim)
        for row in raw:
            streamed = streamed + space.evidence(row)
        spoiled = jnp.where(mask[:, None], evidence, jnp.nan)
        return {
            "rows": evidence,
            "total": space.combine(evidence),
            "reordered": space.combine(evidence[order]),
            "split": space.combine(evidence[:2]) + space.combine(evidence[2:]),
            "streamed": streamed,
            "masked": space.combine(spoiled, mask),
            "masked by numbers": space.combine(spoiled, mask.astype(jnp.float32)),
        }

    return jax.jit(run)


@cache
def describe(spec):
    """A jitted function: total evidence to posterior, KL and mean."""
    space = latent_space(spec)

    def run(total):
        posterior = space.posterior(total)
        return posterior, space.kl(posterior), space.mean(posterior)

    return jax.jit(run)


def raw_of(space, seed, shape=(N,), scale=1.5):
    noise = np.random.default_rng(seed).normal(size=(*shape, space.stat_dim))
    return np.float32(scale * noise)


def assert_close(a, b, rtol=1e-4, atol=1e-4):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


@given(any_spec)
@settings(max_examples=100)
def test_spec_round_trip_and_widths(spec):
    space = latent_space(spec)
    assert str(space) == spec
    assert space.dim == sum(v * k for _, v, k in parts_of(spec))
    assert space.stat_dim == sum(STATISTICS[f] * v * k for f, v, k in parts_of(spec))
    assert [b.family for b in space.blocks] == [f for f, _, _ in parts_of(spec)]


@given(pooled_spec, precisions, seeds, st.lists(st.booleans(), min_size=N, max_size=N))
def test_evidence_adds_in_any_order_and_masked_evidence_does_not(spec, precision, seed, keep):
    """Reordered, split, one at a time: one sum. Masked is dropped, even where it is NaN."""
    space, keep = space_of(spec), np.array(keep)
    order = np.random.default_rng(seed).permutation(N)
    sums = sums_of(spec, precision)(raw_of(space, seed), order, keep)
    for name in ("total", "reordered", "split", "streamed"):
        assert_close(sums[name], np.sum(sums["rows"], axis=0))
    for name in ("masked", "masked by numbers"):
        assert_close(sums[name], np.sum(np.asarray(sums["rows"])[keep], axis=0))


@given(pooled_spec, precisions, seeds)
def test_one_at_a_time_gives_the_posterior_of_the_whole_context(spec, precision, seed):
    order = np.random.default_rng(seed).permutation(N)
    sums = sums_of(spec, precision)(raw_of(space_of(spec), seed), order, np.ones(N, bool))
    run = describe(spec)
    assert_close(run(sums["streamed"]), run(sums["total"]), rtol=1e-3)


def prior_moments(spec, alpha=0.2):
    """Mean and variance of each coordinate of z under the prior."""
    mean, variance = [], []
    for family, v, k in parts_of(spec):
        of_classes = (1 / k, (1 - 1 / k) / k)
        m, base = {"gau": (0.0, 1.0), "vmf": (0.0, 1 / 3)}.get(family, of_classes)
        shrink = k * alpha + 1 if family == "dir" else 1.0
        mean += [m] * v * k
        variance += [base / shrink] * v * k
    return np.array(mean), np.array(variance)


@pytest.mark.parametrize("spec", POOL)
def test_nothing_seen_gives_the_prior(spec):
    space = space_of(spec)
    posterior, kl, mean = describe(spec)(jnp.zeros(space.stat_dim))
    expected_mean, _ = prior_moments(spec)
    np.testing.assert_allclose(kl, 0.0, atol=1e-6)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-6)
    assert all(np.all(b.empty(q)) for b, q in zip(space.blocks, posterior, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["dir:1x4,cat:1x3,gau:2", "gau:1,dir:2x3,vmf:1"])
def test_draws_without_context_have_the_moments_of_the_prior(spec):
    space, count = space_of(spec), 10_000

    @jax.jit
    def draw(key):
        nothing = space.posterior(jnp.zeros((count, space.stat_dim)))
        keys = jax.random.split(key, 3)
        acting = space.sample(nothing, keys[1], hard=True)
        return space.sample(nothing, keys[0]), acting, space.sample_prior(keys[2], (count,))

    mean, variance = prior_moments(spec)
    for z in draw(jax.random.key(0)):
        np.testing.assert_allclose(np.mean(z, 0), mean, atol=5 * np.sqrt(variance / count).max())
        np.testing.assert_allclose(np.var(z, 0), variance, rtol=0.08)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
@pytest.mark.parametrize("kl", ["bridge", "exact"])
def test_shapes_with_any_leading_axes(lead, kl):
    space = latent_space(MIXED, kl=kl, kl_samples=16)

    def everything(raw, key):
        evidence = space.evidence(raw)
        total = space.combine(evidence)
        q = space.posterior(total)
        z, prior = space.sample(q, key), space.sample_prior(key, lead)
        return evidence, total, z, prior, space.mean(q), space.kl(q, key)

    arrays = jax.eval_shape(everything, raw_of(space, 0, (*lead, N)), jax.random.key(0))
    widths = [space.stat_dim] + [space.dim] * 3 + [3]
    expected = [(*lead, N, space.stat_dim)] + [(*lead, width) for width in widths]
    assert [array.shape for array in arrays] == expected


def test_a_batch_is_its_members_one_by_one():
    spec = POOL[-1]
    totals = np.abs(raw_of(space_of(spec), 3, (4,)))
    together = describe(spec)(totals)
    alone = [describe(spec)(total) for total in totals]
    assert_close(together, jax.tree.map(lambda *x: jnp.stack(x), *alone))


@given(pooled_spec, precisions, seeds)
def test_kl_is_not_negative(spec, precision, seed):
    space = space_of(spec)
    raw = raw_of(space, seed, scale=4.0)
    sums = sums_of(spec, precision)(raw, np.arange(N), np.ones(N, bool))
    _, kl, _ = describe(spec)(sums["total"])
    assert kl.shape == (len(space.blocks),)
    assert np.all(np.isfinite(kl))
    assert np.min(kl) > -1e-4


@pytest.mark.parametrize("spec", POOL)
def test_draws_carry_gradients_to_every_block(spec):
    space = space_of(spec)
    weights = raw_of(space, 1, (space.dim,))[:, 0]

    def objective(raw):
        posterior = space.posterior(space.combine(space.evidence(raw)))
        return jnp.sum(weights * space.sample(posterior, jax.random.key(0)))

    grad = jax.jit(jax.grad(objective))(raw_of(space, 2))
    assert np.all(np.isfinite(grad))
    ends = np.cumsum([b.stat_dim for b in space.blocks])[:-1]
    for block, part in zip(space.blocks, np.split(grad, ends, axis=-1), strict=True):
        halves = np.split(part, STATISTICS[block.family], axis=-1)
        assert all(np.max(np.abs(half)) > 1e-7 for half in halves)


@pytest.mark.parametrize("what", ["noise", "sample_prior"])
def test_two_equal_blocks_are_drawn_independently(what):
    for spec in ("gau:3,gau:3", "cat:8x3,cat:8x3", "dir:2x3,dir:2x3", "vmf:2,vmf:2"):
        drawn = getattr(latent_space(spec), what)(jax.random.key(0), (5,))
        first, second = jnp.split(drawn, 2, axis=-1)
        assert not jnp.array_equal(first, second), spec


def test_exact_kls_of_two_blocks_are_integrated_with_different_draws():
    space = latent_space("dir:1x4,dir:1x4", kl="exact", kl_samples=8)
    half = np.random.default_rng(0).normal(size=8).astype(np.float32)
    (first, second) = space.posterior(space.combine(space.evidence(np.tile(half, 2)[None])))
    np.testing.assert_array_equal(first.mean, second.mean)
    kl = np.asarray(space.kl((first, second), jax.random.key(0)))
    assert 1e-6 < abs(kl[0] - kl[1]) < 1.0


def test_only_exact_kl_needs_a_key():
    bridge, exact = (latent_space("dir:1x3,gau:1", kl=kl) for kl in ("bridge", "exact"))
    posterior = jax.eval_shape(bridge.posterior, jnp.ones(bridge.stat_dim))
    assert jax.eval_shape(bridge.kl, posterior).shape == (2,)
    with pytest.raises(ValueError, match="needs a key"):
        jax.eval_shape(exact.kl, posterior)


def test_no_family_goes_untested():
    assert set(STATISTICS) == set(FAMILIES)


@pytest.mark.parametrize("method", ["evidence", "combine", "posterior"])
@pytest.mark.parametrize("extra", [-1, 1])
def test_wrong_width_raises(method, extra):
    space = space_of(MIXED)
    with pytest.raises(ValueError, match=str(space.stat_dim)):
        getattr(space, method)(jnp.ones((N, space.stat_dim + extra)))


def test_wrong_mask_noise_and_rank_raise():
    space = space_of(MIXED)
    evidence = jnp.ones((2, N, space.stat_dim))
    with pytest.raises(ValueError, match="mask"):
        space.combine(evidence, jnp.ones((N,)))
    with pytest.raises(ValueError, match="evidence"):
        space.combine(evidence[0, 0])
    with pytest.raises(ValueError, match="noise"):
        space.transform(space.posterior(evidence[0]), jnp.ones((N, space.dim - 1)))
