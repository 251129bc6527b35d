"""Shared types and the shape letters that every docstring uses.

Shape letters: ``S`` seeds, ``T`` tasks, ``N`` context transitions, ``B`` batch, ``E`` episodes,
``H`` horizon (steps in an episode), ``D`` the width of the latent ``z``, ``U`` updates per
meta-step. ``...`` stands for any leading axes, none included.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike, Bool, Float, Int, PRNGKeyArray, Shaped

Array = jax.Array
Key = PRNGKeyArray
"""A typed key from `jax.random.key`."""

KEY_IMPLEMENTATION = "threefry2x32"
"""By which every key of this package is made, whatever jax's default is set to: a seed names its
tasks, its parameters and its results on every machine."""


def make_key(seed: Any) -> Key:
    """The typed key of a seed, the same under every setting of ``jax_default_prng_impl``."""
    return jax.random.key(seed, impl=KEY_IMPLEMENTATION)


def keys_to_data(tree: Any) -> Any:
    """The same tree with typed random keys as the integers that they hold."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if _is_key(x) else x, tree)


def data_to_keys(tree: Any, like: Any) -> Any:
    """The inverse of `keys_to_data`, given a tree of the original types."""
    return jax.tree.map(lambda x, target: _key(x) if _is_key(target) else x, tree, like)


def _key(data: Any) -> Any:
    return jax.random.wrap_key_data(data, impl=KEY_IMPLEMENTATION)


def _is_key(x: Any) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


Params = Any
"""A pytree of network parameters."""

Task = Any
"""A pytree that describes one task (or, with a leading axis, many)."""


class Transition(NamedTuple):
    """One step of experience, or many along leading axes.

    Attributes:
      obs: Observation before the action, ``[..., obs_dim]``.
      action: Action in ``[-1, 1]``, or a choice as a one-hot vector, ``[..., action_dim]``.
      reward: The task's own reward, ``[...]``: what the encoder and the evaluation see.
      train_reward: The shaped reward of the actor-critic, ``[...]``; training only.
      next_obs: Observation after the action, ``[..., obs_dim]``.
      done: 1.0 where the episode ended for good (not by its time limit), ``[...]``.
    """

    obs: Float[Array, "*batch obs_dim"]
    action: Float[Array, "*batch action_dim"]
    reward: Float[Array, "*batch"]
    train_reward: Float[Array, "*batch"]
    next_obs: Float[Array, "*batch obs_dim"]
    done: Float[Array, "*batch"]


UNKNOWN = -1.0
"""Stands for a success that nobody can tell; a number, since NaN would stop whoever debugs them."""


class Episodes(NamedTuple):
    """Whole episodes.

    Attributes:
      transitions: ``[..., H]``, zero behind the end of an episode.
      length: Steps until it ended, an int32 ``[...]``, at least 1 and at most H.
      success: 1.0 where the environment's `Env.success` holds at a step, else 0.0, ``[...]``;
        `UNKNOWN` where the environment has none.
    """

    transitions: Transition
    length: Int[Array, "*batch"]
    success: Float[Array, "*batch"]


def within(length: Int[ArrayLike, "*batch"], horizon: int) -> Bool[Array, "*batch {horizon}"]:
    """Which of ``horizon`` steps belong to episodes of a length ``[...]``: bool ``[..., H]``."""
    return jnp.arange(horizon) < length[..., None]


def require_last_axis(name: str, x: Shaped[ArrayLike, "..."], size: int) -> None:
    """Raises `ValueError` with one plain sentence unless ``x`` is ``[..., size]``."""
    if x.ndim < 1 or x.shape[-1] != size:
        raise ValueError(f"{name} must have shape [..., {size}], but it has shape {x.shape}.")
