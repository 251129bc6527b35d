"""Soft actor-critic on many tasks that is told which one it is in: the ceiling of any inference.

PEARL's critics, value and policy, with a task's ground truth in the place of z.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from structlat_jax.algos import pearl_sac
from structlat_jax.algos.base import ActorCritic
from structlat_jax.algos.pearl_sac import Coefficients, Losses
from structlat_jax.data.batches import Batch
from structlat_jax.envs import AnyEnv
from structlat_jax.inference import informed
from structlat_jax.nets import optim
from structlat_jax.nets.networks import DiscreteNetworks, Networks
from structlat_jax.shapes import Params, Task


class ToldParams(NamedTuple):
    """Parameters.

    Attributes:
      q, v, target_v, policy: As in `AgentParams`.
      truth: ``tasks``, the ground truth of training tasks ``[T, n]`` in its ``units``; no gradient
        changes them.
    """

    q: Params
    v: Params
    target_v: Params
    policy: Params
    truth: Any


class ToldOptimisers(NamedTuple):
    """Adam's moments, one state per loss."""

    q: optax.OptState
    v: optax.OptState
    policy: optax.OptState


def zeros(networks: Networks | DiscreteNetworks, env: AnyEnv, tasks: int) -> ToldParams:
    """Parameters that are all zero, for `init.initialise`."""
    every, wide = networks.zeros(), informed.width(env)
    blank = jnp.zeros((wide,))
    truth = {"tasks": jnp.zeros((tasks, wide)), "units": (blank, blank)}
    return ToldParams(every.q, every.v, every.target_v, every.policy, truth)


def told(params: ToldParams, env: AnyEnv, tasks: Task) -> ToldParams:
    """The parameters of who was told of training tasks ``[T]``."""
    truth = informed.truth_of(env, tasks)
    units = informed.units(truth)
    own = {"tasks": informed.scaled(truth, units), "units": tuple(units)}
    return params._replace(truth=own)


def init_optimisers(params: ToldParams) -> ToldOptimisers:
    """Fresh Adam states."""
    return ToldOptimisers(*(optim.init(getattr(params, x)) for x in ToldOptimisers._fields))


def update(
    actor: ActorCritic,
    params: ToldParams,
    optimisers: ToldOptimisers,
    batch: Batch,
    c: Coefficients,
) -> tuple[ToldParams, ToldOptimisers, Losses]:
    """One update: critics, value, target, policy."""
    z = params.truth["tasks"][batch.tasks]

    def loss(q):
        error, q_tm1 = actor.bellman_error(q, params, batch.transitions, z, c, batch.next_noise)
        return jnp.sum(jnp.mean(error**2, axis=(1, 2))), jnp.mean(q_tm1)

    (bellman, q_mean), grad = jax.value_and_grad(loss, has_aux=True)(params.q)
    q, opt_q = optim.adam(params.q, grad, optimisers.q, c.lr)
    made = actor.improve(params, q, optimisers, batch, z, c)
    losses = pearl_sac.losses_of(made, bellman, jnp.zeros(()), q_mean)
    new_params = params._replace(q=q, v=made.v, target_v=made.target_v, policy=made.policy)
    return new_params, ToldOptimisers(opt_q, made.opt_v, made.opt_policy), losses
