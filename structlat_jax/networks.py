"""Networks: one MLP, used as encoder, twin critics, value and tanh-Gaussian policy."""

import dataclasses
from typing import NamedTuple

import distrax
import flax.linen as nn
import jax
import jax.numpy as jnp

from structlat_jax.config import Structure
from structlat_jax.types import Array, Key, Params

LOG_STD_RANGE = (-20.0, 2.0)


def _pearl_hidden(key, shape, dtype=jnp.float32):
    """PEARL's hidden initialisation: uniform with bound 1/sqrt(fan_out); for ablations."""
    bound = shape[-1] ** -0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def _pearl_head(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -3e-3, 3e-3)


class MLP(nn.Module):
    """ReLU layers and a linear head, conditioned on a latent.

    The first layer multiplies ``x`` and ``z`` by their own rows of one kernel, so that a ``z``
    shared by many transitions is multiplied once and broadcast afterwards.

    Attributes:
      width: Hidden width.
      depth: Hidden layers.
      out: Output width.
      norm: LayerNorm before each ReLU.
      scheme: ``he`` (He et al. 2015) or ``pearl``.
      head_scale: Multiplies the standard deviation of the head's initial weights.
    """

    width: int
    depth: int
    out: int
    norm: bool = False
    scheme: str = "he"
    head_scale: float = 1.0

    @nn.compact
    def __call__(self, x: Array, z: Array | None = None) -> Array:
        """``x [..., n]`` and ``z`` of any shape that broadcasts against it, but for the last axis,
        to ``[..., out]``."""
        he = self.scheme == "he"
        hidden = nn.initializers.he_normal() if he else _pearl_hidden
        head = nn.initializers.variance_scaling(self.head_scale**2, "fan_in", "truncated_normal")
        bias = nn.initializers.zeros_init() if he else nn.initializers.constant(0.1)
        n = x.shape[-1]
        fan_in = n if z is None else n + z.shape[-1]
        for layer in range(self.depth):
            kernel = self.param(f"kernel_{layer}", hidden, (fan_in, self.width))
            offset = self.param(f"bias_{layer}", bias, (self.width,))
            if layer == 0 and z is not None:
                x = x @ kernel[:n] + (z @ kernel[n:] + offset)
            else:
                x = x @ kernel + offset
            if self.norm:
                x = nn.LayerNorm(name=f"norm_{layer}")(x)
            x = nn.relu(x)
            fan_in = self.width
        kernel = self.param("kernel_head", head if he else _pearl_head, (fan_in, self.out))
        zeros = nn.initializers.zeros_init()
        return x @ kernel + self.param("bias_head", zeros, (self.out,))


class AgentParams(NamedTuple):
    """Parameters of all networks; ``q`` has a leading axis of 2, the twin critics."""

    encoder: Params
    q: Params
    v: Params
    target_v: Params
    policy: Params


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks as pure functions of `AgentParams`' members.

    Attributes:
      encoder, q_single, v_net, policy_net: The flax modules.
      widths: (context features, observation, action, latent).
    """

    encoder: MLP
    q_single: MLP
    v_net: MLP
    policy_net: MLP
    widths: tuple[int, int, int, int]

    def init(self, key: Key) -> AgentParams:
        """Fresh parameters; the target value network starts as a copy of the value network."""
        features, obs, action, latent = self.widths
        key_encoder, key_q, key_v, key_policy = jax.random.split(key, 4)
        z = jnp.zeros((latent,))
        v = self.v_net.init(key_v, jnp.zeros((obs,)), z)
        init_q = lambda k: self.q_single.init(k, jnp.zeros((obs + action,)), z)  # noqa: E731
        return AgentParams(
            encoder=self.encoder.init(key_encoder, jnp.zeros((features,))),
            q=jax.vmap(init_q)(jax.random.split(key_q)),
            v=v,
            target_v=jax.tree.map(jnp.copy, v),
            policy=self.policy_net.init(key_policy, jnp.zeros((obs,)), z),
        )

    def encode(self, params: Params, features: Array) -> Array:
        """``[..., features]`` to raw statistics ``[..., stat_dim]``."""
        return self.encoder.apply(params, features)

    def q(self, params: Params, obs: Array, action: Array, z: Array) -> Array:
        """Both critics, ``[2, ...]``."""
        x = jnp.concatenate([obs, action], axis=-1)
        return jax.vmap(lambda p: self.q_single.apply(p, x, z)[..., 0])(params)

    def v(self, params: Params, obs: Array, z: Array) -> Array:
        """State value, ``[...]``."""
        return self.v_net.apply(params, obs, z)[..., 0]

    def policy(self, params: Params, obs: Array, z: Array) -> tuple[Array, Array]:
        """Mean and log standard deviation before tanh, each ``[..., action_dim]``."""
        mean, log_std = jnp.split(self.policy_net.apply(params, obs, z), 2, axis=-1)
        return mean, jnp.clip(log_std, *LOG_STD_RANGE)


def make_networks(
    structure: Structure, obs_dim: int, action_dim: int, latent: int, stat: int
) -> Networks:
    """The networks for a structure.

    Args:
      structure: Widths, depths and initialisation.
      obs_dim, action_dim: Of the environment.
      latent: Width of z.
      stat: Width of the encoder's output.
    """
    s = structure
    features = obs_dim + action_dim + 1 + (obs_dim if s.next_obs_in_context else 0)
    return Networks(
        encoder=MLP(s.encoder_width, s.encoder_depth, stat, s.encoder_norm, s.init),
        q_single=MLP(s.width, s.depth, 1, scheme=s.init),
        v_net=MLP(s.width, s.depth, 1, scheme=s.init),
        policy_net=MLP(s.width, s.depth, 2 * action_dim, scheme=s.init, head_scale=0.1),
        widths=(features, obs_dim, action_dim, latent),
    )


def squash(mean: Array, log_std: Array, noise: Array) -> tuple[Array, Array]:
    """A reparameterised tanh-Gaussian action and its log-density.

    Args:
      mean, log_std: ``[..., action_dim]``.
      noise: Standard normal, ``[..., action_dim]``.

    Returns:
      action ``[..., action_dim]`` in (-1, 1) and log-density in nats ``[...]``, with PEARL's 1e-6
      inside the logarithm of the Jacobian (Haarnoja et al. 2018, appendix C).
    """
    std = jnp.exp(log_std)
    before = mean + std * noise
    action = jnp.tanh(before)
    log_density = distrax.Normal(mean, std).log_prob(before)
    return action, jnp.sum(log_density - jnp.log(1.0 - action**2 + 1e-6), axis=-1)
