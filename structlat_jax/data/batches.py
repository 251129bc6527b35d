"""What an update sees: which tasks, which of their transitions, and which context."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from structlat_jax.config import Hyper
from structlat_jax.data import replay
from structlat_jax.data.contexts import ContextSampler
from structlat_jax.inference import additive
from structlat_jax.parts import Parts
from structlat_jax.shapes import Transition


class View(NamedTuple):
    """The replay as all updates of a meta-step see it.

    Attributes:
      replay: What was collected.
      index: Where its transitions are.
      log_weights: How often each task is drawn, ``[T]``, as unnormalised log-probabilities.
    """

    replay: replay.Replay
    index: replay.Index
    log_weights: Float[Array, " T"]


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
      kl: A key for ``kl="exact"``, and for what else an algorithm draws within its update.
      imagined: For tasks that nobody has met; None where training tasks are not known by number.
      next_action: Standard normal, one for each transition whose next action is drawn; None where a
        value network makes that needless.
    """

    tasks: Float[Array, " train_tasks"]
    transitions: Float[Array, "M B"]
    context: Float[Array, " draws"]
    latent: Float[Array, "M D"]
    action: Float[Array, "M B action_dim"]
    kl: PRNGKeyArray
    imagined: "Imagined | None" = None
    next_action: Float[Array, "N B action_dim"] | None = None


class Imagined(NamedTuple):
    """The random numbers of tasks that nobody has met.

    Attributes:
      z: Draws from the prior, ``[M, D]``.
      action: Standard normal, ``[M, B, action_dim]``.
      blend: Uniform in [0, 1), ``[M]``.
      paid: Uniform in [0, 1), for each transition of a context, ``[E, H]``.
    """

    z: Float[Array, "M D"]
    action: Float[Array, "M B action_dim"]
    blend: Float[Array, " M"]
    paid: Float[Array, "E H"]


class Context(NamedTuple):
    """Contexts of M tasks as the encoder sees them, E episodes together.

    Attributes:
      features: From `additive.context_features`, ``[E, H, features]``.
      length: Steps of each episode, ``[E]``.
      owners: 1 where an episode belongs to a task's context and 0 elsewhere, ``[M, E]``.
      failed: 1 for episodes without success and 0 for others, ``[E]``.
      transitions: What the features are of, ``[E, H]``, for who imagines others in their place.
    """

    features: Float[Array, "E H features"]
    length: Int[Array, " E"]
    owners: Float[Array, "M E"]
    failed: Float[Array, " E"]
    transitions: Transition | None = None


class Batch(NamedTuple):
    """All that one update consumes, randomness included.

    Attributes:
      transitions: For the actor-critic, ``[M, B]``.
      start: The first observation of an episode of each task, ``[M, obs_dim]``.
      context: Of the M tasks.
      latent_noise: From `LatentSpace.noise`, ``[M, D]``.
      action_noise: Standard normal, ``[M, B, action_dim]``; unused where actions are choices.
      kl_key: As ``kl`` in `Draws`.
      tasks: Which tasks these are, indices among the training tasks, ``[M]``; not for who does not
        know them by number.
      imagined, next_noise: As in `Draws`.
    """

    transitions: Transition
    start: Float[Array, "M obs_dim"]
    context: Context
    latent_noise: Float[Array, "M D"]
    action_noise: Float[Array, "M B action_dim"]
    kl_key: PRNGKeyArray
    tasks: Int[Array, " M"] | None = None
    imagined: Imagined | None = None
    next_noise: Float[Array, "N B action_dim"] | None = None


class Sampler(NamedTuple):
    """Batches of a replay.

    Attributes:
      draw: ``key`` to the random numbers of a batch.
      make: Those to a `Batch`.
    """

    draw: Callable[[PRNGKeyArray], Draws]
    make: Callable[[Draws], Batch]


def view(parts: Parts, hyper: Hyper, rings: replay.Replay) -> View:
    """The replay for the updates of a meta-step."""
    return View(rings, replay.index(rings), task_log_weights(parts, hyper, rings))


def sampler(parts: Parts, hyper: Hyper, seen: View) -> Sampler:
    """Batches of what is seen."""
    return Sampler(
        lambda key: draw(parts, key), lambda draws: make_batch(parts, hyper, seen, draws)
    )


def task_log_weights(parts: Parts, hyper: Hyper, rings: replay.Replay) -> Float[Array, " T"]:
    """How often each task is drawn, ``[T]``, as unnormalised log-probabilities.

    ``(hits + 0.05) ** -task_focus``, where ``hits`` is the share of the task's recent prior
    episodes that succeeded: what the prior seldom solves is trained on more often, so that the
    aggregate posterior, which the KL ties to the prior, leaves it more room. All alike where the
    environment does not say what success is.
    """
    s = parts.structure
    if parts.env.success is None:
        return jnp.zeros(s.train_tasks)
    hits = replay.success_shares(rings, s.context_window, s.prior_episodes)
    return -hyper.task_focus * jnp.log(hits + 0.05)


def context_sampler(parts: Parts, contexts: int) -> ContextSampler:
    """How the configuration draws so many contexts at once."""
    s = parts.structure
    return ContextSampler(
        contexts=contexts,
        fewest=s.context_episodes_min,
        most=s.context_episodes,
        window=s.context_window,
        exploring=s.prior_episodes + s.explore_episodes,
        best_of=s.context_best_of,
    )


def draw(parts: Parts, key: PRNGKeyArray) -> Draws:
    """The random numbers of one update."""
    s = parts.structure
    # As many keys as there are uses: what is not asked for leaves the others' draws as they are.
    drawn = s.targets == "twin" and not parts.env.discrete
    names = [name for name in Draws._fields if name != "next_action" or drawn]
    keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
    context = context_sampler(parts, s.meta_batch)
    action = (s.meta_batch, s.batch_size, parts.env.action_dim)
    return Draws(
        tasks=jax.random.gumbel(keys["tasks"], (s.train_tasks,)),
        transitions=jax.random.uniform(keys["transitions"], (s.meta_batch, s.batch_size)),
        context=jax.random.uniform(keys["context"], (context.draws,)),
        latent=parts.space.noise(keys["latent"], (s.meta_batch,)),
        action=jax.random.normal(keys["action"], action),
        kl=keys["kl"],
        imagined=_imagined(parts, keys["imagined"], context.episodes),
        next_action=_next_action(parts, keys.get("next_action")),
    )


def _next_action(parts: Parts, key: PRNGKeyArray | None) -> Float[Array, "N B action_dim"] | None:
    """For real tasks, then for imagined ones where the algorithm has them."""
    s = parts.structure
    if key is None:
        return None
    tasks = s.meta_batch * (2 if s.tasks_are_known and s.imagined_tasks else 1)
    return jax.random.normal(key, (tasks, s.batch_size, parts.env.action_dim))


def _imagined(parts: Parts, key: PRNGKeyArray, episodes: int) -> Imagined | None:
    s = parts.structure
    if not s.tasks_are_known:
        return None
    count, shape = s.meta_batch, (episodes, parts.env.horizon)
    key_z, key_action, key_blend, key_paid = jax.random.split(key, 4)
    return Imagined(
        z=parts.space.sample_prior(key_z, (count,)),
        action=jax.random.normal(key_action, (count, s.batch_size, parts.env.action_dim)),
        blend=jax.random.uniform(key_blend, (count,)),
        paid=jax.random.uniform(key_paid, shape),
    )


def make_batch(parts: Parts, hyper: Hyper, seen: View, draws: Draws) -> Batch:
    """The tasks, transitions and contexts that the random numbers pick from the replay."""
    rings, layout, horizon = seen.replay, parts.layout, parts.env.horizon
    # Without replacement, by the Gumbel-top-k trick.
    tasks = jax.lax.top_k(seen.log_weights + draws.tasks, parts.structure.meta_batch)[1]
    places = replay.choose(seen.index, horizon, draws.transitions, tasks)
    starts = places[:, :1] // horizon * horizon  # of the episode of each task's first transition
    return Batch(
        transitions=replay.gather(rings, layout, places, tasks),
        start=replay.gather(rings, layout, starts, tasks).obs[:, 0],
        context=draw_contexts(parts, hyper, rings, draws.context, tasks),
        latent_noise=draws.latent,
        action_noise=draws.action,
        kl_key=draws.kl,
        tasks=tasks,
        imagined=draws.imagined,
        next_noise=draws.next_action,
    )


def draw_contexts(
    parts: Parts,
    hyper: Hyper,
    rings: replay.Replay,
    draws: Float[ArrayLike, " draws"],
    tasks: Int[ArrayLike, " M"],
) -> Context:
    """One context per task index, from `ContextSampler.draws` random numbers."""
    found = context_sampler(parts, tasks.shape[0]).sample(
        rings, parts.layout, draws, tasks, hyper.explore_context
    )
    features = additive.context_features(
        found.transitions, hyper.context_reward_scale, parts.structure.next_obs_in_context
    )
    return Context(features, found.length, found.owners, found.failed, found.transitions)
