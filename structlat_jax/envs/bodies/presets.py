"""Settings that suit bodies: long episodes, dense rewards of either sign, no success to be told."""

from collections.abc import Mapping
from typing import Any

from structlat_jax.envs.base import Preset

_SETTINGS: Mapping[str, Any] = {
    "latent": "gau:5",
    "posterior": "context",
    "inference": "amortised",
    "discount": 0.99,
    "width": 128,
    "prior_episodes": 1,
    "explore_episodes": 0,
    "posterior_episodes": 1,
    "updates_per_step": 1000,
    "replay_steps": 20_000,
    "meta_batch": 8,
    "batch_size": 64,
    "context_episodes": 2,
    "context_best_of": 1,
    "context_window": 5,
    "context_reward_scale": 1.0,
    "entropy_weight": 0.2,
    "entropy_end": 0.25,
    "lr": 5e-4,
    "encoder_lr": 5e-4,
    "lr_decay_start": 40_000.0,
    "lr_decay_end": 60_000.0,
    "lr_end": 0.2,
    "eval_episodes": 4,
    "eval_prior_episodes": 2,
    "eval_train_tasks": 10,
    "eval_repeats": 2,
    "eval_at_once": 40,
}
"""PEARL's settings (its discount, entropy, small contexts, two episodes to explore) at sizes that a
processor has learned with in an hour or two. One episode of each kind: there are many tasks."""

_UPDATES = 60_000


def aimed(name: str) -> dict[str, Preset]:
    """Of families whose tasks differ in what pays: as many tasks as PEARL was published with."""
    tasks = {"cheetah_vel": (100, 30), "ant_goal": (120, 30)}
    train, test = tasks.get(name, (80, 20))
    return _preset(train_tasks=train, test_tasks=test)


def of_two(name: str) -> dict[str, Preset]:
    """Of families of two tasks, which training and test tasks are both."""
    del name
    few = {"train_tasks": 2, "test_tasks": 2, "meta_batch": 2, "batch_size": 256}
    return _preset(
        **few, prior_episodes=5, posterior_episodes=5, replay_steps=200_000, eval_repeats=4
    )


def varied(name: str) -> dict[str, Preset]:
    """Of families whose bodies differ: what an action does shows in what is observed next."""
    del name
    return _preset(train_tasks=40, test_tasks=10, next_obs_in_context=True, prior_episodes=2)


def mixed(name: str) -> dict[str, Preset]:
    """Of mixtures, with styles that only the next observation shows."""
    del name
    return _preset(train_tasks=100, test_tasks=30, next_obs_in_context=True)


def _preset(**changes: Any) -> dict[str, Preset]:
    return {"cpu": Preset(_UPDATES, {**_SETTINGS, **changes})}
