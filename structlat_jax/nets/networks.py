"""Networks: one MLP, used as encoder, twin critics, value and tanh-Gaussian policy."""

import dataclasses
from typing import NamedTuple

import distrax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.config import Structure
from structlat_jax.types import Array, Key, Params

LOG_STD_RANGE = (-20.0, 2.0)
SMALL_HEAD_GAIN = 0.1  # first actions are near zero mean, whatever z is; so are imagined steps


class MLP(nn.Module):
    """ReLU layers and a linear head, conditioned on a latent.

    The first layer multiplies ``x`` and ``z`` by their own rows of one kernel, so that a ``z``
    shared by many transitions is multiplied once and broadcast afterwards.

    Attributes:
      width: Hidden width.
      depth: Hidden layers.
      out: Output width.
      norm: LayerNorm before each ReLU.
      skip: A linear map of ``x`` beside the layers; not together with ``z``.

    Its own initial parameters are zeros; `Networks.init` draws those of all networks at once.
    """

    width: int
    depth: int
    out: int
    norm: bool = False
    skip: bool = False

    @nn.compact
    def __call__(self, x: Array, z: Array | None = None) -> Array:
        """``x [..., n]`` and ``z`` of any shape that broadcasts against it, but for the last axis,
        to ``[..., out]``."""
        zeros = nn.initializers.zeros_init()
        *lead, n = x.shape
        fan_in = n if z is None else n + z.shape[-1]
        # Transitions in the last axis, all of them: the gradient of a kernel then contracts two
        # rows of memory, which a CPU does at twice the speed of two columns.
        x = given = jax.lax.optimization_barrier(x.reshape(-1, n).T)
        for layer in range(self.depth):
            kernel = self.param(f"kernel_{layer}", zeros, (fan_in, self.width))
            offset = self.param(f"bias_{layer}", zeros, (self.width,))
            if layer == 0 and z is not None:
                own, shared = kernel[:n].T @ x, z @ kernel[n:] + offset
                missing = (1,) * (len(lead) + 1 - shared.ndim)
                shared = jnp.moveaxis(shared.reshape(*missing, *shared.shape), -1, 0)
                missing = (1,) * (shared.ndim - 1 - len(lead))
                x = own.reshape(self.width, *missing, *lead) + shared
                _, *lead = x.shape
                x = x.reshape(self.width, -1)
            else:
                x = kernel.T @ x + offset[:, None]
            if self.norm:
                x = nn.LayerNorm(name=f"norm_{layer}", reduction_axes=0, feature_axes=0)(x)
            x = nn.relu(x)
            fan_in = self.width
        kernel = self.param("kernel_head", zeros, (fan_in, self.out))
        x = kernel.T @ x + self.param("bias_head", zeros, (self.out,))[:, None]
        if self.skip:
            x = x + self.param("linear", zeros, (n, self.out)).T @ given
        return jax.lax.optimization_barrier(x).T.reshape(*lead, self.out)


class AgentParams(NamedTuple):
    """Parameters of all networks; ``q`` has a leading axis of 2, the twin critics; ``world`` holds
    ``dynamics`` and ``reward``, and is empty where nothing needs a world model."""

    encoder: Params
    q: Params
    v: Params
    target_v: Params
    policy: Params
    world: Params


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks as pure functions of `AgentParams`' members.

    Attributes:
      encoder, q_single, v_net, policy_net: The flax modules.
      dynamics_net, reward_net: The flax modules of the world model, or None.
      widths: (context features, observation, action, latent).
      scheme: Initialisation: ``he`` (He et al. 2015, with a small policy head) or ``pearl``.
    """

    encoder: MLP
    q_single: MLP
    v_net: MLP
    policy_net: MLP
    dynamics_net: MLP | None
    reward_net: MLP | None
    widths: tuple[int, int, int, int]
    scheme: str = "he"

    def init(self, key: Key) -> AgentParams:
        """Fresh parameters; the target value network starts as a copy of the value network."""
        zeros = self._zeros()
        leaves, tree = jax.tree_util.tree_flatten_with_path(zeros)
        sizes = [leaf.size for _, leaf in leaves]
        # One draw for all weights, cut into layers: a draw per layer triples the compile time.
        draw = jax.random.normal if self.scheme == "he" else _uniform
        parts = jnp.split(draw(key, (sum(sizes),)), np.cumsum(sizes)[:-1])
        filled = [
            _initial(path, leaf, part.reshape(leaf.shape), self.scheme)
            for (path, leaf), part in zip(leaves, parts, strict=True)
        ]
        params = jax.tree_util.tree_unflatten(tree, filled)
        return params._replace(target_v=jax.tree.map(jnp.copy, params.v))

    def _zeros(self) -> AgentParams:
        features, obs, action, latent = self.widths
        key, z = jax.random.key(0), jnp.zeros((latent,))  # the modules' own values are zeros
        v = self.v_net.init(key, jnp.zeros((obs,)), z)
        pair = jnp.zeros((obs + action,))
        q = self.q_single.init(key, pair, z)
        return AgentParams(
            encoder=self.encoder.init(key, jnp.zeros((features,))),
            q=jax.tree.map(lambda x: jnp.stack([x, x]), q),
            v=v,
            target_v=v,
            policy=self.policy_net.init(key, jnp.zeros((obs,)), z),
            world=self._world_zeros(key, pair) if self.reward_net else {},
        )

    def _world_zeros(self, key: Key, pair: Array) -> Params:
        nets = {"dynamics": self.dynamics_net, "reward": self.reward_net}
        return {name: net.init(key, pair) for name, net in nets.items()}

    def encode(self, params: Params, features: Array) -> Array:
        """``[..., features]`` to raw statistics ``[..., stat_dim]``."""
        return self.encoder.apply(params, features)

    def q(self, params: Params, obs: Array, action: Array, z: Array) -> Array:
        """Both critics, ``[2, ...]``."""
        x = jnp.concatenate([obs, action], axis=-1)
        # Each critic has an input of its own, or its gradient would sum over two axes at once.
        twin = jnp.broadcast_to(x, (2, *x.shape))
        return jax.vmap(lambda p, own: self.q_single.apply(p, own, z)[..., 0])(params, twin)

    def next_obs(self, world: Params, obs: Array, action: Array) -> Array:
        """The next observation as the world model predicts it, ``[..., obs_dim]``."""
        x = jnp.concatenate([obs, action], axis=-1)
        return obs + self.dynamics_net.apply(world["dynamics"], x)

    def reward(
        self, world: Params, obs: Array, action: Array, outcome: Array
    ) -> tuple[Array, Array, Array]:
        """The task's own reward as the world model predicts it: the logit of its being other than
        zero, and its mean and log standard deviation where it is, each ``[...]``; see
        `world_model.reward_log_density`."""
        ahead = outcome - obs
        action = jnp.broadcast_to(action, (*ahead.shape[:-1], action.shape[-1]))
        out = self.reward_net.apply(world["reward"], jnp.concatenate([action, ahead], axis=-1))
        return out[..., 0], out[..., 1], out[..., 2]

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
    imagines = s.inference == "hypotheses"
    features = obs_dim + action_dim + 1 + (obs_dim if s.next_obs_in_context else 0)
    return Networks(
        encoder=MLP(s.encoder_width, s.encoder_depth, stat, s.encoder_norm),
        q_single=MLP(s.width, s.depth, 1),
        v_net=MLP(s.width, s.depth, 1),
        policy_net=MLP(s.width, s.depth, 2 * action_dim),
        dynamics_net=MLP(s.world_width, 1, obs_dim, skip=True) if imagines else None,
        reward_net=MLP(s.world_width, 2, 3) if imagines else None,
        widths=(features, obs_dim, action_dim, latent),
        scheme=s.init,
    )


def _uniform(key, shape):
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)


def _initial(path: tuple, leaf: Array, draw: Array, scheme: str) -> Array:
    """The initial value of one parameter, from its place in `AgentParams` and a standard draw."""
    network, name = path[0].name, path[-1].key
    if name == "scale":  # of a LayerNorm
        return jnp.ones_like(leaf)
    if not name.startswith("kernel"):
        hidden_bias = name.startswith("bias_") and name != "bias_head"
        return jnp.full_like(leaf, 0.1 if scheme == "pearl" and hidden_bias else 0.0)
    fan_in, fan_out = leaf.shape[-2:]
    is_head = name == "kernel_head"
    if scheme == "pearl":  # the public code's bound is of the fan-out, and its heads are tiny
        return draw * (3e-3 if is_head else fan_out**-0.5)
    is_small = network == "policy" or (network == "world" and path[1].key == "dynamics")
    head_gain = SMALL_HEAD_GAIN if is_small else 1.0
    return draw * (head_gain * fan_in**-0.5 if is_head else (2.0 / fan_in) ** 0.5)


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
