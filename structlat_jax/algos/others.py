"""The algorithms beside PEARL, each with the inference that it acts by."""

import dataclasses
from typing import NamedTuple

from structlat_jax.algos import belief_sac, maml, pearl, rl2, told_sac, varibad
from structlat_jax.algos.base import Algorithm
from structlat_jax.algos.schedules import coefficients_at
from structlat_jax.inference import belief, informed, recurrent
from structlat_jax.inference.base import Inference
from structlat_jax.latents import block_names
from structlat_jax.nets.networks import SMALL_HEADS, make_networks
from structlat_jax.parts import Parts


class Made(NamedTuple):
    """What a run of an algorithm consists of: its parts, with networks as wide as it needs them,
    and the records."""

    parts: Parts
    algorithm: Algorithm
    inference: Inference


def make(parts: Parts) -> Made:
    """The algorithm that the configuration names, which is another than ``pearl``."""
    return _MAKERS[parts.structure.algorithm](parts)


def _with_networks(parts: Parts, given: int) -> Parts:
    env = parts.env
    sizes = (env.obs_dim, env.action_dim, given, parts.space.stat_dim)
    networks = make_networks(parts.structure, *sizes, env.discrete)
    return dataclasses.replace(parts, networks=networks)


def _on_belief(parts: Parts) -> Made:
    space, next_obs = parts.space, parts.structure.next_obs_in_context
    given, names = belief.width(space), block_names(space)
    parts = _with_networks(parts, given)
    networks = parts.networks

    def update(params, moments, batch, c):
        params, moments, losses = belief_sac.update(
            networks, space, next_obs, params, moments, batch, c
        )
        return params, moments, pearl.metrics_of(losses, names, c)

    usual = pearl.make(networks, space)
    changes = {"name": "pearl-belief", "posterior": None, "update": update, "given": given}
    # Workers go through an episode with one z, and know of no belief.
    algorithm = dataclasses.replace(usual, **changes, portable=None)
    return Made(parts, algorithm, belief.make(networks, space, next_obs))


def _told(parts: Parts) -> Made:
    env, given = parts.env, informed.width(parts.env)
    parts = _with_networks(parts, given)
    actor, tasks = pearl.actor_critic(parts.networks), parts.structure.train_tasks

    def update(params, moments, batch, c):
        params, moments, losses = told_sac.update(actor, params, moments, batch, c)
        return params, moments, pearl.metrics_of(losses, (), c)

    algorithm = Algorithm(
        name="oracle",
        zeros=lambda: told_sac.zeros(actor.networks, env, tasks),
        small_heads=SMALL_HEADS,
        start=actor.start,
        moments=told_sac.init_optimisers,
        act=actor.act,
        coefficients=coefficients_at,
        posterior=None,
        own_posterior=None,
        told=lambda params, own: told_sac.told(params, env, own),
        update=update,
        given=given,
    )
    return Made(parts, algorithm, informed.make(env, parts.space))


_MAKERS = {
    "pearl-belief": _on_belief,
    "oracle": _told,
    "rl2": lambda parts: Made(parts, rl2.make(parts), recurrent.make(parts, of_z=False)),
    "varibad": lambda parts: Made(parts, varibad.make(parts), recurrent.make(parts, of_z=True)),
    "maml": lambda parts: Made(parts, *maml.make(parts)),
}
