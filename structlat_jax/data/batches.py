"""What an update sees: which tasks, which of their transitions, and which context."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from structlat_jax.algos import pearl_sac
from structlat_jax.config import Hyper
from structlat_jax.data import replay
from structlat_jax.data.contexts import ContextSampler
from structlat_jax.inference import additive
from structlat_jax.train.setup import Setup
from structlat_jax.types import Array, Key


class Draws(NamedTuple):
    """The random numbers of one update.

    Those of all updates of a meta-step are drawn at once, ahead of them: a generator called within
    the loop would cost more than some of the networks.

    Attributes:
      tasks: Gumbel noise, ``[train_tasks]``.
      transitions: Uniform in [0, 1), ``[M, B]``.
      context: Uniform in [0, 1), as many as `ContextSampler.draws` says.
      latent: From `LatentSpace.noise`, ``[M, D]``.
      action: Standard normal, ``[M, B, action_dim]``.
      kl: A key for ``kl="exact"`` (otherwise unused).
    """

    tasks: Array
    transitions: Array
    context: Array
    latent: Array
    action: Array
    kl: Key


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


def context_sampler(setup: Setup, contexts: int) -> ContextSampler:
    """How the configuration draws so many contexts at once."""
    s = setup.config.structure
    return ContextSampler(
        contexts=contexts,
        fewest=s.context_episodes_min,
        most=s.context_episodes,
        window=s.context_window,
        exploring=s.prior_episodes + s.explore_episodes,
        best_of=s.context_best_of,
    )


def draw(setup: Setup, key: Key) -> Draws:
    """The random numbers of one update."""
    s = setup.config.structure
    keys = dict(zip(Draws._fields, jax.random.split(key, len(Draws._fields)), strict=True))
    context = context_sampler(setup, s.meta_batch)
    return Draws(
        tasks=jax.random.gumbel(keys["tasks"], (s.train_tasks,)),
        transitions=jax.random.uniform(keys["transitions"], (s.meta_batch, s.batch_size)),
        context=jax.random.uniform(keys["context"], (context.draws,)),
        latent=setup.space.noise(keys["latent"], (s.meta_batch,)),
        action=jax.random.normal(
            keys["action"], (s.meta_batch, s.batch_size, setup.env.action_dim)
        ),
        kl=keys["kl"],
    )


def make_batch(
    setup: Setup, hyper: Hyper, rings: replay.Replay, log_weights: Array, draws: Draws
) -> pearl_sac.Batch:
    """The tasks, transitions and contexts that the random numbers pick from the replay."""
    s = setup.config.structure
    # Without replacement, by the Gumbel-top-k trick.
    tasks = jax.lax.top_k(log_weights + draws.tasks, s.meta_batch)[1]
    features, owners, silent = draw_contexts(setup, hyper, rings, draws.context, tasks)
    return pearl_sac.Batch(
        transitions=replay.sample_batch(rings, setup.layout, draws.transitions, tasks),
        features=features,
        owners=owners,
        silent=silent,
        latent_noise=draws.latent,
        action_noise=draws.action,
        kl_key=draws.kl,
    )


def draw_contexts(
    setup: Setup, hyper: Hyper, rings: replay.Replay, draws: Array, tasks: Array
) -> tuple[Array, Array, Array]:
    """One context per task index, from `ContextSampler.draws` random numbers: features
    ``[E, H, features]``, and ``owners [M, E]`` and ``silent [E]`` of `contexts.Contexts`."""
    sampler = context_sampler(setup, tasks.shape[0])
    found = sampler.sample(rings, setup.layout, draws, tasks, hyper.explore_context)
    next_obs = setup.config.structure.next_obs_in_context
    features = additive.context_features(found.transitions, hyper.context_reward_scale, next_obs)
    return features, found.owners, found.silent
