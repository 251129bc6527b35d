"""PEARL's update as an `Algorithm`, with either posterior to draw z from in training, and with the
actor-critic that suits the actions."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.algos import by_task, discrete_sac, known_tasks, pearl_sac, portable, soft
from structlat_jax.algos.base import ActorCritic, Algorithm
from structlat_jax.algos.options import AlgorithmOptions
from structlat_jax.algos.schedules import coefficients_at
from structlat_jax.inference import additive, decoder
from structlat_jax.latents import LatentSpace, block_names
from structlat_jax.nets.heads import squash
from structlat_jax.nets.networks import SMALL_HEADS, DiscreteNetworks, Networks
from structlat_jax.parts import Parts
from structlat_jax.shapes import Array


def make(
    networks: Networks | DiscreteNetworks,
    space: LatentSpace,
    options: AlgorithmOptions | None = None,
) -> Algorithm:
    """The record of `pearl_sac`: z from the encoder's posterior given a context.

    Its metrics: the losses ``q``, ``v`` (where there is a value network) and ``policy``, ``q_mean``
    (scaled reward units), ``entropy`` (nats), per block ``kl BLOCK`` (nats), and the
    ``temperature`` if it is learned.

    Args:
      networks, space: Static.
      options: What of it is not PEARL's; nothing by default.
    """
    names, actor = block_names(space), actor_critic(networks)

    def posterior(params, batch):
        context = batch.context
        return additive.infer_contexts(
            *(networks, space, params.encoder),
            *(context.features, context.owners, context.length),
        )

    def update(params, moments, batch, coefficients):
        params, moments, losses = pearl_sac.update(
            actor, space, params, moments, batch, coefficients
        )
        return params, moments, _metrics(losses, names, coefficients, params)

    return Algorithm(
        name=actor.name,
        zeros=lambda: soft.zeros(networks, options or AlgorithmOptions()),
        small_heads=SMALL_HEADS,
        start=actor.start,
        moments=pearl_sac.init_optimisers,
        act=actor.act,
        coefficients=coefficients_at,
        posterior=posterior,
        own_posterior=None,
        update=update,
        portable=lambda params: portable.of_mlp(params.policy),
    )


def make_by_task(parts: Parts) -> Algorithm:
    """The record of `by_task`: z from a posterior of each training task's own.

    Its metrics are those of `make`, and ``q_imagined``, ``encoder``, ``decoder_reward``,
    ``decoder_shaped`` and ``decoder_change``; see `by_task.TaskLosses`.
    """
    s, env, space, networks = parts.structure, parts.env, parts.space, parts.networks
    names, actor = block_names(space), actor_critic(networks)
    model = decoder.make(s.decoder_width, env.obs_dim, env.action_dim, space.dim)
    known = known_tasks.by_number(s.train_tasks, space.stat_dim)
    if s.posterior == "truth":
        known = known_tasks.by_truth(s.train_tasks, space.stat_dim, s.encoder_width, env)
    options = (s.imagined_tasks, s.next_obs_in_context, s.later_blocks == "changes")
    static = by_task.Static(actor, space, model, known, *options)

    def zeros():
        own = {"table": known.zeros(), "decoder": model.zeros(), "scale": ()}
        return by_task.TaskParams(**soft.zeros(networks, s)._asdict(), **own)

    def start(params):
        return actor.start(params)._replace(scale=decoder.initial_scale(env.obs_dim))

    def update(params, moments, batch, coefficients):
        params, moments, losses = by_task.update(static, params, moments, batch, coefficients)
        return params, moments, _metrics(losses, names, coefficients, params)

    def own_posterior(params, tasks):
        return known_tasks.posterior_of(space, known, params.table, tasks)

    return Algorithm(
        name=f"{actor.name} by {s.posterior}",
        zeros=zeros,
        small_heads=SMALL_HEADS,
        start=start,
        moments=by_task.init_optimisers,
        act=actor.act,
        coefficients=coefficients_at,
        posterior=lambda params, batch: own_posterior(params, batch.tasks),
        own_posterior=own_posterior,
        told=lambda params, tasks: params._replace(table=known.told(params.table, tasks)),
        update=update,
        portable=lambda params: portable.of_mlp(params.policy),
    )


def actor_critic(networks: Networks | DiscreteNetworks) -> ActorCritic:
    """What suits the actions that the networks are for."""
    if isinstance(networks, DiscreteNetworks):
        return discrete_sac.make(networks)

    def act(params, obs, z, noise):
        mean, log_std = networks.policy(params.policy, obs, z)
        return jnp.tanh(mean) if noise is None else squash(mean, log_std, noise)[0]

    return ActorCritic(
        name="pearl_sac",
        networks=networks,
        start=lambda params: params._replace(target_v=jax.tree.map(jnp.copy, params.v or params.q)),
        act=act,
        bellman_error=lambda q, params, t, z, c, noise: pearl_sac.bellman_error(
            networks, q, soft.target_of(params, noise), t, z, c
        ),
        improve=partial(pearl_sac.improve, networks),
    )


def _metrics(losses: Any, names: Sequence[str], coefficients: Any, params: Any) -> dict[str, Array]:
    metrics = metrics_of(losses, names, coefficients)
    if params.temperature:
        metrics["temperature"] = soft.tempered(params, coefficients).entropy_weight
    return metrics


def metrics_of(losses: Any, names: Sequence[str], coefficients: Any) -> dict[str, Array]:
    """An update's losses by name, the KL by that of its block."""
    metrics = losses._asdict()
    kl = metrics.pop("kl")
    metrics |= {f"kl {name}": kl[i] for i, name in enumerate(names)}
    found = {name: value for name, value in metrics.items() if value is not None}
    return {**found, "kl_weight": coefficients.kl_weight}
