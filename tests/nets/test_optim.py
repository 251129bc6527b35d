"""Adam against its equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structlat_jax.nets import optim


def tree(seed):
    """A network's parameters, or gradients of very different sizes."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape) * np.exp(rng.normal(size=shape))  # noqa: E731
    made = {"params": {"kernel_0": draw(3, 2), "bias_0": draw(2)}}
    return jax.tree.map(lambda x: x.astype(np.float32), made)


def numpy_adam(params, gradients, step_sizes):
    """Kingma and Ba 2015, algorithm 1, for one array in double precision."""
    params, m, v = params.astype(float), 0.0, 0.0
    for t, (g, lr) in enumerate(zip(gradients, step_sizes, strict=True), start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g.astype(float) ** 2
        params = params - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return params


def test_steps_are_adams_with_a_step_size_that_changes():
    step_sizes = [0.1, 0.1, 0.02, 0.0, 0.3]
    gradients = [tree(seed) for seed in range(1, 6)]
    step = jax.jit(optim.adam)
    params, state = tree(0), optim.init(tree(0))
    for gradient, lr in zip(gradients, step_sizes, strict=True):
        params, state = step(params, gradient, state, jnp.float32(lr))
    for name in ("kernel_0", "bias_0"):
        own = [gradient["params"][name] for gradient in gradients]
        expected = numpy_adam(tree(0)["params"][name], own, step_sizes)
        np.testing.assert_allclose(params["params"][name], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_the_first_step_has_the_size_of_the_step_size(scale):
    gradient = jax.tree.map(lambda x: np.float32(scale) * x, tree(1))
    params, _ = optim.adam(tree(0), gradient, optim.init(tree(0)), jnp.float32(0.25))
    moved = jax.tree.map(lambda after, before: after - before, params, tree(0))
    for name in ("kernel_0", "bias_0"):
        expected = -0.25 * np.sign(gradient["params"][name])
        np.testing.assert_allclose(moved["params"][name], expected, rtol=1e-3)


def test_a_step_size_of_zero_changes_the_moments_alone():
    before = optim.init(tree(0))
    params, after = optim.adam(tree(0), tree(1), before, jnp.float32(0.0))
    jax.tree.map(np.testing.assert_array_equal, params, tree(0))
    for one, other in zip(*map(jax.tree.leaves, (after, before)), strict=True):
        assert not np.array_equal(one, other)


def test_each_seed_has_its_own_moments():
    seeds = [0, 1, 2]
    params, gradients = (
        jax.tree.map(lambda *x: np.stack(x), *(tree(first + seed) for seed in seeds))
        for first in (0, 10)
    )
    rates = jnp.array([0.1, 0.2, 0.3])
    together, _ = jax.vmap(optim.adam)(params, gradients, jax.vmap(optim.init)(params), rates)
    for seed in seeds:
        alone, _ = optim.adam(tree(seed), tree(10 + seed), optim.init(tree(seed)), rates[seed])
        for name in ("kernel_0", "bias_0"):
            got = together["params"][name][seed]
            np.testing.assert_allclose(got, alone["params"][name], rtol=1e-5, atol=1e-6)


def test_a_network_that_is_not_there_has_no_moments():
    assert optim.init({}) == ()
    assert jax.tree.leaves(optim.init(tree(0)))
