"""Settings that suit bodies: long episodes, dense rewards of either sign, no success to be told."""

from collections.abc import Mapping
from typing import Any

from structlat_jax.envs.base import Preset

_SETTINGS: Mapping[str, Any] = {
    "latent": "gau:5",
    "inference": "amortised",
    "discount": 0.97,
    "tau": 0.02,
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
    "entropy_weight": 0.05,
    "entropy_end": 0.25,
    "lr_decay_start": 24_000.0,
    "lr_decay_end": 48_000.0,
    "lr_end": 0.2,
    "eval_episodes": 4,
    "eval_prior_episodes": 2,
    "eval_train_tasks": 10,
    "eval_repeats": 2,
    "eval_at_once": 40,
}
"""What `cheetah_vel` learns with in minutes, which was found with agents that are told the task: a
quarter of PEARL's entropy, which keeps a cheetah where it is, targets that follow four times as
fast, and a look ahead of a third of its steps. One episode of each kind: there are many tasks."""

_UPDATES = 48_000


def aimed(name: str) -> dict[str, Preset]:
    """Of families whose tasks differ in what pays: as many tasks as PEARL was published with."""
    tasks = {"cheetah_vel": (100, 30), "ant_goal": (120, 30)}
    train, test = tasks.get(name, (80, 20))
    own = {"train_tasks": train, "test_tasks": test}
    if name != "cheetah_vel":
        return _preset(**own)
    # After fewer it is still rising.
    return _preset(90_000, **own, lr_decay_start=60_000.0, lr_decay_end=90_000.0)


def of_two() -> dict[str, Preset]:
    """Of families of two tasks, which training and test tasks are both: there is nothing between
    them to imagine, and as fast as can be is learned with a longer look ahead."""
    few = {"train_tasks": 2, "test_tasks": 2, "meta_batch": 2, "batch_size": 256}
    slow = {"lr_decay_start": 75_000.0, "lr_decay_end": 150_000.0}
    return _preset(
        150_000,
        **few,
        **slow,
        imagined_tasks=False,
        discount=0.99,
        entropy_weight=0.1,
        prior_episodes=5,
        posterior_episodes=5,
        replay_steps=200_000,
        eval_repeats=4,
    )


def varied() -> dict[str, Preset]:
    """Of families whose bodies differ: what an action does shows in what is observed next."""
    return _preset(train_tasks=40, test_tasks=10, next_obs_in_context=True, prior_episodes=2)


def mixed() -> dict[str, Preset]:
    """Of mixtures, with styles that only the next observation shows."""
    return _preset(train_tasks=100, test_tasks=30, next_obs_in_context=True)


def _preset(updates: int = _UPDATES, **changes: Any) -> dict[str, Preset]:
    return {"cpu": Preset(updates, {**_SETTINGS, **changes})}
