"""Hypotheses weighed by changes of observations, from the configuration to a belief."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import config, quick_compile, setup

from structlat_jax.inference.base import Learned
from structlat_jax.options import ConfigError
from structlat_jax.shapes import Transition
from structlat_jax.train.learn import init_params


@pytest.mark.parametrize("kind", ["decoded", "explained"])
def test_a_decoder_is_needed(kind):
    with pytest.raises(ConfigError, match=rf"^inference must be .*decoder, not '?{kind}'?\.$"):
        setup(posterior="context", inference=kind)


@pytest.mark.parametrize(("kind", "steps", "counts"), [
    ("decoded", 20.0, False), ("explained", 20.0, True), ("explained", 0.0, False),
])  # fmt: skip
def test_only_it_listens_to_how_observations_change(kind, steps, counts):
    own = setup(posterior="task", inference=kind)
    hyper = config(change_steps=steps).hyper
    obs = jnp.linspace(0.0, 1.0, 4)[:, None]
    nothing = jnp.zeros(4)

    @jax.jit
    def believed(change):
        given = Learned(*init_params(own, jax.random.key(1)))
        seen = Transition(obs, 0.5 * jnp.ones((4, 1)), nothing, -obs[:, 0], obs + change, nothing)
        belief = own.inference.init(given, jax.random.key(2), jnp.zeros(1))
        return own.inference.update(given, hyper, belief, seen, jnp.int32(4)).hypotheses.log_weights

    with quick_compile():
        still, moved = (np.asarray(believed(x)) for x in (0.0, 0.3))
    assert np.any(still != moved) == counts
