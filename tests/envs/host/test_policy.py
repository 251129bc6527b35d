"""The policy in NumPy is that of the networks."""

import jax
import numpy as np
import pytest
import tiny

from structlat_jax.envs.host.policy import actor


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("noisy", [False, True])
def test_it_acts_as_the_algorithm_does(depth, noisy):
    own = tiny.setup(depth=depth, width=16)
    params = own.algorithm.zeros()
    keys = jax.random.split(jax.random.key(0), 3)
    leaves, tree = jax.tree.flatten(params.policy)
    drawn = [
        jax.random.normal(k, x.shape)
        for k, x in zip(jax.random.split(keys[0], len(leaves)), leaves, strict=True)
    ]
    params = params._replace(policy=jax.tree.unflatten(tree, drawn))
    obs, z = jax.random.normal(keys[1], (5, 1)), jax.random.normal(keys[2], (own.space.dim,))
    noise = np.linspace(-2, 2, 5).astype("f")[:, None] if noisy else [None] * 5
    act = actor(own.algorithm.portable(jax.device_get(params)), np.asarray(z), discrete=False)
    for one, eps in zip(np.asarray(obs), noise, strict=True):
        found, expected = act(one, eps), own.algorithm.act(params, one, z, eps)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
