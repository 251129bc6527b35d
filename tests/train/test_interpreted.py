"""Without compiling, as whoever debugs asks for it."""

import jax
import jax.numpy as jnp
import numpy as np
from tiny import setup

from structlat_jax.train import parallel


def test_whoever_debugs_sees_every_seed_in_python():
    """Without compiling, the numbers of a seed are at hand while its function runs."""
    mesh, seen = parallel.make_programs(setup(), 1, jax.devices()[:1]).mesh, []

    def double(x, y):
        seen.append(float(x))  # of a traced number, there is none
        return {"both": x + y}

    with jax.disable_jit():
        mapped = parallel.over_seeds(double, mesh, 3, carried=0)
        out = mapped(jnp.arange(3.0), jnp.ones(3))
    assert seen == [0.0, 1.0, 2.0]
    np.testing.assert_array_equal(out["both"], [1.0, 2.0, 3.0])
