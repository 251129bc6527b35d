"""Bayes' rule over hypotheses: an exact alternative to the encoder's posterior.

The encoder's posterior multiplies one factor per transition and is trained by the Bellman error,
which has two consequences. A product of normals has one mode, so it cannot say "not there"; and
where a context fits several tasks the Bellman error prefers their middle, or the most frequent, to
covering them all. Both hurt while little is known. Here the prior is represented by draws from it,
and each is weighed by how likely it makes the rewards seen so far,

    w_i  proportional to  prod_t p(r_t | s_t, a_t, z_i)^evidence_weight,   z_i ~ p(z),

importance sampling of p(z | transitions) with the prior as proposal (Robert and Casella 2004,
section 3.3); the density is that of a `Reader`. Weights are additive in the log, so that a
transition costs O(1) memory here too. The exponent tempers the likelihood (Grunwald 2012):
the transitions of an episode share their errors, and a product takes them to be independent.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray, ScalarLike

from structlat_jax.inference.imagined import Act, Imagined
from structlat_jax.latents import LatentSpace
from structlat_jax.shapes import Transition, within

_GOLDEN = 0.6180339887498949
_GROUPS = 32
_CANDIDATES = 32
_SHOWN = 64  # groups that a record of hypotheses has at most


class Reader(NamedTuple):
    """What is made of hypotheses: a model of what happens where each of them is right.

    Attributes:
      imagine: ``(params, act, obs, z [..., D], horizon)`` to an `Imagined` episode per latent.
      read: ``(z [..., D], destination [..., obs_dim])`` to what a hypothesis is read through: the
        place where its imagined episode ends, or z itself, ``[..., n]``.
      log_density: ``(params, obs, action, reading, reward)`` to that of a task's own reward in
        nats; all broadcast.
      expected_return: ``(params, imagined [N, H, ...], readings [M, n])`` to what imagined episodes
        pay where a hypothesis is right, undiscounted, ``[N, M]``.
      change_log_density: ``(params, obs, action, reading, next_obs)`` to that of the change of the
        observation in nats; all broadcast. None where it is no evidence.
    """

    imagine: Callable[..., Imagined]
    read: Callable[[Array, Array], Array]
    log_density: Callable[..., Array]
    expected_return: Callable[..., Array]
    change_log_density: Callable[..., Array] | None = None


class Hypotheses(NamedTuple):
    """Draws from the prior and what speaks for each.

    Attributes:
      z: ``[N, D]``, in an order in which neighbours lead to places close to each other.
      reading: What each is read through, ``[N, n]``; see `Reader`.
      log_weights: Unnormalised, ``[N]``; zero before anything was seen.
      leads: Mean of where the imagined episodes of a group end, ``[G, obs_dim]``; the groups are
        equal shares of the order.
      changes: Log-density of all changes of the observation that were seen, ``[N]``; None where
        they are no evidence.
      steps: How many were seen; None likewise.
    """

    z: Float[Array, "N D"]
    reading: Float[Array, "N n"]
    log_weights: Float[Array, " N"]
    leads: Float[Array, "G obs_dim"]
    changes: Float[Array, " N"] | None = None
    steps: Float[Array, ""] | None = None


def draw(
    reader: Reader,
    params: Any,
    act: Act,
    space: LatentSpace,
    obs: Float[ArrayLike, " obs_dim"],
    horizon: int,
    count: int,
    key: PRNGKeyArray,
    held: Callable[[Array], Array] = lambda z: z,
) -> Hypotheses:
    """Hypotheses before anything was seen.

    Args:
      reader, space: Static.
      params: The reader's.
      act: The policy.
      obs: The start of an episode, ``[obs_dim]``.
      horizon: Steps in an episode; static.
      count: N, a power of two; static.
      key: For the draws.
      held: What is made of draws ``[N, D]``, such as one value for all in numbers of z that are
        inferred otherwise.
    """
    z = held(space.sample_prior(key, (count,)))
    destination = reader.imagine(params, act, obs, z, horizon).destination
    order = order_of(destination)
    z, destination = z[order], destination[order]
    grouped = destination.reshape(min(count, _SHOWN), -1, destination.shape[-1])
    leads = jnp.mean(grouped, axis=1)
    drawn = Hypotheses(z, reader.read(z, destination), jnp.zeros(count), leads)
    if reader.change_log_density is None:
        return drawn
    return drawn._replace(changes=jnp.zeros(count), steps=jnp.zeros(()))


def prior_where(hypotheses: Hypotheses, condition: Bool[ArrayLike, ""]) -> Hypotheses:
    """The same with equal weights, the prior's, if a scalar condition holds."""
    log_weights = jnp.where(condition, 0.0, hypotheses.log_weights)
    return hypotheses._replace(log_weights=log_weights)


def update(
    reader: Reader,
    params: Any,
    hypotheses: Hypotheses,
    seen: Transition,
    length: Int[ArrayLike, ""],
    evidence_weight: ScalarLike,
    change_steps: ScalarLike = 0.0,
) -> Hypotheses:
    """Weighs the hypotheses by the first ``length`` of transitions ``[H]``: by the task's own
    rewards, and by how the observation changes where the reader counts that.

    Args:
      reader: Static.
      params: The reader's.
      hypotheses: The belief.
      seen: Transitions of one episode, ``[H]``.
      length: How many of them happened.
      evidence_weight: Exponent of the rewards' likelihood.
      change_steps: Steps that the changes of any number of steps count for at most.
    """
    counts = within(length, seen.reward.shape[-1])
    given = (params, seen.obs, seen.action, hypotheses.reading[:, None])

    def total(log_density):
        return jnp.sum(jnp.where(counts, log_density, 0.0), axis=-1)

    gain = evidence_weight * total(reader.log_density(*given, seen.reward))
    after = hypotheses
    if reader.change_log_density is not None:
        changes = hypotheses.changes + total(reader.change_log_density(*given, seen.next_obs))
        steps = hypotheses.steps + jnp.sum(counts)
        before = _coarsened(hypotheses.changes, hypotheses.steps, change_steps)
        gain += _coarsened(changes, steps, change_steps) - before
        after = hypotheses._replace(changes=changes, steps=steps)
    return after._replace(log_weights=hypotheses.log_weights + gain)


def _coarsened(log_density: Array, steps: Array, most: ScalarLike) -> Array:
    """The log-density of ``steps`` observations as the evidence of ``most`` at most.

    A likelihood with this exponent is that of data which are close to what was seen, and not equal
    to it (the coarsened posterior: Miller and Dunson 2019, section 2): a model that is slightly
    wrong everywhere is not made sure of nonsense by sheer numbers.
    """
    return log_density * most / jnp.maximum(most + steps, 1.0)


def at(hypotheses: Hypotheses, position: Float[ArrayLike, ""]) -> Float[Array, " D"]:
    """The hypothesis at a position in [0, 1) of the cumulative weights, ``[D]``: a uniform position
    makes it a draw from the posterior."""
    return hypotheses.z[_index(hypotheses, position)]


def greedy(
    reader: Reader,
    params: Any,
    act: Act,
    hypotheses: Hypotheses,
    obs: Float[ArrayLike, " obs_dim"],
    horizon: int,
    key: PRNGKeyArray,
) -> Float[Array, " D"]:
    """The hypothesis to act on if the next episode is all that counts, ``[D]``.

    Of 32 draws from the posterior as ways to act, the one whose imagined episode pays most, on
    average over 32 draws as what the task may be: the Bayes action (DeGroot 1970, chapter 8). A
    draw alone, Thompson's (1933) choice, often takes the slower of two ways to one place, and in
    an unsure posterior a place at its rim.

    Args:
      reader: Static.
      params: The reader's.
      act: The policy.
      hypotheses: The belief.
      obs: The observation at hand, ``[obs_dim]``.
      horizon: Steps that are left; static.
      key: For the draws.
    """
    shifts = jax.random.uniform(key, (2, 1))
    spread = (jnp.arange(_CANDIDATES) + shifts) / _CANDIDATES
    ways, tasks = jax.vmap(jax.vmap(lambda position: _index(hypotheses, position)))(spread)
    z = hypotheses.z[ways]
    imagined = reader.imagine(params, act, obs, z, horizon)
    returns = reader.expected_return(params, imagined, hypotheses.reading[tasks])
    return z[jnp.argmax(jnp.mean(returns, axis=1))]


def mean(hypotheses: Hypotheses) -> Float[Array, " D"]:
    """Posterior mean of z, ``[D]``."""
    return jax.nn.softmax(hypotheses.log_weights) @ hypotheses.z


def spread(hypotheses: Hypotheses) -> Float[Array, " D"]:
    """Posterior standard deviation of z, ``[D]``."""
    squares = (hypotheses.z - mean(hypotheses)) ** 2
    return jnp.sqrt(jax.nn.softmax(hypotheses.log_weights) @ squares)


def group_weights(hypotheses: Hypotheses) -> Float[Array, " G"]:
    """Posterior probability of each group, ``[G]``; they add up to one."""
    groups = hypotheses.leads.shape[0]
    return jnp.sum(jax.nn.softmax(hypotheses.log_weights).reshape(groups, -1), axis=1)


def positions(
    key: PRNGKeyArray, episodes: int, strata: int, draws: int = 1
) -> Float[Array, "{episodes} {draws}"]:
    """Where each episode's hypotheses are taken: ``[episodes, draws]`` in [0, 1), each uniform by
    itself.

    The first draws of the episodes are a randomly shifted systematic sample (Cochran 1977, chapter
    8): every run of ``strata`` episodes visits each of that many equal shares of the weights once,
    in random order, and each further run is shifted by the golden section of a share, into the
    gaps. Independent draws would repeat themselves. Further draws of an episode divide its share.
    """
    key_shift, key_order = jax.random.split(key)
    runs = -(-episodes // strata)
    order = jnp.argsort(jax.random.uniform(key_order, (runs, strata)), axis=1)
    within = jnp.mod(_GOLDEN * jnp.arange(runs), 1.0)[:, None]
    shift = jax.random.uniform(key_shift)
    share = (order + within).reshape(-1, 1)[:episodes] + jnp.arange(draws) / draws
    return jnp.mod(shift + share / strata, 1.0)


def order_of(points: Float[ArrayLike, "N n"]) -> Int[Array, " N"]:
    """Indices that put points ``[N, n]`` into an order in which neighbours are close, ``[N]``.

    Halves are split along their own widest axis, again and again, as in a k-d tree (Bentley 1975),
    down to 32 groups: finer than a run of episodes resolves, and each level is a sort to compile.

    Raises:
      ValueError: if N is not a power of two.
    """
    count = points.shape[0]
    if count & (count - 1) or not count:
        raise ValueError(f"the number of hypotheses must be a power of two, not {count}.")
    index = jnp.arange(count)[None]
    while index.shape[1] > 1 and index.shape[0] < _GROUPS:
        group = points[index]  # [groups, size, n]
        axis = jnp.argmax(jnp.ptp(group, axis=1), axis=-1)
        value = jnp.take_along_axis(group, axis[:, None, None], axis=-1)[..., 0]
        index = jnp.take_along_axis(index, jnp.argsort(value, axis=1), axis=1)
        index = index.reshape(2 * index.shape[0], -1)
    return index.reshape(-1)


def _index(hypotheses: Hypotheses, position: Float[Array, ""]) -> Int[Array, ""]:
    cumulative = jnp.cumsum(jax.nn.softmax(hypotheses.log_weights))
    index = jnp.sum(cumulative <= position * cumulative[-1])
    return jnp.minimum(index, cumulative.shape[0] - 1)
