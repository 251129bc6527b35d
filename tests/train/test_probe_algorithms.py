"""The task whose right answer is known, by the algorithms beside PEARL: the goal is at +1 or at -1.

Who is told goes there at once; who acts on a belief finds out in a step or two which side it is, so
that all but the first episodes of a trial are close to the optimum.
"""

import jax
import numpy as np
import pytest
from tiny import ORACLE, config, line, quick_compile

from structlat_jax.train import parallel, repeats
from structlat_jax.train.setup import make_setup

pytestmark = pytest.mark.slow

SEEDS = 2
SIZES = {
    "latent": "gau:1",
    "width": 16,
    "encoder_width": 16,
    "hidden": 16,
    "train_tasks": 4,
    "test_tasks": 4,
    "eval_episodes": 4,
    "eval_prior_episodes": 2,
    "eval_repeats": 1,
}
OFF_POLICY = {
    "meta_batch": 4,
    "batch_size": 32,
    "context_episodes": 3,
    "context_window": 4,
    "updates_per_step": 50,
    "prior_episodes": 3,
    "explore_episodes": 3,
    "posterior_episodes": 3,
    "replay_steps": 2000,
    "lr": 6e-3,
    "encoder_lr": 6e-3,
    "tau": 0.05,
    "discount": 0.8,
    "entropy_weight": 0.02,
    "kl_weight": 1e-4,
    "kl_weight_start": 1e-4,
    "context_best_of": 1,
}
ON_POLICY = {
    "updates_per_step": 8,
    "minibatches": 2,
    "trial_episodes": 4,
    "task_trials": 8,
    "discount": 0.95,
    "lr": 5e-3,
    "encoder_lr": 5e-3,
    "entropy_weight": 0.003,
    "belief_kl": 1.0,
    "lr_decay_start": 1e6,
    "lr_decay_end": 1e6,
}
STEPS = {"oracle": 24, "pearl-belief": 100, "rl2": 80, "varibad": 80}


@pytest.mark.parametrize("algorithm", STEPS)
def test_it_learns_to_find_out(algorithm):
    own = OFF_POLICY if algorithm in ("oracle", "pearl-belief") else ON_POLICY
    setup = make_setup(config(**SIZES, **own, algorithm=algorithm), line())
    programs = parallel.make_programs(setup, SEEDS, jax.devices()[:1])
    numbers = parallel.seed_numbers(programs, 0)
    hyper = parallel.spread(programs, setup.config.hyper)
    with quick_compile():
        state = programs.init(numbers)
        for _ in range(STEPS[algorithm]):
            state, _ = programs.step(hyper, state)
        adaptation = repeats.evaluate(programs, hyper, state, numbers, 0).adaptation
    by_episode = adaptation.returns.mean(axis=(0, 1, 2))
    if algorithm == "oracle":
        assert np.all(by_episode > 0.8 * ORACLE)
    else:
        assert by_episode[-1] > 0.6 * ORACLE
        assert by_episode[-1] >= by_episode[0]
