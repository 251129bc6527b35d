"""A task whose right answer is known: the goal is at +1 or at -1, and only the reward tells which.

After a few hundred updates an agent must tell the two tasks apart and stay at its goal; one whose
encoder never sees the reward cannot do better than to guess.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import ORACLE, config, line, quick_compile

from structlat_jax import sweep
from structlat_jax.meta_train import make_setup

SEEDS = 3
META_STEPS = 48
SIZES = {
    "latent": "gau:1",
    "width": 16,
    "encoder_width": 16,
    "train_tasks": 4,
    "test_tasks": 4,
    "meta_batch": 4,
    "batch_size": 32,
    "context_episodes": 3,
    "context_window": 4,
    "updates_per_step": 50,
    "prior_episodes": 3,
    "explore_episodes": 3,
    "posterior_episodes": 3,
    "replay_steps": 2000,
    "eval_episodes": 8,
    "eval_prior_episodes": 4,
    "eval_repeats": 4,
}
RATES = {
    "lr": 6e-3,
    "encoder_lr": 6e-3,
    "tau": 0.05,
    "discount": 0.8,
    "entropy_weight": 0.02,
    "kl_weight": 0.01,
    "kl_weight_start": 1e-3,
    "kl_ramp_updates": 500.0,
    "explore_context": 0.5,
}


@pytest.fixture(scope="module")
def outcome():
    """Goals ``[2 S, T]`` and the evaluation ``[2 S, T, R, E]``: seeds that see the reward, then
    the same seeds blind to it, all in one program."""
    setup = make_setup(config(**SIZES, **RATES), line())
    programs = sweep.make_programs(setup, 2 * SEEDS, jax.devices()[:1])
    numbers = jnp.tile(jnp.arange(SEEDS, dtype=jnp.uint32), 2)
    scales = jnp.repeat(jnp.array([5.0, 0.0]), SEEDS)
    hyper = dataclasses.replace(setup.config.hyper, context_reward_scale=scales)
    hyper = sweep.spread(programs, hyper)
    with quick_compile():
        state = programs.init(numbers)
        for _ in range(META_STEPS):
            state, _ = programs.step(hyper, state)
        adaptation = programs.evaluate(hyper, state, numbers, numbers)
    goals = np.concatenate([state.train_tasks, state.test_tasks], axis=1)
    return goals, jax.tree.map(np.asarray, adaptation)


def separation(goals, belief):
    """Distance between the mean beliefs about the two tasks, in standard deviations of all."""
    right, left = belief[goals > 0], belief[goals < 0]
    return abs(right.mean() - left.mean()) / belief.std()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_beliefs_tell_the_tasks_apart(outcome, seed):
    goals, adaptation = outcome
    belief = adaptation.belief[..., -1, 0]
    assert separation(goals[seed], belief[seed]) > 1.6  # 2 if they never overlap


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_last_episode_is_close_to_the_optimum(outcome, seed):
    _, adaptation = outcome
    assert adaptation.returns[seed, ..., -1].mean() > 0.6 * ORACLE


@pytest.mark.parametrize("seed", range(SEEDS))
def test_adapting_pays(outcome, seed):
    _, adaptation = outcome
    prior = adaptation.returns[seed, ..., :4].mean()
    assert prior < 0.6 * ORACLE  # a guess is right half of the time
    assert adaptation.returns[seed, ..., -1].mean() > prior + 0.5


@pytest.mark.parametrize("seed", range(SEEDS, 2 * SEEDS))
def test_blind_to_the_reward_it_can_only_guess(outcome, seed):
    goals, adaptation = outcome
    assert adaptation.returns[seed, ..., -1].mean() < 0.55 * ORACLE
    assert separation(goals[seed], adaptation.belief[seed, ..., -1, 0]) < 1.2
