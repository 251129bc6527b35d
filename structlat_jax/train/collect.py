"""Experience for the replay: what the agent does on its training tasks between updates."""

import jax
import jax.numpy as jnp

from structlat_jax.config import Hyper
from structlat_jax.data.batches import context_sampler, draw_contexts
from structlat_jax.inference import additive
from structlat_jax.nets.networks import squash
from structlat_jax.train import rollout
from structlat_jax.train.setup import Setup
from structlat_jax.train.state import TrainState
from structlat_jax.types import Array, Key, Transition


def collect(
    setup: Setup, hyper: Hyper, state: TrainState, key: Key
) -> tuple[Transition, tuple[Array, Array, Array]]:
    """Collects one block per training task: prior, exploring and posterior episodes.

    Each posterior episode has its own z, from a context drawn as in training; before the first
    block is written there is none, and z comes from the prior.

    Returns:
      Transitions ``[T, E, H]`` and the mean return of each kind of episode.
    """
    s = setup.config.structure
    tasks = s.train_tasks
    key_prior, key_headings, key_posterior, key_act, key_reset = jax.random.split(key, 5)
    shape = (tasks, setup.episodes_per_step)
    z = setup.space.sample_prior(key_prior, shape)  # exploring episodes have one but ignore it
    if s.posterior_episodes:
        inferred = _posterior_latents(setup, hyper, state, key_posterior)
        first = s.prior_episodes + s.explore_episodes
        z = z.at[:, first:].set(jnp.where(state.replay.written > 0, inferred, z[:, first:]))
    headings = rollout.random_headings(setup.env, key_headings, shape)
    explores = (jnp.arange(shape[1]) >= s.prior_episodes) & (
        jnp.arange(shape[1]) < s.prior_episodes + s.explore_episodes
    )
    noise = jax.random.normal(key_act, (*shape, setup.env.horizon, setup.env.action_dim))

    def one(task, latent, heading, explore, reset_key, eps):
        def act(obs, step_eps):
            action, _ = squash(*setup.networks.policy(state.params.policy, obs, latent), step_eps)
            return jnp.where(explore, heading, action)

        return rollout.episode(setup.env, act, task, reset_key, eps)

    per_task = jax.vmap(one, in_axes=(None, 0, 0, 0, 0, 0))
    over_tasks = jax.vmap(per_task, in_axes=(0, 0, 0, None, 0, 0))
    reset_keys = jax.random.split(key_reset, shape)
    block = over_tasks(state.train_tasks, z, headings, explores, reset_keys, noise)
    returns = jnp.sum(block.reward, axis=-1)
    ends = (s.prior_episodes, s.prior_episodes + s.explore_episodes)
    kinds = jnp.split(returns, ends, axis=1)
    return block, tuple(jnp.mean(r) if r.size else jnp.full((), jnp.nan) for r in kinds)


def _posterior_latents(setup: Setup, hyper: Hyper, state: TrainState, key: Key) -> Array:
    """z for the posterior episodes, ``[T, episodes, D]``; only if the replay holds something."""
    s = setup.config.structure
    key_context, key_sample = jax.random.split(key)
    shape = (s.train_tasks, s.posterior_episodes)
    sampler = context_sampler(setup, s.posterior_episodes)
    draws = jax.random.uniform(key_context, (s.train_tasks, sampler.draws))
    noise = setup.space.noise(key_sample, shape)

    def of_task(inputs):
        task, task_draws, task_noise = inputs
        same = jnp.full((s.posterior_episodes,), task)
        features, owners, _ = draw_contexts(setup, hyper, state.replay, task_draws, same)
        posterior = additive.infer_contexts(
            setup.networks, setup.space, state.params.encoder, features, owners
        )
        return setup.space.transform(posterior, task_noise, hard=True)

    # One task after the other: all contexts at once would not fit into a cache.
    return jax.lax.map(of_task, (jnp.arange(s.train_tasks), draws, noise))
