"""What all tests share: the hypothesis profile and a configuration that compiles quickly."""

import pytest
from hypothesis import settings

from structlat_jax.config import Config

settings.register_profile("default", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("default")


@pytest.fixture(scope="session")
def tiny_config() -> Config:
    """The default algorithm at sizes for which a meta-step takes milliseconds."""
    return Config().replace(
        width=8,
        depth=1,
        encoder_width=8,
        encoder_depth=1,
        train_tasks=4,
        test_tasks=2,
        meta_batch=2,
        batch_size=4,
        context_episodes=2,
        context_window=2,
        updates_per_step=3,
        prior_episodes=2,
        explore_episodes=1,
        posterior_episodes=1,
        replay_steps=400,
        hypotheses=16,
        world_width=4,
        world_updates=2,
        eval_episodes=4,
        eval_prior_episodes=2,
        eval_repeats=2,
    )
