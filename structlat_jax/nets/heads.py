"""What the heads of networks stand for: the policy's tanh-Gaussian."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

LOG_STD_RANGE = (-20.0, 2.0)


def squash(
    mean: Float[ArrayLike, "*batch action_dim"],
    log_std: Float[ArrayLike, "*batch action_dim"],
    noise: Float[ArrayLike, "*batch action_dim"],
) -> tuple[Float[Array, "*batch action_dim"], Float[Array, "*batch"]]:
    """A reparameterised tanh-Gaussian action and its log-density.

    Args:
      mean, log_std: ``[..., action_dim]``.
      noise: Standard normal, ``[..., action_dim]``.

    Returns:
      action ``[..., action_dim]`` in (-1, 1) and log-density in nats ``[...]``, with PEARL's 1e-6
      inside the logarithm of the Jacobian (Haarnoja et al. 2018, appendix C).
    """
    import distrax  # which takes longer to import than all else that acting needs

    std = jnp.exp(log_std)
    before = mean + std * noise
    action = jnp.tanh(before)
    log_density = distrax.Normal(mean, std).log_prob(before)
    return action, jnp.sum(log_density - jnp.log(1.0 - action**2 + 1e-6), axis=-1)
