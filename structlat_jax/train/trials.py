"""Trials of agents that act on their belief: episodes of one task in a row, what was found out kept
between them."""

from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.algos.base import Trials
from structlat_jax.config import Hyper
from structlat_jax.inference import additive
from structlat_jax.inference.base import Learned
from structlat_jax.nets.heads import acting_noise
from structlat_jax.shapes import Episodes, Key, Task
from structlat_jax.train import posterior_contexts, rollout
from structlat_jax.train.explore import EXPLORERS
from structlat_jax.train.setup import Setup
from structlat_jax.train.state import TrainState


def act(
    setup: Setup,
    hyper: Hyper,
    learned: Learned,
    tasks: Task,
    episodes: int,
    key: Key,
    exploring: bool = False,
    begun: Any = None,
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
      begun: The beliefs that they begin with, ``[M]``; by default none has seen anything.
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

    def one(task, start, resets, own):
        start = unseen if start is None else start
        start = start if inference.told is None else inference.told(start, task)
        given = (learned, hyper, task, start, resets, own)
        return rollout.trial(env, inference, choose, *given)[0]

    resets = jax.random.split(key_reset, shape)
    seen = jax.vmap(one)(tasks, begun, resets, (noise, flags, actions))
    return Trials(seen, noise, explored)


def of_step(setup: Setup, hyper: Hyper, state: TrainState, key: Key) -> Trials:
    """Those of a meta-step of who learns from trials: as many of every training task as asked."""
    s = setup.structure
    tasks = jax.tree.map(lambda x: jnp.repeat(x, s.task_trials, axis=0), state.train_tasks)
    return act(setup, hyper, state.learned, tasks, s.trial_episodes, key, exploring=True)


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


def block(setup: Setup, hyper: Hyper, state: TrainState, key: Key) -> Episodes:
    """What a replay keeps of one meta-step, ``[T, E]``: as many episodes as it would have with a z
    for each. Prior and posterior episodes of a task are one trial; but where a belief can begin
    with a context of the replay, half of the posterior ones do, so that what only exploring
    episodes have found is gone to as well."""
    s, tasks = setup.structure, state.train_tasks
    key_trial, key_explore, key_context = jax.random.split(key, 3)
    told = s.posterior_episodes // 2 if setup.inference.gathered is not None else 0
    count = s.prior_episodes + s.posterior_episodes - told
    seen = act(setup, hyper, state.learned, tasks, count, key_trial).episodes
    prior, posterior = (
        jax.tree.map(lambda x, own=own: x[:, own], seen)
        for own in (slice(s.prior_episodes), slice(s.prior_episodes, None))
    )
    parts = [prior, posterior]
    if s.explore_episodes:
        parts.insert(1, explore(setup, tasks, key_explore))
    if told:
        parts.append(_from_contexts(setup, hyper, state, told, key_context))
    return jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *parts)


def _from_contexts(setup: Setup, hyper: Hyper, state: TrainState, count: int, key: Key) -> Episodes:
    """So many episodes, ``[T, count]``, each of which begins with a context of its own."""
    networks, space, encoder = setup.networks, setup.space, state.params.encoder
    key_context, key_act = jax.random.split(key)

    def total(task, found, given):
        del task, given
        evidence = additive.evidence_of(networks, space, encoder, found.features)
        return additive.totals_of(space, evidence, found.owners, found.length)

    totals = posterior_contexts.over_tasks(setup, hyper, state.replay, total, None, key_context)
    totals = jnp.where(state.replay.written > 0, totals[:, :count], 0.0)
    shape = totals.shape[:2]
    begun = jax.vmap(setup.inference.gathered)(totals.reshape(-1, space.stat_dim))
    each = jax.tree.map(lambda x: jnp.repeat(x, shape[1], axis=0), state.train_tasks)
    seen = act(setup, hyper, state.learned, each, 1, key_act, begun=begun).episodes
    return jax.tree.map(lambda x: x[:, 0].reshape(*shape, *x.shape[2:]), seen)
