"""A task whose right answer is known: the goal is at +1 or at -1, and only the reward tells which.

After a few hundred updates an agent must tell the two tasks apart and stay at its goal; one that
never sees the reward cannot do better than to guess. Both hold for either kind of inference.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import ORACLE, config, line, mixture_log_density, quick_compile

from structlat_jax.train import parallel, repeats
from structlat_jax.train.setup import make_setup

pytestmark = pytest.mark.slow

SEEDS = 3
META_STEPS = 48
SIZES = {
    "latent": "gau:1",
    "width": 16,
    "encoder_width": 16,
    "world_width": 16,
    "train_tasks": 4,
    "test_tasks": 4,
    "meta_batch": 4,
    "batch_size": 32,
    "context_episodes": 3,
    "context_window": 4,
    "updates_per_step": 50,
    "world_updates": 50,
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


both_kinds = pytest.mark.parametrize("kind", ["returns", "encoder"])
each_seed = pytest.mark.parametrize("seed", range(SEEDS))
each_blind_seed = pytest.mark.parametrize("seed", range(SEEDS, 2 * SEEDS))


@pytest.fixture(scope="module")
def trained():
    """Goals ``[2 S, T]``, the evaluation ``[2 S, T, R, E]``, the last losses of the world model and
    what the rewards would cost it if they were all alike ``[2 S]``: seeds that see the reward, then
    the same seeds blind to it, all in one program."""
    setup = make_setup(config(**SIZES, **RATES), line())
    programs = parallel.make_programs(setup, 2 * SEEDS, jax.devices()[:1])
    numbers = jnp.tile(jnp.arange(SEEDS, dtype=jnp.uint32), 2)
    scales = jnp.repeat(jnp.array([5.0, 0.0]), SEEDS)
    weights = jnp.repeat(jnp.array([setup.config.hyper.evidence_weight, 0.0]), SEEDS)
    blinded = {"context_reward_scale": scales, "evidence_weight": weights}
    hyper = dataclasses.replace(setup.config.hyper, **blinded)
    hyper = parallel.spread(programs, hyper)
    with quick_compile():
        state = programs.init(numbers)
        for _ in range(META_STEPS):
            state, metrics = programs.step(hyper, state)
        adaptation = repeats.evaluate(programs, hyper, state, numbers, 0).adaptation
    goals = np.concatenate([state.train_tasks, state.test_tasks], axis=1)
    rewards = np.asarray(setup.layout.unpack(state.replay.rows).reward).reshape(2 * SEEDS, -1)
    return goals, *jax.device_get((adaptation, metrics)), [*map(surprise, rewards)]


def surprise(rewards):
    """Of the best mixture for all rewards alike: negative log-likelihood in nats per reward."""
    share, some = np.mean(rewards != 0), rewards[rewards != 0]
    logit, log_std = np.log(share / (1 - share)), np.log(some.std())
    return -mixture_log_density(rewards, logit, some.mean(), log_std).mean()


@pytest.fixture
def outcome(trained):
    return trained[:2]


def separation(goals, belief):
    """Distance between the mean beliefs about the two tasks, in standard deviations of all."""
    right, left = belief[goals > 0], belief[goals < 0]
    return abs(right.mean() - left.mean()) / belief.std()


@each_seed
def test_beliefs_tell_the_tasks_apart(outcome, seed):
    goals, adaptation = outcome
    belief = adaptation.belief[..., -1, 0]
    assert separation(goals[seed], belief[seed]) > 1.6  # 2 if they never overlap


@each_seed
def test_the_world_model_tells_how_the_world_moves_and_what_a_task_pays(trained, seed):
    """Better than seeds that were blind to the task, whose replay shows where rewards are paid."""
    *_, metrics, ignorant = trained
    rewards = metrics["world_reward"]
    assert metrics["world_dynamics"][seed] < 1e-3
    assert rewards[seed] < ignorant[seed] - 0.8
    assert rewards[seed] < rewards[SEEDS + seed] - 0.15


@both_kinds
@each_seed
def test_the_last_episode_is_close_to_the_optimum(outcome, kind, seed):
    _, adaptation = outcome
    assert getattr(adaptation, kind)[seed, ..., -1].mean() > 0.6 * ORACLE


@both_kinds
@each_seed
def test_adapting_pays(outcome, kind, seed):
    returns = getattr(outcome[1], kind)[seed]
    prior = returns[..., :4].mean()
    assert prior < 0.6 * ORACLE  # a guess is right half of the time
    assert returns[..., -1].mean() > prior + 0.5


@both_kinds
@each_blind_seed
def test_blind_to_the_reward_it_can_only_guess(outcome, kind, seed):
    _, adaptation = outcome
    assert getattr(adaptation, kind)[seed, ..., -1].mean() < 0.55 * ORACLE


@each_blind_seed
def test_blind_to_the_reward_beliefs_stay_together(outcome, seed):
    goals, adaptation = outcome
    assert separation(goals[seed], adaptation.belief[seed, ..., -1, 0]) < 1.2
