"""Trials of agents that act on their belief: episodes of one task in a row, what was found out kept
between them."""

import jax
import jax.numpy as jnp

from structlat_jax.algos.base import Trials
from structlat_jax.config import Hyper
from structlat_jax.inference.base import Learned
from structlat_jax.nets.heads import acting_noise
from structlat_jax.shapes import Episodes, Key, Task
from structlat_jax.train import rollout
from structlat_jax.train.explore import EXPLORERS
from structlat_jax.train.setup import Setup


def act(
    setup: Setup,
    hyper: Hyper,
    learned: Learned,
    tasks: Task,
    episodes: int,
    key: Key,
    exploring: bool = False,
) -> Trials:
    """One trial of each task ``[M]``, its actions drawn.

    Args:
      setup: Static; with an inference that has a `condition`.
      hyper: Traced.
      learned: Of one seed.
      tasks: ``[M]``.
      episodes: Of each trial.
      key: For actions and resets.
      exploring: Whether ``hyper.explore_share`` of the trials begin without the policy; static.
    """
    env, inference = setup.env, setup.inference
    key_act, key_reset, key_which, key_explore = jax.random.split(key, 4)
    shape = (jax.tree.leaves(tasks)[0].shape[0], episodes)
    wide = (*shape, env.horizon, env.action_dim)
    noise = acting_noise(key_act, wide, env.discrete)
    unseen = inference.init(learned, None, None)
    explored, actions = jnp.zeros(shape, bool), noise
    if exploring:
        some = jax.random.uniform(key_which, (shape[0], 1)) < hyper.explore_share
        explored = some & (jnp.arange(episodes) < episodes // 2)
        actions = EXPLORERS[setup.structure.explorer](env, key_explore, shape)
    flags = jnp.broadcast_to(explored[..., None], (*shape, env.horizon))

    def choose(obs, condition, given):
        step_noise, explores, action = given
        own = setup.algorithm.act(learned.agent, obs, condition, step_noise)
        return jnp.where(explores, action, own) if exploring else own

    def one(task, resets, own):
        start = unseen if inference.told is None else inference.told(unseen, task)
        given = (learned, hyper, task, start, resets, own)
        return rollout.trial(env, inference, choose, *given)[0]

    resets = jax.random.split(key_reset, shape)
    seen = jax.vmap(one)(tasks, resets, (noise, flags, actions))
    return Trials(seen, noise, explored)


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
