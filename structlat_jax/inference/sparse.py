"""The density of rewards that are mostly exactly zero: nothing at all, or a normal."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

LOG_STD_RANGE = (-3.0, 1.0)
"""Of what a network says of a deviation: a sharper density than e^-3 would trust it too far."""


def log_normal(
    apart: Float[ArrayLike, "..."], log_std: Float[ArrayLike, "..."]
) -> Float[Array, "..."]:
    """Log-density of a normal in nats at what is ``apart`` from its mean, up to the constant
    ``log(2 pi) / 2``; all broadcast."""
    return -0.5 * (apart * jnp.exp(-log_std)) ** 2 - log_std


def log_density(
    reward: Float[ArrayLike, "..."],
    logit: Float[ArrayLike, "..."],
    log_value: Float[ArrayLike, "..."],
) -> Float[Array, "..."]:
    """Of a reward that is other than zero with a probability; all broadcast.

    Args:
      reward: ``[...]``.
      logit: Of its being other than zero.
      log_value: Log-density of its value where it is, in nats.

    Returns:
      Nats, ``[...]``.
    """
    paid = jax.nn.log_sigmoid(logit) + log_value
    return jnp.where(reward != 0, paid, jax.nn.log_sigmoid(-logit))
