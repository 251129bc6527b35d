"""A gated recurrent unit, as pure functions of its parameters."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from structlat_jax.shapes import Params


def zeros(inputs: int, width: int) -> Params:
    """Parameters that are all zero, for `init.initialise`; they are drawn as heads are, since a
    state that grew at every step would forget where it started."""
    return {
        name: {"kernel_head": jnp.zeros((n, 3 * width)), "bias_head": jnp.zeros((3 * width,))}
        for name, n in (("input", inputs), ("state", width))
    }


def advance(
    params: Params, state: Float[ArrayLike, "*batch n"], x: Float[ArrayLike, "*batch inputs"]
) -> Float[Array, "*batch n"]:
    """The next state (Cho et al. 2014, with the reset behind the product, as cuDNN has it).

    ``r, u = sigmoid(W x + V h + b)``, ``c = tanh(W_c x + r * (V_c h + b_c))``,
    ``h' = u * h + (1 - u) * c``.
    """
    return _gated(params, state, _linear(params["input"], x))


def states(
    params: Params,
    start: Float[ArrayLike, "*batch n"],
    x: Float[ArrayLike, "*batch L inputs"],
    valid: Bool[ArrayLike, "*batch L"],
) -> Float[Array, "*batch L+1 n"]:
    """The states before each step and after the last, ``[..., L + 1, n]``; steps that are not
    ``valid`` change nothing."""
    given = jnp.moveaxis(_linear(params["input"], x), -2, 0)  # all steps' products at once
    counts = jnp.moveaxis(valid, -1, 0)[..., None]

    def body(state, inputs):
        one, count = inputs
        state = jnp.where(count, _gated(params, state, one), state)
        return state, state

    later = jax.lax.scan(body, start, (given, counts))[1]
    return jnp.moveaxis(jnp.concatenate([start[None], later]), 0, -2)


def _linear(params: Params, x: Array) -> Array:
    return x @ params["kernel_head"] + params["bias_head"]


def _gated(params: Params, state: Array, given: Array) -> Array:
    reset, keep, fresh = jnp.split(given, 3, axis=-1)
    own = jnp.split(_linear(params["state"], state), 3, axis=-1)
    keep = jax.nn.sigmoid(keep + own[1])
    fresh = jnp.tanh(fresh + jax.nn.sigmoid(reset + own[0]) * own[2])
    return keep * state + (1.0 - keep) * fresh
