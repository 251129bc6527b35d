"""What training tasks are known by, and the posteriors that they have therefore.

By their numbers: a row of encoder outputs for each (a variational posterior of its own). Or by
their ground truth, as in Humplik et al. 2019: a network from `Env.factors` to encoder outputs, the
same for all, so that what z says follows from what the tasks are made of.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from structlat_jax.envs import AnyEnv
from structlat_jax.inference import informed
from structlat_jax.latents import LatentSpace
from structlat_jax.nets.mlp import MLP
from structlat_jax.shapes import Params, Task, make_key

# Rows start at zero, and Adam moves all parameters alike: these are to move fast.
_TABLE_GAIN = 10.0


@dataclasses.dataclass(frozen=True)
class KnownTasks:
    """A record of pure functions.

    Attributes:
      count: Training tasks, T.
      zeros: Parameters that are all zero, for `init.initialise`.
      told: ``(params, tasks [T])`` to the parameters that training starts with.
      raw: ``(params, numbers [N])`` to encoder outputs ``[N, stat_dim]``.
    """

    count: int
    zeros: Callable[[], Params]
    told: Callable[[Params, Task], Params]
    raw: Callable[[Params, Array], Array]


def by_number(count: int, stat_dim: int) -> KnownTasks:
    """Each by a row of its own."""
    return KnownTasks(
        count=count,
        zeros=lambda: {"rows": jnp.zeros((count, stat_dim))},
        told=lambda params, tasks: params,
        raw=lambda params, numbers: _TABLE_GAIN * params["rows"][numbers],
    )


def by_truth(count: int, stat_dim: int, width: int, env: AnyEnv) -> KnownTasks:
    """All by their factors, each number of which is in units of its spread over training tasks."""
    size = informed.width(env)
    net = MLP(width, 2, stat_dim)

    def zeros():
        own = net.init(make_key(0), jnp.zeros((size,)))
        return {"net": own, "truth": jnp.zeros((count, size))}

    def told(params, tasks):
        truth = informed.truth_of(env, tasks)
        return {**params, "truth": informed.scaled(truth, informed.units(truth))}

    def raw(params, numbers):
        truth = jax.lax.stop_gradient(params["truth"])  # Adam leaves it as it is then
        return net.apply(params["net"], truth[numbers])

    return KnownTasks(count, zeros, told, raw)


def posterior_of(
    space: LatentSpace, known: KnownTasks, params: Params, numbers: Int[Array, " N"]
) -> tuple[Any, ...]:
    """The posteriors of training tasks by their numbers ``[N]``, leading axis ``[N]``."""
    return space.posterior(space.evidence(known.raw(params, numbers)))


def information(
    space: LatentSpace,
    known: KnownTasks,
    params: Params,
    posterior: tuple[Any, ...],
    z: Float[Array, "M D"],
    said: Bool[ArrayLike, " blocks"] = True,
) -> Float[Array, " M"]:
    """What draws z of some tasks tell of the task's number, ``[M]`` in nats: their log-density
    under their own posterior less that under the mean of all tasks' posteriors. Of blocks that are
    not ``said`` it tells nothing.

    The KL of a posterior to the prior is this on average, and the KL of the mean posterior to the
    prior (Hoffman and Johnson 2016): only the latter keeps draws from the prior away from what
    training has seen.
    """
    every = posterior_of(space, known, params, jnp.arange(known.count))

    def under_all(one):
        spread = jnp.broadcast_to(one, (known.count, one.size))
        return jnp.sum(jnp.where(said, space.log_prob(every, spread), 0.0), axis=-1)

    own = jnp.sum(jnp.where(said, space.log_prob(posterior, z), 0.0), axis=-1)
    mean = jax.nn.logsumexp(jax.vmap(under_all)(z), axis=-1) - jnp.log(known.count)
    return own - mean
