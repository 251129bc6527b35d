"""An agent that is told which task it is in: what no inference can pass."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from structlat_jax.envs import AnyEnv
from structlat_jax.inference import blank
from structlat_jax.inference.base import Inference
from structlat_jax.latents import LatentSpace
from structlat_jax.shapes import Task, make_key


class Units(NamedTuple):
    """Mean and spread of each number of the ground truth over training tasks, ``[n]``."""

    mean: Float[Array, " n"]
    spread: Float[Array, " n"]


class Told(NamedTuple):
    """What an agent is told: the ground truth in units of its spread, ``[n]``, and the units."""

    truth: Float[Array, " n"]
    units: Units


def truth_of(env: AnyEnv, tasks: Task) -> Float[Array, "T n"]:
    """The factors of tasks ``[T]`` side by side."""
    factors = jax.vmap(env.factors)(tasks)
    parts = [x.reshape(x.shape[0], -1).astype(jnp.float32) for x in factors.values()]
    return jnp.concatenate(parts, axis=1)


def width(env: AnyEnv) -> int:
    """Numbers in the ground truth of a task."""
    one = jax.eval_shape(lambda: env.sample_tasks(make_key(0), 1))
    return jax.eval_shape(lambda tasks: truth_of(env, tasks), one).shape[1]


def units(truth: Float[Array, "T n"]) -> Units:
    """Of training tasks; what never varies has a spread of 1."""
    mean, spread = jnp.mean(truth, axis=0), jnp.std(truth, axis=0)
    rounding = 1e-6 * jnp.maximum(1.0, jnp.abs(mean))  # the spread of float32 that are all equal
    return Units(mean, jnp.where(spread > rounding, spread, 1.0))


def scaled(truth: Float[Array, "*batch n"], own: Units) -> Float[Array, "*batch n"]:
    """The ground truth in those units."""
    return (truth - own.mean) / own.spread


def make(env: AnyEnv, space: LatentSpace) -> Inference:
    """The inference whose belief is the truth; before it is told, the mean of training tasks.

    Args:
      env: With `Env.factors`.
      space: The latent space, of which it believes nothing.
    """

    def told(belief, task):
        (truth,) = truth_of(env, jax.tree.map(lambda x: jnp.asarray(x)[None], task))
        return Told(scaled(truth, belief.units), belief.units)

    return blank.make(
        space,
        "told",
        init=lambda learned, key, obs: Told(
            jnp.zeros(width(env)), Units(*learned.agent.truth["units"])
        ),
        update=lambda learned, hyper, belief, seen, length: belief,
        condition=lambda learned, belief: belief.truth,
        given=lambda belief: belief.truth,
        total=lambda belief: blank.nothing(space),
        told=told,
    )
