"""Adam with a traced step size, one state per network."""

import jax
import optax
from jaxtyping import ScalarLike

from structlat_jax.shapes import Params

# One long vector per network instead of dozens of small arrays: a third of the operations to
# compile and to launch.
_ADAM = optax.flatten(optax.scale_by_adam())


def init(params: Params) -> optax.OptState:
    """Fresh moments; ``()`` for a network that is not there (empty ``params``)."""
    return _ADAM.init(params) if params else ()


def adam(
    params: Params, grads: Params, state: optax.OptState, lr: ScalarLike
) -> tuple[Params, optax.OptState]:
    """One step of Adam (Kingma and Ba 2015) with step size ``lr``: new parameters, new moments."""
    direction, state = _ADAM.update(grads, state)
    return jax.tree.map(lambda p, d: p - lr * d, params, direction), state
