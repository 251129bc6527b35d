"""Operations counted from the shapes against XLA's count of the same update."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks import flops
from structlat_jax.config import preset
from structlat_jax.data.batches import draw, make_batch, view
from structlat_jax.envs import point_robot
from structlat_jax.train.learn import init
from structlat_jax.train.setup import make_setup


def xla_count(setup):
    hyper = jax.tree.map(jnp.float32, setup.config.hyper)
    state = jax.eval_shape(lambda: init(setup, jax.random.key(0)))

    def batch_of(s):
        return make_batch(setup, hyper, view(setup, hyper, s.replay), draw(setup, s.key))

    batch = jax.eval_shape(batch_of, state)

    def update(s, b):
        c = setup.algorithm.coefficients(hyper, s.updates)
        return setup.algorithm.update(s.params, s.moments, b, c)

    return jax.jit(update).lower(state, batch).cost_analysis()["flops"]


@pytest.mark.slow
@pytest.mark.parametrize("latent", ["dir:2x4,gau:2", "gau:5"])
def test_wide_networks_are_all_but_products(latent):
    """At the paper's sizes what is no product hardly counts."""
    small = {"posterior_episodes": 1, "replay_steps": 2000}
    setup = make_setup(preset("paper")[0].replace(latent=latent, **small))
    assert flops.per_update(setup) == pytest.approx(xla_count(setup), rel=0.04)


@pytest.mark.slow
def test_the_robots_preset_is_mostly_products():
    setup = make_setup(preset("cpu", point_robot.make())[0])
    counted, by_xla = flops.per_update(setup), xla_count(setup)
    assert 0.85 * by_xla < counted < by_xla


def test_one_layer_by_hand():
    assert flops.mlp(rows=10, inputs=3, width=4, depth=1, out=2) == (240 + 160, 240)
