"""Trials of agents that act on their belief: episodes of one task in a row, what was found out kept
between them."""

import jax
import jax.numpy as jnp

from structlat_jax.algos.base import Trials
from structlat_jax.config import Hyper
from structlat_jax.inference.base import Learned
from structlat_jax.shapes import Episodes, Key, Task
from structlat_jax.train import rollout
from structlat_jax.train.explore import EXPLORERS
from structlat_jax.train.setup import Setup


def act(
    setup: Setup, hyper: Hyper, learned: Learned, tasks: Task, episodes: int, key: Key
) -> Trials:
    """One trial of each task ``[M]``, its actions drawn.

    Args:
      setup: Static; with an inference that has a `condition`.
      hyper: Traced.
      learned: Of one seed.
      tasks: ``[M]``.
      episodes: Of each trial.
      key: For actions and resets.
    """
    env, inference = setup.env, setup.inference
    key_act, key_reset = jax.random.split(key)
    shape = (jax.tree.leaves(tasks)[0].shape[0], episodes)
    noise = jax.random.normal(key_act, (*shape, env.horizon, env.action_dim))
    unseen = inference.init(learned, None, None)

    def choose(obs, condition, step_noise):
        return setup.algorithm.act(learned.agent, obs, condition, step_noise)

    def one(task, resets, own):
        start = unseen if inference.told is None else inference.told(unseen, task)
        given = (learned, hyper, task, start, resets, own)
        return rollout.trial(env, inference, choose, *given)[0]

    return Trials(jax.vmap(one)(tasks, jax.random.split(key_reset, shape), noise), noise)


def explore(setup: Setup, tasks: Task, key: Key) -> Episodes:
    """The exploring episodes of tasks ``[T]``, ``[T, explore_episodes]``."""
    s, env = setup.structure, setup.env
    key_actions, key_reset = jax.random.split(key)
    shape = (s.train_tasks, s.explore_episodes)

    def one(task, reset, actions):
        return rollout.episode(env, lambda obs, action: action, task, reset, actions)

    every = jax.vmap(jax.vmap(one, in_axes=(None, 0, 0)))
    resets = jax.random.split(key_reset, shape)
    return every(tasks, resets, EXPLORERS[s.explorer](env, key_actions, shape))


def block(setup: Setup, hyper: Hyper, learned: Learned, tasks: Task, key: Key) -> Episodes:
    """What a replay keeps of one meta-step, ``[T, E]``: as many episodes as it would have with a z
    for each, the prior and the posterior ones of a task being one trial."""
    s = setup.structure
    key_trial, key_explore = jax.random.split(key)
    count = s.prior_episodes + s.posterior_episodes
    seen = act(setup, hyper, learned, tasks, count, key_trial).episodes
    if not s.explore_episodes:
        return seen
    prior, posterior = (
        jax.tree.map(lambda x, own=own: x[:, own], seen)
        for own in (slice(s.prior_episodes), slice(s.prior_episodes, None))
    )
    parts = (prior, explore(setup, tasks, key_explore), posterior)
    return jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *parts)
