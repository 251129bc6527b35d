"""Proximal policy optimisation over trials (Schulman et al. 2017), one equation per function.

A trial is one long episode for it: values look ahead across the resets between its episodes, so
that finding out in one of them what pays in the next is worth something, and the return ends with
the trial. Actions are the hyperbolic tangents of normal draws, whose noise the trial has kept: the
draws and their densities follow from it, and the tangent's Jacobian cancels in the ratio.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, ScalarLike

from structlat_jax.algos.actor import Actor, Targets, entropy_of, log_density
from structlat_jax.algos.base import Trials, maximised
from structlat_jax.algos.schedules import entropy_weight, step_size_share
from structlat_jax.config import Hyper
from structlat_jax.inference import recurrent
from structlat_jax.nets import optim
from structlat_jax.shapes import Key, Params, Transition

LARGEST_GRADIENT = 0.5
"""Norm to which a longer gradient is shortened."""

_RATE = 0.1  # of the running moments of returns, per meta-step


class Coefficients(NamedTuple):
    """The traced scalars of one update; see `config.Hyper` for what each means."""

    lr: ScalarLike
    clip: ScalarLike
    entropy_weight: ScalarLike
    value_weight: ScalarLike


class Taken(NamedTuple):
    """Steps of trials as updates see them, ``[M, L]``.

    Attributes:
      obs: ``[M, L, obs_dim]``.
      given: What the policy was given beside, ``[M, L, C]``; None where an update makes it itself.
      features: Of the recurrent network, ``[M, L, F]``.
      drawn: Actions before the tangent, ``[M, L, action_dim]``.
      log_prob: Their log-density when they were drawn, up to the Jacobian.
      advantage: Normalised.
      target: Of the value, in reward units.
      valid: Which steps were taken, bool.
      acted: Which of them by the policy, bool: it learns from these.
    """

    obs: Float[Array, "M L obs_dim"]
    given: Any
    features: Float[Array, "M L F"]
    drawn: Float[Array, "M L action_dim"]
    log_prob: Float[Array, "M L"]
    advantage: Float[Array, "M L"]
    target: Float[Array, "M L"]
    valid: Bool[Array, "M L"]
    acted: Bool[Array, "M L"]


def coefficients_at(hyper: Hyper, updates: Array) -> Coefficients:
    """The scalars of one update; step size and entropy weight decay as PEARL's do."""
    lr = hyper.lr * step_size_share(hyper, updates)
    return Coefficients(lr, hyper.clip, entropy_weight(hyper, updates), hyper.value_weight)


def clipped(apart: Array, advantage: Array, clip: ScalarLike) -> Array:
    """``min(ratio A, clip(ratio) A)`` of log-ratios of new to old densities."""
    ratio = jnp.exp(apart)
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * advantage)


def advantages(
    reward: Float[Array, "M L"],
    value: Float[Array, "M L"],
    valid: Bool[Array, "M L"],
    discount: ScalarLike,
    decay: ScalarLike,
) -> Float[Array, "M L"]:
    """Generalised advantages (Schulman et al. 2016): ``A_t = d_t + discount * decay * A_{t+1}``,
    ``d_t = r_t + discount * V_{t+1} - V_t``, where t + 1 is the next step that is ``valid``; behind
    the last the value is 0."""

    def back(carry, step):
        later, value_later = carry
        r, v, counts = step
        now = r + discount * value_later - v + discount * decay * later
        carry = (jnp.where(counts, now, later), jnp.where(counts, v, value_later))
        return carry, jnp.where(counts, now, 0.0)

    zero = jnp.zeros(reward.shape[0])
    steps = jax.tree.map(lambda x: x.T, (reward, value, valid))
    return jax.lax.scan(back, (zero, zero), steps, reverse=True)[1].T


def loss(
    actor: Actor,
    params: dict[str, Params],
    targets: Targets,
    taken: Taken,
    given: Float[Array, "M L C"],
    c: Coefficients,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """``-mean min(ratio A, clip(ratio) A) + value_weight * mean (V - target)^2 - entropy_weight *
    entropy``, the value's error in units of the spread of returns; means over
    steps that it took itself.

    Returns:
      The loss and its terms by name.
    """
    mean, log_std = actor.normal(params["policy"], taken.obs, given)
    apart = log_density(taken.drawn, mean, log_std) - taken.log_prob
    gained = clipped(apart, taken.advantage, c.clip)
    error = actor.value(params["v"], targets, taken.obs, given) - taken.target
    policy, v = (
        -mean_over(gained, taken.acted),
        mean_over((error / targets.spread) ** 2, taken.acted),
    )
    entropy = entropy_of(log_std)
    terms = {"policy": policy, "v": v, "entropy": entropy, "moved": -mean_over(apart, taken.acted)}
    return policy + c.value_weight * v - c.entropy_weight * entropy, terms


def taken_of(
    actor: Actor,
    params: Any,
    hyper: Hyper,
    trials: Trials,
    given_of: Callable[[Array, Array], Array],
) -> tuple[Taken, Transition]:
    """Trials as the updates see them, and their transitions ``[M, L]``.

    Args:
      actor: Static.
      params: Those by which they were taken, with ``policy``, ``v`` and ``targets``.
      hyper: Traced.
      trials: ``[M]``.
      given_of: ``(features [M, L, F], valid [M, L])`` to what the policy was given, ``[M, L, C]``.
    """
    t, valid, last = recurrent.flat(trials.episodes)
    features = recurrent.features(t, last, hyper.context_reward_scale)
    given = given_of(features, valid)
    mean, log_std = actor.normal(params.policy, t.obs, given)
    noise = trials.noise.reshape(mean.shape)
    drawn = mean + jnp.exp(log_std) * noise
    value = actor.value(params.v, params.targets, t.obs, given)
    gained = advantages(maximised(t, hyper.shaped_share), value, valid, hyper.discount, hyper.gae)
    explored = jnp.repeat(trials.explored, trials.noise.shape[2], axis=1)
    acted = valid & ~explored
    centred = gained - mean_over(gained, acted)
    spread = jnp.sqrt(mean_over(centred**2, acted))
    taken = Taken(
        obs=t.obs,
        given=given,
        features=features,
        drawn=drawn,
        log_prob=log_density(drawn, mean, log_std),
        advantage=centred / (spread + 1e-6),
        target=gained + value,
        valid=valid,
        acted=acted,
    )
    return jax.lax.stop_gradient(taken), t


def rescaled(v: Params, targets: Targets, taken: Taken) -> tuple[Params, Targets]:
    """The value network in the units of the returns seen by now, its values unchanged (van Hasselt
    et al. 2016)."""
    mean = mean_over(taken.target, taken.acted)
    spread = jnp.sqrt(mean_over((taken.target - mean) ** 2, taken.acted) + 1e-6)
    mean = targets.mean + _RATE * (mean - targets.mean)
    spread = targets.spread + _RATE * (spread - targets.spread)
    head = v["params"]
    kernel = head["kernel_head"] * targets.spread / spread
    bias = (targets.spread * head["bias_head"] + targets.mean - mean) / spread
    return {"params": {**head, "kernel_head": kernel, "bias_head": bias}}, Targets(mean, spread)


def shortened(grads: Params) -> Params:
    """A gradient of at most `LARGEST_GRADIENT` in norm."""
    norm = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(grads)))
    return jax.tree.map(lambda g: g * jnp.minimum(1.0, LARGEST_GRADIENT / (norm + 1e-8)), grads)


def improve(
    objective: Callable[[Params, Any, Coefficients], tuple[Array, dict[str, Array]]],
    hyper: Hyper,
    trained: Params,
    moments: Any,
    taken: Any,
    updates: Array,
    sizes: tuple[int, int],
    key: Key,
) -> tuple[Params, Any, dict[str, Array]]:
    """All updates of a meta-step: epochs over the trials, which are shuffled in each and cut into
    minibatches; those that are over at the end of an epoch wait for another.

    Args:
      objective: ``(parameters, some trials, coefficients)`` to a loss and its terms.
      hyper: Traced.
      trained, moments: Parameters and Adam's moments.
      taken: All trials, a pytree ``[M, ...]``.
      updates: Done before.
      sizes: Updates, and minibatches per epoch, of which that is a multiple.
      key: For the order.

    Returns:
      New parameters, new moments, and the terms by name, ``[U]``.
    """
    count, parts = sizes
    trials = jax.tree.leaves(taken)[0].shape[0]
    keys = jax.random.split(key, count // parts)
    order = jax.vmap(lambda k: jax.random.permutation(k, trials))(keys)
    order = order[:, : trials // parts * parts].reshape(count, trials // parts)

    def body(carry, chosen):
        trained, moments, done = carry
        some, c = jax.tree.map(lambda x: x[chosen], taken), coefficients_at(hyper, done)
        grads, terms = jax.grad(objective, has_aux=True)(trained, some, c)
        trained, moments = optim.adam(trained, shortened(grads), moments, c.lr)
        return (trained, moments, done + 1), terms

    (trained, moments, _), terms = jax.lax.scan(body, (trained, moments, updates), order)
    return trained, moments, terms


def mean_over(x: Array, valid: Array) -> Float[Array, ""]:
    """Over those that are ``valid``; 0 if none is."""
    return jnp.sum(jnp.where(valid, x, 0.0)) / jnp.maximum(jnp.sum(valid), 1)
