"""Initial values of all networks, drawn at once."""

from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

SMALL_HEAD_GAIN = 0.1  # first actions are near zero mean, whatever z is; so are imagined steps


def initialise(
    key: PRNGKeyArray, zeros: Any, scheme: str, small_heads: Collection[str] = ()
) -> Any:
    """Fresh parameters in place of zeros.

    Args:
      key: For all of them: a draw per layer would triple the compile time.
      zeros: A tree of networks' parameters, as `MLP` makes them.
      scheme: ``he`` (He et al. 2015, with small heads where asked for) or ``pearl`` (the public
        code's: a bound of the fan-out, tiny heads).
      small_heads: Names on a path of the tree below which heads start small.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(zeros)
    sizes = [leaf.size for _, leaf in leaves]
    draw = jax.random.normal if scheme == "he" else _uniform
    parts = jnp.split(draw(key, (sum(sizes),)), np.cumsum(sizes)[:-1])
    filled = [
        _initial(_names(path), leaf, part.reshape(leaf.shape), scheme, small_heads)
        for (path, leaf), part in zip(leaves, parts, strict=True)
    ]
    return jax.tree_util.tree_unflatten(tree, filled)


def _uniform(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)


def _names(path: tuple) -> list[str]:
    return [str(getattr(one, "name", getattr(one, "key", one))) for one in path]


def _initial(
    names: list[str],
    leaf: Float[ArrayLike, "*shape"],
    draw: Float[Array, "*shape"],
    scheme: str,
    small_heads: Collection[str],
) -> Float[Array, "*shape"]:
    """The initial value of one parameter, from the names on its path and a standard draw."""
    name = names[-1]
    if name in ("scale", "seen_square"):  # of a LayerNorm, and of observations
        return jnp.ones_like(leaf)
    if not name.startswith("kernel"):
        hidden_bias = name.startswith("bias_") and name != "bias_head"
        return jnp.full_like(leaf, 0.1 if scheme == "pearl" and hidden_bias else 0.0)
    fan_in, fan_out = leaf.shape[-2:]
    is_head = name == "kernel_head"
    if scheme == "pearl":
        return draw * (3e-3 if is_head else fan_out**-0.5)
    head_gain = SMALL_HEAD_GAIN if any(one in names for one in small_heads) else 1.0
    return draw * (head_gain * fan_in**-0.5 if is_head else (2.0 / fan_in) ** 0.5)
