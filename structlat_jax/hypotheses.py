"""Bayes' rule over hypotheses: an exact alternative to the encoder's posterior.

The encoder's posterior multiplies one factor per transition and is trained by the Bellman error,
which has two consequences. A product of normals has one mode, so it cannot say "not there"; and
where a context fits several tasks the Bellman error prefers their middle, or the most frequent, to
covering them all. Both hurt while little is known. Here the prior is represented by draws from it,
and each is weighed by how well the reward model predicts the rewards seen so far,

    w_i  proportional to  exp(-sum_t (r_t - r_hat(s_t, a_t, z_i))^2 / (2 sigma^2)),   z_i ~ p(z),

importance sampling of p(z | transitions) with the prior as proposal (Robert and Casella 2004,
section 3.3). Weights are additive in the log, so that a transition costs O(1) memory here too.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from structlat_jax.latents import LatentSpace
from structlat_jax.networks import AgentParams, Networks
from structlat_jax.types import Array, Key, Transition

_GOLDEN = 0.6180339887498949


class Hypotheses(NamedTuple):
    """Draws from the prior and what speaks for each.

    Attributes:
      z: ``[N, D]``, in an order in which neighbours make the policy behave alike.
      log_weights: Unnormalised, ``[N]``; zero before anything was seen.
    """

    z: Array
    log_weights: Array


def draw(
    networks: Networks, space: LatentSpace, params: AgentParams, obs: Array, count: int, key: Key
) -> Hypotheses:
    """Hypotheses before anything was seen.

    Args:
      networks, space: Static.
      params: Of the agent.
      obs: Where the first action is compared, ``[obs_dim]``: the start of an episode.
      count: N, a power of two; static.
      key: For the draws.
    """
    z = space.sample_prior(key, (count,))
    actions = jnp.tanh(networks.policy(params.policy, obs, z)[0])
    return Hypotheses(z[order_of(actions)], jnp.zeros(count))


def prior_where(hypotheses: Hypotheses, condition: Array) -> Hypotheses:
    """The same with equal weights, the prior's, if a scalar condition holds."""
    log_weights = jnp.where(condition, 0.0, hypotheses.log_weights)
    return hypotheses._replace(log_weights=log_weights)


def update(
    networks: Networks,
    params: AgentParams,
    hypotheses: Hypotheses,
    seen: Transition,
    noise: Array,
) -> Hypotheses:
    """Weighs the hypotheses by transitions ``[H]``; ``noise`` is sigma, in units of the reward.

    Only the task's own reward counts.
    """
    predicted = networks.reward(params.reward, seen.obs, seen.action, hypotheses.z[:, None])
    misfit = jnp.sum((predicted - seen.reward) ** 2, axis=-1)
    return hypotheses._replace(log_weights=hypotheses.log_weights - 0.5 * misfit / noise**2)


def at(hypotheses: Hypotheses, position: Array) -> Array:
    """The hypothesis at a position in [0, 1) of the cumulative weights, ``[D]``: a uniform position
    makes it a draw from the posterior."""
    cumulative = jnp.cumsum(jax.nn.softmax(hypotheses.log_weights))
    index = jnp.sum(cumulative <= position * cumulative[-1])
    return hypotheses.z[jnp.minimum(index, hypotheses.z.shape[0] - 1)]


def mean(hypotheses: Hypotheses) -> Array:
    """Posterior mean of z, ``[D]``."""
    return jax.nn.softmax(hypotheses.log_weights) @ hypotheses.z


def positions(key: Key, episodes: int, strata: int) -> Array:
    """Where each episode's hypothesis is taken: ``[episodes]`` in [0, 1), each uniform by itself.

    Together they are a randomly shifted systematic sample (Cochran 1977, chapter 8): every run of
    ``strata`` episodes visits each of that many equal shares of the weights once, in random order,
    and each further run is shifted by the golden section of a share, into the gaps. Independent
    draws would repeat themselves.
    """
    key_shift, key_order = jax.random.split(key)
    runs = -(-episodes // strata)
    order = jnp.argsort(jax.random.uniform(key_order, (runs, strata)), axis=1)
    within = jnp.mod(_GOLDEN * jnp.arange(runs), 1.0)[:, None]
    shift = jax.random.uniform(key_shift)
    return jnp.mod(shift + (order + within) / strata, 1.0).reshape(-1)[:episodes]


def order_of(behaviour: Array) -> Array:
    """Indices that put behaviours ``[N, n]`` into an order in which neighbours are alike, ``[N]``.

    Halves are split along their own widest axis, again and again, as in a k-d tree (Bentley 1975).

    Raises:
      ValueError: if N is not a power of two.
    """
    count = behaviour.shape[0]
    if count & (count - 1) or not count:
        raise ValueError(f"the number of hypotheses must be a power of two, not {count}.")
    index = jnp.arange(count)[None]
    while index.shape[1] > 1:
        group = behaviour[index]  # [groups, size, n]
        axis = jnp.argmax(jnp.ptp(group, axis=1), axis=-1)
        value = jnp.take_along_axis(group, axis[:, None, None], axis=-1)[..., 0]
        index = jnp.take_along_axis(index, jnp.argsort(value, axis=1), axis=1)
        index = index.reshape(2 * index.shape[0], -1)
    return index[:, 0]
