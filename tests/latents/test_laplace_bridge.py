from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import logsumexp

from structlat_jax.latents import laplace_bridge
from structlat_jax.latents.block import BRIDGES

forward = jax.jit(laplace_bridge.dirichlet_to_logit_normal)
inverse = jax.jit(laplace_bridge.logit_normal_to_dirichlet, static_argnames="form")


@partial(jax.jit, static_argnums=2)
@partial(jax.grad, argnums=(0, 1))
def gradients(mu, var, form):
    """Of the sum of alpha with respect to mu and var."""
    return jnp.sum(laplace_bridge.logit_normal_to_dirichlet(mu, var, form))


CLASSES = st.sampled_from((2, 3, 4, 7, 16, 50))  # few, because each compiles a program


def vectors(low, high, classes=CLASSES):
    """Float32 vectors of K numbers between two limits."""
    elements = st.floats(low, high, width=64)
    sizes = classes.flatmap(lambda k: hnp.arrays(np.float64, (k,), elements=elements))
    return sizes.map(np.float32)


def concentrations(**kwargs):
    """Vectors of alpha in [0.05, 100], log-uniform."""
    return vectors(np.log(0.05), np.log(100.0), **kwargs).map(np.exp)


def normals(low_var, high_var, bound, **kwargs):
    """Pairs (mu, var) with |mu| <= bound and var log-uniform between two limits."""

    def with_variance(mu):
        exponents = hnp.arrays(np.float64, mu.shape, elements=st.floats(0.0, 1.0))
        return exponents.map(lambda u: (mu, np.float32(low_var * (high_var / low_var) ** u)))

    return vectors(-bound, bound, **kwargs).flatmap(with_variance)


def numpy_inverse(mu, var, form):
    """The formula in float64, as the design prints it."""
    mu, var = np.float64(mu), np.float64(var)
    k = len(mu)
    if form == "projected":
        mu = mu - mu.mean()
        var = var * (1 - 2 / k) + var.sum() / k**2
    sign = -1.0 if form == "printed" else 1.0
    return (1 - 2 / k + np.exp(sign * mu + logsumexp(-mu)) / k**2) / var


@given(concentrations())
def test_corrected_form_inverts_the_forward_map(alpha):
    back = inverse(*forward(alpha), form="corrected")
    np.testing.assert_allclose(back, alpha, rtol=1e-4)


@given(concentrations())
def test_forward_map_matches_float64(alpha):
    a = np.float64(alpha)
    mu, var = forward(alpha)
    k = len(a)
    np.testing.assert_allclose(mu, np.log(a) - np.log(a).mean(), atol=1e-5)
    np.testing.assert_allclose(var, (1 - 2 / k) / a + (1 / a).sum() / k**2, rtol=1e-5)
    assert abs(np.sum(mu)) < 1e-4


@pytest.mark.parametrize("classes", [3, 4, 10, 50])
def test_printed_form_is_no_inverse_above_two_classes(classes):
    alpha = np.geomspace(0.1, 10.0, classes).astype(np.float32)
    back = np.asarray(inverse(*forward(alpha), form="printed"))
    assert np.max(np.abs(back / alpha - 1.0)) > 0.4


@given(concentrations(classes=st.just(2)))
def test_printed_form_only_swaps_two_classes(alpha):
    back = inverse(*forward(alpha), form="printed")
    np.testing.assert_allclose(back, alpha[::-1], rtol=1e-4)


@pytest.mark.parametrize("form", ["projected", "corrected"])
@given(pair=normals(0.01, 10.0, 5.0), shift=st.floats(-10.0, 10.0))
def test_shift_of_all_logits_changes_nothing(form, pair, shift):
    mu, var = pair
    shifted = inverse(mu + np.float32(shift), var, form=form)
    np.testing.assert_allclose(shifted, inverse(mu, var, form=form), rtol=2e-4)


def test_shift_changes_the_printed_form():
    mu, var = jnp.array([0.0, 1.0, -1.0]), jnp.ones(3)
    ratio = inverse(mu + 2.0, var, form="printed") / inverse(mu, var, form="printed")
    assert np.min(ratio) < 0.9


@given(CLASSES.filter(lambda k: k > 2), st.floats(0.01, 100.0))
def test_prior_logits_give_alpha_back_only_when_projected(classes, alpha):
    """N(0, 1/alpha) per free logit is Dir(alpha); unprojected, alpha is off by 1 - 1/K."""
    mu, var = jnp.zeros(classes), jnp.full(classes, 1.0 / alpha)
    np.testing.assert_allclose(inverse(mu, var, form="projected"), alpha, rtol=1e-5)
    biased = alpha * (1.0 - 1.0 / classes)
    np.testing.assert_allclose(inverse(mu, var, form="corrected"), biased, rtol=1e-5)


def test_bias_without_projection_is_the_one_of_the_design():
    got = inverse(jnp.zeros(4), jnp.full(4, 5.0), form="corrected")
    np.testing.assert_allclose(got, 0.15, rtol=1e-5)


@pytest.mark.parametrize("form", BRIDGES)
@given(normals(1e-7, 1e6, 50.0, classes=st.sampled_from((2, 4, 16))))
def test_values_and_gradients_stay_finite(form, pair):
    alpha = inverse(*pair, form=form)
    assert np.all(np.isfinite(alpha))
    # The printed form leaves float32 at K = 2, where nothing bounds it from below.
    assert form == "printed" or np.all(np.asarray(alpha) > 0)
    for grad in gradients(*pair, form):
        assert np.all(np.isfinite(grad))


@pytest.mark.parametrize("form", BRIDGES)
@pytest.mark.parametrize("var", [1e-7, 1e6])
def test_corners_of_the_range_are_finite(form, var):
    corners = np.array(np.meshgrid(*[[-50.0, 0.0, 50.0]] * 3)).reshape(3, -1).T
    alpha = np.asarray(
        inverse(jnp.asarray(corners, jnp.float32), jnp.full((27, 3), var), form=form)
    )
    assert np.all(np.isfinite(alpha))
    assert np.all((alpha > 0) & (alpha <= 1.01e30))


@pytest.mark.parametrize("form", BRIDGES)
@given(normals(1e-6, 1e5, 12.0))
def test_inverse_matches_float64(form, pair):
    np.testing.assert_allclose(inverse(*pair, form=form), numpy_inverse(*pair, form), rtol=1e-4)


def test_leading_axes_are_independent():
    alpha = np.geomspace(0.1, 10.0, 24).astype(np.float32).reshape(2, 3, 4)
    back = inverse(*forward(alpha), form="corrected")
    assert back.shape == (2, 3, 4)
    np.testing.assert_allclose(back, alpha, rtol=1e-4)


@pytest.mark.parametrize("shape", [(), (1,), (5, 1)])
def test_too_few_classes_raise(shape):
    with pytest.raises(ValueError, match="K >= 2"):
        laplace_bridge.dirichlet_to_logit_normal(jnp.ones(shape))
    with pytest.raises(ValueError, match="K >= 2"):
        laplace_bridge.logit_normal_to_dirichlet(jnp.ones(shape), jnp.ones(shape))


def test_shapes_that_differ_raise():
    with pytest.raises(ValueError, match="one shape"):
        laplace_bridge.logit_normal_to_dirichlet(jnp.ones(4), jnp.ones(3))


def test_unknown_form_raises_and_names_the_forms():
    with pytest.raises(ValueError, match="projected, corrected, printed"):
        laplace_bridge.logit_normal_to_dirichlet(jnp.ones(4), jnp.ones(4), form="sic")
