"""Structure options need no special case, and no key is used twice whatever they are."""

import jax
import jax.numpy as jnp
import pytest
from tiny import all_finite, config, line, quick_compile

from structlat_jax.train.evaluate import evaluate
from structlat_jax.train.learn import init, meta_step
from structlat_jax.train.setup import make_setup

CASES = {
    "gaussian, pearl": {
        "latent": "gau:5",
        "precision": "softplus",
        "init": "pearl",
        "prior_factor": False,
        "hypotheses": 2,
        "world_width": 1,
        "world_updates": 1,
    },
    "categorical, no exploring, amortised": {
        "latent": "cat:2x4",
        "explore_episodes": 0,
        "inference": "amortised",
    },
    "exact, next observation": {"latent": "dir:2x4", "kl": "exact", "next_obs_in_context": True},
    "mixed, prior, printed, a larger world model": {
        "latent": "gau:1,dir:3x5,cat:1x3",
        "prior_factor": True,
        "bridge": "printed",
        "world_width": 9,
        "world_updates": 7,
    },
    "corrected, no posterior, plain draw": {
        "latent": "dir:1x3",
        "bridge": "corrected",
        "posterior_episodes": 0,
        "context_best_of": 1,
        "encoder_norm": False,
    },
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_structure_options_need_no_special_case(changes):
    own = make_setup(config(**changes, kl_samples=8), line())
    with quick_compile():
        with jax.debug_key_reuse(True):  # the checker reads the whole program
            state, metrics = jax.jit(first_step, static_argnums=0)(own, jax.random.key(0))
        adapt = jax.jit(evaluate, static_argnums=0)
        adaptation = adapt(own, own.config.hyper, state.params, state.test_tasks, state.key)
    assert all_finite((state.params, metrics.losses, adaptation))
    assert adaptation.z.shape == (2, 2, 4, own.space.dim)
    amortised = own.config.structure.inference == "amortised"
    assert (state.params.world == {}) == amortised
    assert (state.world_moments == ()) == amortised
    assert all(bool(jnp.isnan(loss)) == amortised for loss in metrics.world)
    assert amortised or all_finite(metrics.world)
    missing = [n for n in ("explore", "posterior") if changes.get(f"{n}_episodes") == 0]
    for name in ("prior", "explore", "posterior"):
        assert bool(jnp.isnan(getattr(metrics, f"{name}_return"))) == (name in missing)


def first_step(own, key):
    return meta_step(own, own.config.hyper, init(own, key))


def test_a_reused_key_would_be_seen():
    def careless(key):
        return jax.random.normal(key) + jax.random.uniform(key)

    with jax.debug_key_reuse(True), pytest.raises(jax.errors.KeyReuseError):
        jax.jit(careless)(jax.random.key(0))
