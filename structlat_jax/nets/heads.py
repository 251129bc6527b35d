"""What the heads of networks stand for: the policy's tanh-Gaussian, or its choice."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

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


def choose(
    logits: Float[ArrayLike, "*batch action_dim"],
    noise: Float[ArrayLike, "*batch action_dim"] | None,
) -> Float[Array, "*batch action_dim"]:
    """A choice as a one-hot vector ``[..., action_dim]``: the likeliest, or a draw.

    Args:
      logits: ``[..., action_dim]``.
      noise: Standard Gumbel, ``[..., action_dim]`` (the largest of logits with such noise is a
        draw: Gumbel 1954); None for the likeliest.
    """
    noisy = logits if noise is None else logits + noise
    return jax.nn.one_hot(jnp.argmax(noisy, axis=-1), logits.shape[-1])


def acting_noise(
    key: PRNGKeyArray, shape: tuple[int, ...], discrete: bool
) -> Float[Array, "*shape"]:
    """What `squash` draws actions with, standard normal, or `choose`, standard Gumbel."""
    return jax.random.gumbel(key, shape) if discrete else jax.random.normal(key, shape)
