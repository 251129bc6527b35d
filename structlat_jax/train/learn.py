"""Meta-training: one meta-step is collect, write, update, as one pure function of its state."""

import jax
import jax.numpy as jnp

from structlat_jax.algos import pearl_sac
from structlat_jax.algos.schedules import coefficients_at, kl_weight, step_size_share
from structlat_jax.config import Hyper
from structlat_jax.data import replay
from structlat_jax.data.batches import draw, make_batch, task_log_weights
from structlat_jax.inference import additive, world_model
from structlat_jax.nets import optim
from structlat_jax.nets.networks import AgentParams
from structlat_jax.train.collect import collect
from structlat_jax.train.setup import Setup
from structlat_jax.train.state import Metrics, TrainState
from structlat_jax.types import Array, Key


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
        optimisers=pearl_sac.init_optimisers(params),
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

    def body(carry, draws):
        params, optimisers, updates = carry
        batch = make_batch(setup, hyper, rings, log_weights, draws)
        coefficients = coefficients_at(hyper, updates)
        params, optimisers, losses = pearl_sac.update(
            setup.networks, setup.space, params, optimisers, batch, coefficients
        )
        return (params, optimisers, updates + 1), losses

    start = (state.params, state.optimisers, state.updates)
    draws = jax.vmap(lambda k: draw(setup, k))(jax.random.split(key_update, s.updates_per_step))
    (params, optimisers, updates), losses = jax.lax.scan(body, start, draws)
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

    def body(carry, inputs):
        draws, noise = inputs
        batch = make_batch(setup, hyper, state.replay, log_weights, draws)
        posterior = additive.infer_contexts(
            networks, setup.space, state.params.encoder, batch.features, batch.owners
        )
        z = jax.vmap(setup.space.transform, in_axes=(None, 0))(posterior, noise)
        params, moments, losses = world_model.update(
            networks, *carry, batch.transitions, start, z, horizon, lr
        )
        return (params, moments), losses

    key_draws, key_z = jax.random.split(key)
    draws = jax.vmap(lambda k: draw(setup, k))(jax.random.split(key_draws, s.world_updates))
    noise = setup.space.noise(key_z, (s.world_updates, s.world_draws, s.meta_batch))
    carry = (state.params, state.world_moments)
    (params, moments), losses = jax.lax.scan(body, carry, (draws, noise))
    means = jax.tree.map(lambda x: jnp.mean(x, axis=0), losses)
    return state._replace(params=params, world_moments=moments), means


def first_not_finite(losses: pearl_sac.Losses, params: AgentParams) -> Array:
    """The first update, from 1, whose losses ``[U, ...]`` are not finite, or the last if only the
    parameters after it are not; 0 if all is well."""
    each = [jnp.isfinite(x).reshape(x.shape[0], -1).all(axis=1) for x in losses]
    bad = ~jnp.stack(each).all(axis=0)
    after = [jnp.isfinite(x).all() for x in jax.tree.leaves(params)]
    bad = bad.at[-1].set(bad[-1] | ~jnp.stack(after).all())
    return jnp.where(bad.any(), 1 + jnp.argmax(bad), 0)
