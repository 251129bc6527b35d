"""MAML's way to find out: what a policy's own gradient says after some exploring episodes.

The first episodes of a trial are kept; the policy's parameters after one step along the policy
gradient of what these were paid are what the agent acts on from then on (Finn et al. 2017). Before,
it acts on the parameters that it starts with. The policy gradient is REINFORCE's (Williams 1992)
with the mean over the kept episodes as the baseline of every step of an episode.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, ScalarLike

from structlat_jax.inference import blank
from structlat_jax.inference.base import Inference
from structlat_jax.parts import Parts
from structlat_jax.shapes import Params, within

_LARGEST = 1.0 - 1e-6  # of an action whose draw is told from it

LogDensity = Callable[[Params, Array, Array], Array]
"""``(policy, obs [..., obs_dim], drawn [..., action_dim])`` to log-densities ``[...]``."""


class Tried(NamedTuple):
    """Exploring episodes of one task, ``[P, H]``.

    Attributes:
      obs: Observations.
      drawn: Actions before the tangent.
      reward: The task's own.
      taken: Which steps were taken.
    """

    obs: Float[Array, "P H obs_dim"]
    drawn: Float[Array, "P H action_dim"]
    reward: Float[Array, "P H"]
    taken: Bool[Array, "P H"]


class State(NamedTuple):
    """What is carried.

    Attributes:
      tried: The first episodes, as far as they went.
      episode, clock: Episodes that are over, and steps of the present one, int32 scalars.
      given: The policy's parameters as one vector, ``[n]``.
    """

    tried: Tried
    episode: Int[Array, ""]
    clock: Int[Array, ""]
    given: Float[Array, " n"]


def drawn_of(action: Array) -> Array:
    """What an action is the hyperbolic tangent of."""
    return jnp.arctanh(jnp.clip(action, -_LARGEST, _LARGEST))


def advantages(
    reward: Float[Array, "P H"], taken: Bool[Array, "P H"], discount: ScalarLike
) -> Float[Array, "P H"]:
    """Discounted rewards to go of each step less their mean over the episodes, in units of their
    spread; zero where all are alike or no step was taken."""

    def back(later, now):
        total = now + discount * later
        return total, total

    paid = jnp.where(taken, reward, 0.0)
    ahead = jax.lax.scan(back, jnp.zeros(paid.shape[0]), paid.T, reverse=True)[1].T
    count = jnp.maximum(jnp.sum(taken, axis=0), 1)
    apart = jnp.where(taken, ahead - jnp.sum(jnp.where(taken, ahead, 0.0), axis=0) / count, 0.0)
    square = jnp.sum(apart**2) / jnp.maximum(jnp.sum(taken), 1)
    # A gradient never goes through it; a square root of zero has none.
    return apart / jnp.sqrt(square + 1e-8)


def step(
    log_density: LogDensity, policy: Params, tried: Tried, lr: ScalarLike, discount: ScalarLike
) -> Params:
    """The policy after one step along its gradient, which may be differentiated in its turn."""
    gained = advantages(tried.reward, tried.taken, discount)

    def loss(policy):
        each = log_density(policy, tried.obs, tried.drawn) * gained
        return -jnp.sum(jnp.where(tried.taken, each, 0.0)) / jnp.maximum(jnp.sum(tried.taken), 1)

    return jax.tree.map(lambda p, g: p - lr * g, policy, jax.grad(loss)(policy))


def make(parts: Parts, log_density: LogDensity) -> Inference:
    """The inference.

    Args:
      parts: Of the run.
      log_density: Of the policy.
    """
    s, env, space = parts.structure, parts.env, parts.space
    shape = (s.adapt_episodes, env.horizon)

    def init(learned, key, obs):
        del key, obs
        zero = jnp.zeros((), jnp.int32)
        wide = [jnp.zeros((*shape, n)) for n in (env.obs_dim, env.action_dim)]
        tried = Tried(*wide, jnp.zeros(shape), jnp.zeros(shape, bool))
        return State(tried, zero, zero, ravel_pytree(learned.agent.policy)[0])

    def update(learned, hyper, carried, seen, length):
        del learned, hyper

        def one(carried, inputs):
            t, counts = inputs
            at = (carried.episode, carried.clock)  # behind the last kept one, nothing is written
            own = carried.tried
            tried = Tried(
                own.obs.at[at].set(t.obs, mode="drop"),
                own.drawn.at[at].set(drawn_of(t.action), mode="drop"),
                own.reward.at[at].set(t.reward, mode="drop"),
                own.taken.at[at].set(True, mode="drop"),
            )
            over = (t.done > 0) | (carried.clock + 1 >= env.horizon)
            clock = jnp.where(over, 0, carried.clock + 1)
            after = State(tried, carried.episode + over, clock, carried.given)
            return jax.tree.map(lambda a, b: jnp.where(counts, b, a), carried, after), None

        return jax.lax.scan(one, carried, (seen, within(length, seen.reward.shape[0])))[0]

    def rest(learned, hyper, carried):
        own = learned.agent.policy
        after = step(log_density, own, carried.tried, hyper.inner_lr, hyper.discount)
        ready = carried.episode >= s.adapt_episodes
        given = jnp.where(ready, ravel_pytree(after)[0], ravel_pytree(own)[0])
        return carried._replace(given=given)

    return blank.make(
        space,
        "adapted",
        init=init,
        update=update,
        condition=lambda learned, carried: carried.given,
        given=lambda carried: carried.given,
        total=lambda carried: blank.nothing(space),
        rest=rest,
        explores=True,
    )


def width(policy: Any) -> int:
    """Numbers in the policy's parameters."""
    return sum(x.size for x in jax.tree.leaves(policy))
