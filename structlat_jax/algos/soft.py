"""Soft actor-critic's later forms, for who does without the value network of PEARL's: critics with
slow copies of themselves for targets (Fujimoto et al. 2018), and a temperature that is learned
(Haarnoja et al. 2018, "Soft actor-critic algorithms and applications").

What an algorithm does without is empty among its parameters, which is how these tell.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, ScalarLike

from structlat_jax.algos.options import AlgorithmOptions
from structlat_jax.data.batches import Batch
from structlat_jax.nets import optim
from structlat_jax.nets.heads import squash
from structlat_jax.nets.networks import DiscreteNetworks, Networks
from structlat_jax.shapes import Params


class Twin(NamedTuple):
    """What critics without a value network are trained towards.

    Attributes:
      q: Parameters of their slow copies.
      policy: The policy's.
      noise: Standard normal, of the actions that it takes next, ``[T, B, action_dim]``.
    """

    q: Params
    policy: Params
    noise: Float[ArrayLike, "T B action_dim"]


def zeros(networks: Networks | DiscreteNetworks, options: AlgorithmOptions) -> Any:
    """The parameters that the options ask for, all zero."""
    own = networks.zeros()
    if options.targets == "twin":
        own = own._replace(v={}, target_v=own.q)
    if options.entropy_control == "learned":
        own = own._replace(temperature={"log_factor": jnp.zeros(())})
    return own


def target_of(params: Any, noise: ArrayLike | None) -> Params | Twin:
    """What the critics of some parameters are trained towards."""
    return params.target_v if params.v else Twin(params.target_v, params.policy, noise)


def next_value(
    networks: Networks,
    target: Params | Twin,
    next_obs: Float[ArrayLike, "T B obs_dim"],
    z: Float[ArrayLike, "T D"],
    entropy_weight: ScalarLike,
) -> Float[Array, "T B"]:
    """The value of what comes next: ``V(s', z)``, or ``min_i Q_i(s', a', z) - entropy_weight * log
    pi(a')`` by the slow copies, with a' drawn from the policy."""
    own = jax.lax.stop_gradient(z)[:, None]
    if not isinstance(target, Twin):
        return networks.v(target, next_obs, own)
    mean, log_std = networks.policy(target.policy, next_obs, own)
    action, log_pi = squash(mean, log_std, target.noise)
    return jnp.min(networks.q(target.q, next_obs, action, own), axis=0) - entropy_weight * log_pi


def tempered(params: Any, c: Any) -> Any:
    """The coefficients with the entropy's weight times the learned factor, if there is one."""
    if not params.temperature:
        return c
    return c._replace(entropy_weight=c.entropy_weight * jnp.exp(params.temperature["log_factor"]))


def cool(
    params: Any, moments: Any, entropy: ScalarLike, batch: Batch, c: Any
) -> tuple[Params, optax.OptState]:
    """One step of the temperature: down while the policy has more entropy than it is to have.

    Args:
      params, moments: With the parameter and Adam's moments of it; both empty if it is not learned.
      entropy: Of the policy, in nats.
      batch: For the width of an action.
      c: Coefficients; ``entropy_target`` is per number of an action.

    Returns:
      The parameter and its moments after it.
    """
    if not params.temperature:
        return params.temperature, moments.temperature
    width = batch.transitions.action.shape[-1]
    slope = jax.lax.stop_gradient(entropy) - width * c.entropy_target
    return optim.adam(params.temperature, {"log_factor": slope}, moments.temperature, c.lr)
