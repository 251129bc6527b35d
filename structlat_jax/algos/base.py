"""What an algorithm is: how it acts on z, and how it learns from batches."""

import dataclasses
from collections.abc import Callable
from typing import Any

from structlat_jax.config import Hyper
from structlat_jax.data.batches import Batch
from structlat_jax.shapes import Array, Params, Task


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """A record of pure functions.

    Attributes:
      name: For tables.
      zeros: Parameters that are all zero, for `init.initialise`.
      small_heads: As there.
      start: Drawn parameters to those that training starts with.
      moments: Parameters to the optimisers' state.
      act: ``(params, obs [obs_dim], z [D], noise)`` to an action ``[action_dim]``; the noise is
        standard normal ``[action_dim]``, or None for the policy's mode.
      coefficients: ``(hyper, updates)`` to the scalars of one update.
      posterior: ``(params, batch)`` to the posteriors of the batch's tasks that it trains on,
        leading axis ``[M]``; None if no inference is to be fitted to them.
      own_posterior: ``(params, tasks [N])`` to the posteriors of training tasks by their numbers,
        leading axis ``[N]``; None where these have none of their own.
      told: ``(params, training tasks)`` to the parameters that training starts with, where what the
        tasks are is told.
      update: ``(params, moments, batch, coefficients)`` to the next params and moments, and metrics
        by name, each a scalar.
    """

    name: str
    zeros: Callable[[], Params]
    small_heads: tuple[str, ...]
    start: Callable[[Params], Params]
    moments: Callable[[Params], Any]
    act: Callable[[Params, Array, Array, Array | None], Array]
    coefficients: Callable[[Hyper, Array], Any]
    posterior: Callable[[Params, Batch], tuple[Any, ...]] | None
    own_posterior: Callable[[Params, Array], tuple[Any, ...]] | None
    update: Callable[[Params, Any, Batch, Any], tuple[Params, Any, dict[str, Array]]]
    told: Callable[[Params, Task], Params] = lambda params, tasks: params
