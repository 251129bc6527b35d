"""The agent's networks: an encoder, twin critics, and a policy.

Where actions are numbers the policy is a tanh-Gaussian, and a value network stands beside the
critics; where they are choices, critics and policy say something of each choice at once.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from structlat_jax.nets.heads import LOG_STD_RANGE
from structlat_jax.nets.mlp import MLP, SEEN
from structlat_jax.nets.options import NetworkOptions
from structlat_jax.shapes import Params, make_key

_RATE = 0.01  # of the running moments of observations, per update

SMALL_HEADS = ("policy",)
"""Networks whose heads start small; see `init.initialise`."""


class AgentParams(NamedTuple):
    """Parameters of all networks.

    Attributes:
      encoder: Of the encoder.
      q: Of the twin critics, with a leading axis of 2.
      v: Of the value network; empty where actions are choices, whose mean value needs none, and
        where the critics' targets do without it.
      target_v: What the critics' targets are computed from: a slow copy of ``v``, or of ``q`` where
        there is none.
      policy: Of the policy.
      temperature: The logarithm of what the entropy's weight is multiplied by; empty where that is
        not learned.
    """

    encoder: Params
    q: Params
    v: Params
    target_v: Params
    policy: Params
    temperature: Params = ()


@dataclasses.dataclass(frozen=True)
class Encoding:
    """The encoder, which all agents have, as a pure function of its parameters.

    Attributes:
      encoder: The flax module.
      widths: (context features, observation, action, latent).
    """

    encoder: MLP
    widths: tuple[int, int, int, int]

    def encode(
        self, params: Params, features: Float[ArrayLike, "*batch {self.widths[0]}"]
    ) -> Float[Array, "*batch {self.encoder.out}"]:
        """``[..., features]`` to raw statistics ``[..., stat_dim]``."""
        return self.encoder.apply(params, features)


@dataclasses.dataclass(frozen=True)
class Networks(Encoding):
    """The networks for actions that are numbers, as pure functions of `AgentParams`' members.

    Attributes:
      q_single, v_net, policy_net: The flax modules.
    """

    q_single: MLP
    v_net: MLP
    policy_net: MLP

    def zeros(self) -> AgentParams:
        """Parameters that are all zero, for `init.initialise`."""
        features, obs, action, latent = self.widths
        key, z = make_key(0), jnp.zeros((latent,))  # the modules' own values are zeros
        v = self.v_net.init(key, jnp.zeros((obs,)), z)
        q = self.q_single.init(key, jnp.zeros((obs + action,)), z)
        return AgentParams(
            encoder=self.encoder.init(key, jnp.zeros((features,))),
            q=jax.tree.map(lambda x: jnp.stack([x, x]), q),
            v=v,
            target_v=v,
            policy=self.policy_net.init(key, jnp.zeros((obs,)), z),
        )

    def q(
        self,
        params: Params,
        obs: Float[ArrayLike, "*batch {self.widths[1]}"],
        action: Float[ArrayLike, "*batch {self.widths[2]}"],
        z: Float[ArrayLike, "... {self.widths[3]}"],
    ) -> Float[Array, "2 ..."]:
        """Both critics, ``[2, ...]``."""
        x = jnp.concatenate([obs, action], axis=-1)
        # Each critic has an input of its own, or its gradient would sum over two axes at once.
        twin = jnp.broadcast_to(x, (2, *x.shape))
        return jax.vmap(lambda p, own: self.q_single.apply(p, own, z)[..., 0])(params, twin)

    def v(
        self,
        params: Params,
        obs: Float[ArrayLike, "... {self.widths[1]}"],
        z: Float[ArrayLike, "... {self.widths[3]}"],
    ) -> Float[Array, "..."]:
        """State value, ``[...]``."""
        return self.v_net.apply(params, obs, z)[..., 0]

    def policy(
        self,
        params: Params,
        obs: Float[ArrayLike, "... {self.widths[1]}"],
        z: Float[ArrayLike, "... {self.widths[3]}"],
    ) -> tuple[Float[Array, "*batch {self.widths[2]}"], Float[Array, "*batch {self.widths[2]}"]]:
        """Mean and log standard deviation before tanh, each ``[..., action_dim]``."""
        mean, log_std = jnp.split(self.policy_net.apply(params, obs, z), 2, axis=-1)
        return mean, jnp.clip(log_std, *LOG_STD_RANGE)


@dataclasses.dataclass(frozen=True)
class DiscreteNetworks(Encoding):
    """The networks for actions that are choices, as pure functions of `AgentParams`' members.

    Attributes:
      q_single, policy_net: The flax modules; each says a number of every choice.
    """

    q_single: MLP
    policy_net: MLP

    def zeros(self) -> AgentParams:
        """Parameters that are all zero, for `init.initialise`."""
        features, obs, _, latent = self.widths
        key, z = make_key(0), jnp.zeros((latent,))
        one = self.q_single.init(key, jnp.zeros((obs,)), z)
        q = jax.tree.map(lambda x: jnp.stack([x, x]), one)
        return AgentParams(
            encoder=self.encoder.init(key, jnp.zeros((features,))),
            q=q,
            v={},
            target_v=q,
            policy=self.policy_net.init(key, jnp.zeros((obs,)), z),
        )

    def q(
        self,
        params: Params,
        obs: Float[ArrayLike, "*batch {self.widths[1]}"],
        z: Float[ArrayLike, "... {self.widths[3]}"],
    ) -> Float[Array, "2 *batch {self.widths[2]}"]:
        """Both critics of every choice, ``[2, ..., action_dim]``."""
        # Each critic has an input of its own, or its gradient would sum over two axes at once.
        twin = jnp.broadcast_to(obs, (2, *obs.shape))
        return jax.vmap(lambda p, own: self.q_single.apply(p, own, z))(params, twin)

    def policy(
        self,
        params: Params,
        obs: Float[ArrayLike, "... {self.widths[1]}"],
        z: Float[ArrayLike, "... {self.widths[3]}"],
    ) -> Float[Array, "*batch {self.widths[2]}"]:
        """Logits of the choices, ``[..., action_dim]``."""
        return self.policy_net.apply(params, obs, z)


def make_networks(
    options: NetworkOptions,
    obs_dim: int,
    action_dim: int,
    latent: int,
    stat: int,
    discrete: bool = False,
) -> Networks | DiscreteNetworks:
    """The agent's networks.

    Args:
      options: Widths and depths.
      obs_dim, action_dim: Of the environment.
      latent: Width of z.
      stat: Width of the encoder's output.
      discrete: Whether actions are choices.
    """
    s = options
    features = obs_dim + action_dim + 1 + (obs_dim if s.next_obs_in_context else 0)
    seen = obs_dim if s.obs_norm else 0
    at = (0, obs_dim + action_dim + 1) if s.next_obs_in_context else (0,)
    encoder = MLP(s.encoder_width, s.encoder_depth, stat, s.encoder_norm, seen=seen, seen_at=at)
    widths = (features, obs_dim, action_dim, latent)
    if discrete:
        q, policy = (MLP(s.width, s.depth, action_dim, seen=seen) for _ in range(2))
        return DiscreteNetworks(encoder, widths, q_single=q, policy_net=policy)
    return Networks(
        encoder,
        widths,
        q_single=MLP(s.width, s.depth, 1, seen=seen),
        v_net=MLP(s.width, s.depth, 1, seen=seen),
        policy_net=MLP(s.width, s.depth, 2 * action_dim, seen=seen),
    )


def track(
    networks: Networks | DiscreteNetworks, params: Any, obs: Float[ArrayLike, "T B obs_dim"]
) -> Any:
    """The parameters of all networks with the running moments of observations after one more batch
    of them; as they are where none of them has any.

    Args:
      networks: Static.
      params: Any tree of parameters.
      obs: ``[T, B, obs_dim]``.
    """
    if not networks.policy_net.seen:
        return params
    now = dict(zip(SEEN, (jnp.mean(obs, axis=(0, 1)), jnp.mean(obs**2, axis=(0, 1))), strict=True))

    def step(path: tuple, leaf: Array) -> Array:
        name = getattr(path[-1], "key", None)
        return leaf + _RATE * (now[name] - leaf) if name in now else leaf

    return jax.tree_util.tree_map_with_path(step, params)
