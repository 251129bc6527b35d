"""Experience for the replay: what the agent does on its training tasks between updates."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from structlat_jax.config import Hyper
from structlat_jax.inference import additive
from structlat_jax.nets.heads import acting_noise
from structlat_jax.shapes import Array, Episodes, Key
from structlat_jax.train import posterior_contexts, rollout, trials
from structlat_jax.train.explore import EXPLORERS
from structlat_jax.train.setup import Setup
from structlat_jax.train.state import Metrics, TrainState


class Intent(NamedTuple):
    """How the episodes of a block are to be gone through, ``[T, E]``.

    Attributes:
      z: The latent of each, ``[T, E, D]``.
      explores: Which of a task's episodes take `actions` instead of the policy's, bool ``[E]``.
      actions, noise: ``[T, E, H, action_dim]`` each.
      reset: A key for each reset.
    """

    z: Array
    explores: Array
    actions: Array
    noise: Array
    reset: Key


def collect(setup: Setup, hyper: Hyper, state: TrainState, key: Key) -> tuple[Episodes, Metrics]:
    """Collects one block per training task: prior, exploring and posterior episodes.

    Each posterior episode has its own z, from a context drawn as in training; before the first
    block is written there is none, and z comes from the prior. An agent that acts on its belief
    has no z; see `trials.block`.

    Returns:
      Episodes ``[T, E]`` and the mean return of each kind of which there are any.
    """
    if setup.inference.condition is not None:
        block = trials.block(setup, hyper, state, key)
    else:
        block = _gone_through(setup, state, intend(setup, hyper, state, key))
    return block, returns_by_kind(setup, block)


def intend(setup: Setup, hyper: Hyper, state: TrainState, key: Key) -> Intent:
    """All that is random in a block, but for the environment."""
    s = setup.structure
    key_prior, key_explore, key_posterior, key_act, key_reset = jax.random.split(key, 5)
    shape = (s.train_tasks, setup.episodes_per_step)
    z = setup.space.sample_prior(key_prior, shape)  # exploring episodes have one but ignore it
    first, last = _bounds(setup)
    if s.posterior_episodes:
        inferred = _posterior_latents(setup, hyper, state, key_posterior)
        z = z.at[:, last:].set(jnp.where(state.replay.written > 0, inferred, z[:, last:]))
    actions = EXPLORERS[s.explorer](setup.env, key_explore, shape)
    explores = (jnp.arange(shape[1]) >= first) & (jnp.arange(shape[1]) < last)
    wide = (*shape, setup.env.horizon, setup.env.action_dim)
    noise = acting_noise(key_act, wide, setup.env.discrete)
    return Intent(z, explores, actions, noise, jax.random.split(key_reset, shape))


def _gone_through(setup: Setup, state: TrainState, intent: Intent) -> Episodes:
    def one(task, latent, explore, reset_key, given):
        def act(obs, step_given):
            exploring, eps = step_given
            action = setup.algorithm.act(state.params, obs, latent, eps)
            return jnp.where(explore, exploring, action)

        return rollout.episode(setup.env, act, task, reset_key, given)

    per_task = jax.vmap(one, in_axes=(None, 0, 0, 0, 0))
    over_tasks = jax.vmap(per_task, in_axes=(0, 0, None, 0, 0))
    given = (intent.actions, intent.noise)
    return over_tasks(state.train_tasks, intent.z, intent.explores, intent.reset, given)


def returns_by_kind(setup: Setup, block: Episodes) -> Metrics:
    """The mean return of each kind of episodes in a block of which there are any."""
    returns = jnp.split(jnp.sum(block.transitions.reward, axis=-1), _bounds(setup), axis=1)
    kinds = zip(("prior", "explore", "posterior"), returns, strict=True)
    return {f"collected_{kind}_return": jnp.mean(r) for kind, r in kinds if r.size}


def _bounds(setup: Setup) -> tuple[int, int]:
    """Where exploring and posterior episodes begin."""
    s = setup.structure
    return s.prior_episodes, s.prior_episodes + s.explore_episodes


def _posterior_latents(setup: Setup, hyper: Hyper, state: TrainState, key: Key) -> Array:
    """z for the posterior episodes, ``[T, episodes, D]``; only if the replay holds something."""
    s = setup.structure
    key_context, key_sample = jax.random.split(key)
    noise = setup.space.noise(key_sample, (s.train_tasks, s.posterior_episodes))

    def of_task(task, found, task_noise):
        posterior = additive.infer_contexts(
            *(setup.networks, setup.space, state.params.encoder),
            *(found.features, found.owners, found.length),
        )
        z = setup.space.transform(posterior, task_noise, hard=True)
        if setup.algorithm.own_posterior is None:
            return z
        # One half acts as if the task were known, which finds out what it takes; the other as in
        # an evaluation.
        same = jnp.full((s.posterior_episodes,), task)
        own = setup.algorithm.own_posterior(state.params, same)
        known = setup.space.transform(own, task_noise, hard=True)
        return jnp.where(jnp.arange(len(z))[:, None] < len(z) // 2, known, z)

    return posterior_contexts.over_tasks(setup, hyper, state.replay, of_task, noise, key_context)
