"""A normal policy squashed by the hyperbolic tangent, and the value of who learns on policy."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from structlat_jax.nets.heads import LOG_STD_RANGE
from structlat_jax.nets.mlp import MLP
from structlat_jax.shapes import Params, make_key


class Targets(NamedTuple):
    """Running mean and spread of returns, the units of the value network."""

    mean: Float[Array, ""]
    spread: Float[Array, ""]


@dataclasses.dataclass(frozen=True)
class Actor:
    """The policy and its value as pure functions.

    Attributes:
      policy_net, value_net: The flax modules.
      widths: (observation, what is given beside it).
    """

    policy_net: MLP
    value_net: MLP
    widths: tuple[int, int]

    def zeros(self) -> dict[str, Params]:
        """``policy`` and ``v``, all zero, for `init.initialise`."""
        key = make_key(0)
        blank = [jnp.zeros((n,)) for n in self.widths]
        policy = self.policy_net.init(key, *blank)
        log_std = jnp.zeros(self.policy_net.out)
        return {
            "policy": {"net": policy, "log_std": log_std},
            "v": self.value_net.init(key, *blank),
        }

    def normal(self, policy: Params, obs: Array, given: Array) -> tuple[Array, Array]:
        """Mean ``[..., action_dim]`` and log standard deviation ``[action_dim]`` of what becomes an
        action by the tangent."""
        mean = self.policy_net.apply(policy["net"], obs, given)
        return mean, jnp.clip(policy["log_std"], *LOG_STD_RANGE)

    def act(self, policy: Params, obs: Array, given: Array, noise: Array | None) -> Array:
        """As `Algorithm.act`, of the policy's parameters alone."""
        mean, log_std = self.normal(policy, obs, given)
        return jnp.tanh(mean if noise is None else mean + jnp.exp(log_std) * noise)

    def value(self, v: Params, targets: Targets, obs: Array, given: Array) -> Array:
        """The value in reward units, ``[...]``."""
        return targets.mean + targets.spread * self.value_net.apply(v, obs, given)[..., 0]


def make_actor(width: int, depth: int, obs_dim: int, action_dim: int, given: int) -> Actor:
    """Networks of a width and depth."""
    return Actor(MLP(width, depth, action_dim), MLP(width, depth, 1), (obs_dim, given))


def initial_targets() -> Targets:
    """Before any return was seen."""
    return Targets(jnp.zeros(()), jnp.ones(()))


def log_density(drawn: Array, mean: Array, log_std: Array) -> Float[Array, "*batch"]:
    """Of normal draws ``[..., action_dim]``, ``[...]`` in nats, up to a constant."""
    return -jnp.sum(0.5 * ((drawn - mean) / jnp.exp(log_std)) ** 2 + log_std, axis=-1)


def entropy_of(log_std: Array) -> Float[Array, ""]:
    """Of a normal with these deviations ``[action_dim]``, in nats."""
    return jnp.sum(log_std + 0.5 * jnp.log(2.0 * jnp.pi * jnp.e))
