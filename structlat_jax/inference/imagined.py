"""Episodes that a model imagines."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

Act = Callable[[Array, Array], Array]
"""The policy's mode: ``(obs [..., obs_dim], z [..., D])`` to an action ``[..., action_dim]``."""


class Imagined(NamedTuple):
    """An episode of the policy's mode, as a model imagines it.

    Attributes:
      obs: Before each step, ``[..., H, obs_dim]``.
      action: ``[..., H, action_dim]``.
      destination: The last observation, after the last step, ``[..., obs_dim]``.
    """

    obs: Float[Array, "*batch H obs_dim"]
    action: Float[Array, "*batch H action_dim"]
    destination: Float[Array, "*batch obs_dim"]


def imagine(
    next_obs: Callable[[Array, Array, Array], Array],
    act: Act,
    obs: Float[ArrayLike, "... obs_dim"],
    z: Float[ArrayLike, "... D"],
    horizon: int,
) -> Imagined:
    """Imagines an episode per latent.

    Args:
      next_obs: ``(obs, action, z)`` to the next observation, ``[..., obs_dim]``.
      act: The policy.
      obs: First observation, of any shape that broadcasts against ``z`` but for the last axis.
      z: ``[..., D]``.
      horizon: Steps to imagine, H; static.
    """

    def advance(obs, _):
        action = act(obs, z)
        return next_obs(obs, action, z), (obs, action)

    start = jnp.broadcast_to(obs, (*z.shape[:-1], obs.shape[-1]))
    last, (obs, action) = jax.lax.scan(advance, start, length=horizon)
    return Imagined(jnp.moveaxis(obs, 0, -2), jnp.moveaxis(action, 0, -2), last)
