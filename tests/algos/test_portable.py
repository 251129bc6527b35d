"""Policies as workers have them."""

import jax
import numpy as np
import pytest
from tiny import config

from structlat_jax.algos import portable
from structlat_jax.envs.host.policy import actor
from structlat_jax.nets.mlp import SEEN
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import make_setup


@pytest.mark.parametrize("norm", [False, True])
def test_a_worker_acts_as_the_agent_does(norm):
    """Observations far from zero and of different sizes, and networks that have seen so."""
    setup = make_setup(config(obs_norm=norm), "triangle")
    params = init_params(setup, jax.random.key(0))[0]
    layers = dict(params.policy["params"])
    if norm:
        mean = np.array([5.0, -30.0], np.float32)
        layers |= dict(zip(SEEN, (mean, mean**2 + np.array([4.0, 0.01])), strict=True))
    params = params._replace(policy={"params": layers})
    rng = np.random.default_rng(0)
    obs = (np.array([5.0, -30.0]) + rng.normal(size=(20, 2)) * [2.0, 0.1]).astype(np.float32)
    z = rng.normal(size=(20, setup.space.dim)).astype(np.float32)
    policy = jax.tree.map(np.asarray, portable.of_mlp(params.policy))
    for one, latent in zip(obs, z, strict=True):
        theirs = actor(policy, latent, False)(one, None)
        ours = setup.algorithm.act(params, one, latent, None)
        np.testing.assert_allclose(theirs, ours, atol=2e-4)
    assert np.ptp(theirs - actor(policy, z[0], False)(obs[0], None)) != 0
