"""What an update sees: which tasks, which of their transitions, and which context."""

import jax
import jax.numpy as jnp

from structlat_jax import inference, replay, sac
from structlat_jax.config import Hyper
from structlat_jax.setup import Setup
from structlat_jax.types import Array, Key


def task_log_weights(setup: Setup, hyper: Hyper, rings: replay.Replay) -> Array:
    """How often each task is drawn, ``[T]``, as unnormalised log-probabilities.

    ``(hits + 0.05) ** -task_focus``, where ``hits`` is the share of the task's recent prior
    episodes that met any reward: what the prior seldom finds is trained on more often, so that the
    aggregate posterior, which the KL ties to the prior, leaves it more room.
    """
    s = setup.config.structure
    found = replay.rewarded(rings, setup.layout, s.context_window)[:, :, : s.prior_episodes]
    hits = jnp.nanmean(found, axis=(1, 2))
    return -hyper.task_focus * jnp.log(hits + 0.05)


def draw_batch(
    setup: Setup, hyper: Hyper, rings: replay.Replay, log_weights: Array, key: Key
) -> sac.Batch:
    """Draws the tasks, transitions, contexts and noise of one update."""
    s = setup.config.structure
    names = ("tasks", "batch", "context", "latent", "action", "kl")
    keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
    # Without replacement, by the Gumbel-top-k trick.
    ranks = log_weights + jax.random.gumbel(keys["tasks"], (s.train_tasks,))
    tasks = jax.lax.top_k(ranks, s.meta_batch)[1]
    features, mask, silent_mask = draw_context(setup, hyper, rings, keys["context"], tasks)
    noise_shape = (s.meta_batch, s.batch_size, setup.env.action_dim)
    return sac.Batch(
        transitions=replay.sample_batch(rings, setup.layout, keys["batch"], tasks, s.batch_size),
        features=features,
        mask=mask,
        silent_mask=silent_mask,
        latent_noise=setup.space.noise(keys["latent"], (s.meta_batch,)),
        action_noise=jax.random.normal(keys["action"], noise_shape),
        kl_key=keys["kl"],
    )


def draw_context(
    setup: Setup, hyper: Hyper, rings: replay.Replay, key: Key, tasks: Array
) -> tuple[Array, Array, Array]:
    """One context per task index: features ``[M, N, features]``, mask ``[M, N]``, and the mask of
    its episodes without reward."""
    s = setup.config.structure
    context, mask, silent_mask = replay.sample_context(
        rings,
        setup.layout,
        key,
        tasks,
        (s.context_episodes_min, s.context_episodes),
        s.context_window,
        s.prior_episodes + s.explore_episodes,
        hyper.explore_context,
        s.context_best_of,
    )
    scale = hyper.context_reward_scale
    return inference.context_features(context, scale, s.next_obs_in_context), mask, silent_mask
