"""Choices whose right answer is known: an arm of three that pays, and an end of a chain that does.

A few hundred updates must find it by what earlier episodes paid, with either posterior.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from choices import BEST_WALK, ENVIRONMENTS, PULLS
from test_probe_tasks import RATES, SIZES
from tiny import config, quick_compile

from structlat_jax.train import parallel, repeats
from structlat_jax.train.setup import make_setup

pytestmark = pytest.mark.slow

SEEDS = 2
BEST = {"bandit": float(PULLS), "chain": BEST_WALK}
GUESS = {"bandit": BEST["bandit"] / 3, "chain": BEST["chain"] / 2}
KINDS = {
    "context": {"posterior": "context", "inference": "amortised", "latent": "gau:2"},
    "task": {"posterior": "task", "inference": "decoded", "latent": "gau:2"},
}


@pytest.fixture(scope="module", params=[(env, kind) for env in BEST for kind in KINDS], ids=str)
def trained(request):
    """The environment, and the returns of the evaluation ``[S, T, R, E]``."""
    env, kind = request.param
    sizes = {**SIZES, "train_tasks": 6, "test_tasks": 6, "hypotheses": 64}
    setup = make_setup(config(**{**sizes, **RATES, **KINDS[kind]}), ENVIRONMENTS[env]())
    programs = parallel.make_programs(setup, SEEDS, jax.devices()[:1])
    numbers = jnp.arange(SEEDS, dtype=jnp.uint32)
    hyper = parallel.spread(programs, setup.config.hyper)
    with quick_compile():
        state = programs.init(numbers)
        for _ in range(24):
            state, _ = programs.step(hyper, state)
        adaptation = repeats.evaluate(programs, hyper, state, numbers, 0).adaptation
    return env, np.asarray(adaptation.returns)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_last_episode_is_close_to_the_optimum(trained, seed):
    env, returns = trained
    assert returns[seed, ..., -1].mean() > 0.85 * BEST[env]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_adapting_pays(trained, seed):
    """Before anything was seen an agent can only guess."""
    env, returns = trained
    assert returns[seed, ..., :4].mean() < GUESS[env] + 0.2 * BEST[env]
