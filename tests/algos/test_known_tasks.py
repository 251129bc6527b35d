"""What training tasks are known by: numbers or ground truth, and what z tells of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm
from tiny import config, dense, line, quick_compile, setup

from structlat_jax.algos import known_tasks
from structlat_jax.latents import latent_space
from structlat_jax.nets.init import initialise
from structlat_jax.options import ConfigError
from structlat_jax.train.learn import init, meta_step
from structlat_jax.train.setup import make_setup

SPACE = latent_space("gau:1", prior_factor=False)


def known(means, deviations):
    """A table whose tasks have these normals."""
    raw = np.stack([means, 2.0 - 2.0 * np.log(deviations)], axis=1)  # precision = exp(raw - 2)
    table = known_tasks.by_number(len(means), 2)
    return table, {"rows": jnp.asarray(raw, jnp.float32) / 10.0}


def told(table, params, z, numbers):
    posterior = known_tasks.posterior_of(SPACE, table, params, numbers)
    return known_tasks.information(SPACE, table, params, posterior, z)


def test_information_by_hand():
    means, deviations = np.array([-1.0, 0.5, 2.0]), np.array([0.5, 1.0, 0.25])
    z, numbers = np.array([[0.3], [1.7]]), np.array([1, 2])
    found = told(*known(means, deviations), jnp.asarray(z, jnp.float32), jnp.asarray(numbers))
    density = norm.pdf(z, means, deviations)
    expected = np.log(density[[0, 1], numbers]) - np.log(density.mean(axis=1))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_information_is_nothing_where_all_are_alike_and_a_tasks_number_where_none_are():
    z = jnp.array([[0.0], [100.0]])
    alike = told(*known(np.zeros(2), np.ones(2)), z, jnp.array([0, 1]))
    np.testing.assert_allclose(alike, 0.0, atol=1e-5)
    apart = told(*known(np.array([0.0, 100.0]), np.ones(2)), z, jnp.array([0, 1]))
    np.testing.assert_allclose(apart, np.log(2.0), rtol=1e-5)


@pytest.mark.slow
def test_the_truth_is_told_in_units_of_its_spread_and_decides_alone():
    table = known_tasks.by_truth(4, 2, 8, line())
    params = initialise(jax.random.key(0), table.zeros(), "he")
    params = table.told(params, jnp.array([1.0, -1.0, 1.0, 1.0]))
    np.testing.assert_allclose(params["truth"].mean(), 0.0, atol=1e-6)
    np.testing.assert_allclose(params["truth"].std(), 1.0, rtol=1e-5)
    raw = table.raw(params, jnp.arange(4))
    np.testing.assert_array_equal(raw[0], raw[2])
    assert not np.allclose(raw[0], raw[1])
    same = table.told(params, jnp.ones(4))  # a factor that never varies
    np.testing.assert_array_equal(same["truth"], 0.0)


@pytest.mark.slow
def test_training_learns_from_the_truth_and_leaves_it_as_it_is():
    own = setup("ending", posterior="truth", latent="gau:1")
    with quick_compile():
        start = jax.jit(lambda key: init(own, key))(jax.random.key(0))
        after, metrics = jax.jit(lambda s: meta_step(own, own.config.hyper, s))(start)
    before, now = start.params.table, after.params.table
    np.testing.assert_array_equal(np.sign(before["truth"][:, 0]), np.asarray(start.train_tasks))
    np.testing.assert_array_equal(before["truth"], now["truth"])
    moved = [np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (before, now)), strict=True)]
    assert sum(moved) == len(moved) - 1
    assert np.isfinite(float(metrics["information"]))


def test_an_environment_that_knows_no_truth_is_refused():
    with pytest.raises(ConfigError, match="dense has no factors") as caught:
        make_setup(config(posterior="truth"), dense())
    assert caught.value.field == "posterior"


@pytest.mark.slow
def test_the_mean_posterior_is_drawn_to_the_prior():
    """Tasks that are told apart for good are not: with the weight, all rows move at once, those of
    tasks that an update does not see too."""
    moved = {}
    for weight in (0.0, 10.0):
        own = setup(
            *("line",),
            posterior="task",
            latent="gau:1",
            aggregate_kl=weight,
            kl_weight_start=1.0,
            kl_weight=1.0,
            updates_per_step=1,
        )
        with quick_compile():
            start = jax.jit(lambda key, own=own: init(own, key))(jax.random.key(0))
            step = jax.jit(lambda s, own=own: meta_step(own, own.config.hyper, s)[0])
            rows = step(start).params.table["rows"]
        moved[weight] = np.any(np.asarray(rows) != 0.0, axis=1).sum()
    assert moved == {0.0: 2, 10.0: 4}
