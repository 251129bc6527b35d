"""One multi-layer perceptron, which all networks are."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

SEEN = ("seen_mean", "seen_square")
"""Parameters of observations: their running mean, and that of their squares, which starts at 1."""

_LEAST = 1e-3  # of a deviation: what never varies has none


def spread_of(mean: ArrayLike, square: ArrayLike) -> Array:
    """The deviation of observations from the means of them and of their squares, ``[n]``."""
    return jnp.sqrt(jnp.maximum(square - mean**2, _LEAST**2))


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
      seen: Width of the observations in ``x`` that are shown less their mean and over their
        deviation, which are parameters that no gradient changes (see `networks.track`); 0 for none.
      seen_at: Where in ``x`` such observations begin.

    Its own initial parameters are zeros; `init.initialise` draws those of all networks at once.
    """

    width: int
    depth: int
    out: int
    norm: bool = False
    skip: bool = False
    seen: int = 0
    seen_at: tuple[int, ...] = (0,)

    @nn.compact
    def __call__(
        self, x: Float[ArrayLike, "... n"], z: Float[ArrayLike, "... latent"] | None = None
    ) -> Float[Array, "... {self.out}"]:
        """``x [..., n]`` and ``z`` of any shape that broadcasts against it, but for the last axis,
        to ``[..., out]``."""
        zeros = nn.initializers.zeros_init()
        *lead, n = x.shape
        if self.seen:
            x = self._standard(x)
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

    def _standard(self, x: Float[ArrayLike, "... n"]) -> Float[Array, "... n"]:
        """The input with its observations in units of their spread."""
        zeros = nn.initializers.zeros_init()
        mean, square = (
            jax.lax.stop_gradient(self.param(name, zeros, (self.seen,))) for name in SEEN
        )
        spread = spread_of(mean, square)
        x = jnp.asarray(x)
        for at in self.seen_at:
            part = slice(at, at + self.seen)
            x = x.at[..., part].set((x[..., part] - mean) / spread)
        return x
