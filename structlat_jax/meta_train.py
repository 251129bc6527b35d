"""Meta-training: one meta-step is collect, write, update, as one pure function of its state."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from structlat_jax import inference, optim, replay, rollout, sac, world_model
from structlat_jax.config import Hyper
from structlat_jax.networks import AgentParams, squash
from structlat_jax.schedules import coefficients_at, kl_weight, step_size_share
from structlat_jax.setup import Setup
from structlat_jax.types import Array, Key, Task, Transition


class TrainState(NamedTuple):
    """Everything that training changes, for one seed.

    Attributes:
      params: Of all networks.
      optimisers: Adam's moments.
      world_moments: Adam's, of the world model.
      replay: Experience.
      key: The key that the next meta-step will split.
      updates: Gradient updates done, an int32 scalar.
      train_tasks, test_tasks: The seed's tasks, ``[T]`` each.
    """

    params: AgentParams
    optimisers: sac.Optimisers
    world_moments: optax.OptState
    replay: replay.Replay
    key: Key
    updates: Array
    train_tasks: Task
    test_tasks: Task


class Metrics(NamedTuple):
    """What a meta-step reports, as means over it.

    Attributes:
      losses: Of its updates.
      world: Of the world model's; NaN where there is none.
      prior_return, explore_return, posterior_return: Return per episode (the task's own reward)
        of each kind of collected episode; NaN for kinds that are not collected.
      kl_weight: At the last update.
      not_finite_at: The first of its updates, counted from 1 over the whole run, whose losses were
        not finite (the last, if only its parameters are not); 0 if all is well.
    """

    losses: sac.Losses
    world: world_model.WorldLosses
    prior_return: Array
    explore_return: Array
    posterior_return: Array
    kl_weight: Array
    not_finite_at: Array


def init(setup: Setup, key: Key) -> TrainState:
    """The state of one seed before any experience: its tasks, its networks, an empty replay."""
    s = setup.config.structure
    key_tasks, key_split, key_networks, key_train = jax.random.split(key, 4)
    count = s.train_tasks + s.test_tasks
    # Strong types: a restored state must be of the same type as a fresh one, or it traces anew.
    tasks = jax.tree.map(
        lambda x: jax.lax.convert_element_type(x, x.dtype),
        setup.env.sample_tasks(key_tasks, count),
    )
    order = jax.random.permutation(key_split, count)
    params = setup.networks.init(key_networks)
    rings = replay.empty(
        s.train_tasks, setup.blocks, setup.episodes_per_step, setup.env.horizon, setup.layout
    )
    return TrainState(
        params=params,
        optimisers=sac.init_optimisers(params),
        world_moments=optim.init(params.world),
        replay=rings,
        key=key_train,
        updates=jnp.zeros((), jnp.int32),
        train_tasks=jax.tree.map(lambda x: x[order[: s.train_tasks]], tasks),
        test_tasks=jax.tree.map(lambda x: x[order[s.train_tasks :]], tasks),
    )


def meta_step(setup: Setup, hyper: Hyper, state: TrainState) -> tuple[TrainState, Metrics]:
    """Collect from every training task, write the replay, run U updates, fit the world model.

    Args:
      setup: Static.
      hyper: Traced hyper-parameters, each a scalar.
      state: Of one seed.

    Returns:
      The next state and the metrics.
    """
    s = setup.config.structure
    key_next, key_collect, key_update, key_world = jax.random.split(state.key, 4)
    block, returns = collect(setup, hyper, state, key_collect)
    rings = replay.write(state.replay, setup.layout, block)

    log_weights = task_log_weights(setup, hyper, rings)

    def body(carry, step_key):
        params, optimisers, updates = carry
        batch = draw_batch(setup, hyper, rings, log_weights, step_key)
        coefficients = coefficients_at(hyper, updates)
        params, optimisers, losses = sac.update(
            setup.networks, setup.space, params, optimisers, batch, coefficients
        )
        return (params, optimisers, updates + 1), losses

    start = (state.params, state.optimisers, state.updates)
    keys = jax.random.split(key_update, s.updates_per_step)
    (params, optimisers, updates), losses = jax.lax.scan(body, start, keys)
    state = state._replace(
        params=params, optimisers=optimisers, replay=rings, key=key_next, updates=updates
    )
    state, world_losses = fit_world(setup, hyper, state, log_weights, key_world)
    means = jax.tree.map(lambda x: jnp.mean(x, axis=0), losses)
    bad = first_not_finite(losses, state.params)
    bad_at = jnp.where(bad > 0, start[-1] + bad, 0)
    return state, Metrics(means, world_losses, *returns, kl_weight(hyper, updates), bad_at)


def fit_world(
    setup: Setup, hyper: Hyper, state: TrainState, log_weights: Array, key: Key
) -> tuple[TrainState, world_model.WorldLosses]:
    """Fits the world model, if there is one, to batches drawn as those of the agent's updates."""
    s, networks, horizon = setup.config.structure, setup.networks, setup.env.horizon
    if networks.reward_net is None:
        return state, world_model.WorldLosses(*[jnp.full((), jnp.nan)] * 2)
    start = setup.layout.unpack(state.replay.rows[0, 0, 0, 0]).obs  # as an episode began
    lr = hyper.lr * step_size_share(hyper, state.updates)

    def body(carry, step_key):
        key_batch, key_z = jax.random.split(step_key)
        batch = draw_batch(setup, hyper, state.replay, log_weights, key_batch)
        posterior = inference.infer(
            networks, setup.space, state.params.encoder, batch.features, batch.mask
        )
        noise = setup.space.noise(key_z, (s.world_draws, s.meta_batch))
        z = jax.vmap(setup.space.transform, in_axes=(None, 0))(posterior, noise)
        params, moments, losses = world_model.update(
            networks, *carry, batch.transitions, start, z, horizon, lr
        )
        return (params, moments), losses

    keys = jax.random.split(key, s.world_updates)
    (params, moments), losses = jax.lax.scan(body, (state.params, state.world_moments), keys)
    means = jax.tree.map(lambda x: jnp.mean(x, axis=0), losses)
    return state._replace(params=params, world_moments=moments), means


def first_not_finite(losses: sac.Losses, params: AgentParams) -> Array:
    """The first update, from 1, whose losses ``[U, ...]`` are not finite, or the last if only the
    parameters after it are not; 0 if all is well."""
    each = [jnp.isfinite(x).reshape(x.shape[0], -1).all(axis=1) for x in losses]
    bad = ~jnp.stack(each).all(axis=0)
    after = [jnp.isfinite(x).all() for x in jax.tree.leaves(params)]
    bad = bad.at[-1].set(bad[-1] | ~jnp.stack(after).all())
    return jnp.where(bad.any(), 1 + jnp.argmax(bad), 0)


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
    index = jnp.repeat(jnp.arange(s.train_tasks), s.posterior_episodes)
    features, mask, _ = draw_context(setup, hyper, state.replay, key_context, index)
    posterior = inference.infer(setup.networks, setup.space, state.params.encoder, features, mask)
    noise = setup.space.noise(key_sample, index.shape)
    z = setup.space.transform(posterior, noise, hard=True)
    return z.reshape(s.train_tasks, s.posterior_episodes, setup.space.dim)
