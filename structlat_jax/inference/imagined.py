"""Episodes that a model imagines."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float

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
