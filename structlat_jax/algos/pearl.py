"""PEARL's update as an `Algorithm`."""

import jax
import jax.numpy as jnp

from structlat_jax.algos import pearl_sac
from structlat_jax.algos.base import Algorithm
from structlat_jax.algos.schedules import coefficients_at
from structlat_jax.latents import LatentSpace, block_names
from structlat_jax.nets.heads import squash
from structlat_jax.nets.networks import SMALL_HEADS, Networks


def make(networks: Networks, space: LatentSpace) -> Algorithm:
    """The record of `pearl_sac`.

    Its metrics: the losses ``q``, ``v`` and ``policy``, ``q_mean`` (scaled reward units),
    ``entropy`` (nats), and per block ``kl BLOCK`` (nats).
    """
    names = block_names(space)

    def act(params, obs, z, noise):
        mean, log_std = networks.policy(params.policy, obs, z)
        return jnp.tanh(mean) if noise is None else squash(mean, log_std, noise)[0]

    def start(params):
        return params._replace(target_v=jax.tree.map(jnp.copy, params.v))

    def update(params, moments, batch, coefficients):
        params, moments, losses = pearl_sac.update(
            networks, space, params, moments, batch, coefficients
        )
        metrics = losses._asdict()
        kl = metrics.pop("kl")
        metrics |= {f"kl {name}": kl[i] for i, name in enumerate(names)}
        return params, moments, {**metrics, "kl_weight": coefficients.kl_weight}

    return Algorithm(
        name="pearl_sac",
        zeros=networks.zeros,
        small_heads=SMALL_HEADS,
        start=start,
        moments=pearl_sac.init_optimisers,
        act=act,
        coefficients=coefficients_at,
        update=update,
    )
