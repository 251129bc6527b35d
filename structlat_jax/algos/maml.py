"""MAML with a policy gradient inside (Finn et al. 2017), its gradient in full: of second order.

A trial begins with exploring episodes, after which the policy takes one step along its own gradient
(see `inference.adapted`); what the episodes behind that are paid is what its parameters before the
step are trained for, through the step, by the clipped objective of `ppo`. The density of the
exploring episodes themselves is held fixed, as in the paper's own code.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from structlat_jax.algos import actor, ppo
from structlat_jax.algos.base import Algorithm, Learner, OnPolicy, Trials, maximised
from structlat_jax.config import Hyper
from structlat_jax.inference import adapted
from structlat_jax.inference.adapted import Tried
from structlat_jax.nets import optim
from structlat_jax.nets.heads import LOG_STD_RANGE
from structlat_jax.nets.mlp import MLP
from structlat_jax.nets.networks import SMALL_HEADS
from structlat_jax.parts import Parts
from structlat_jax.shapes import Params, make_key, within


class MetaParams(NamedTuple):
    """Parameters: the ``policy`` before its step, ``net`` and ``log_std``."""

    policy: Params


class Behind(NamedTuple):
    """A meta-step's trials as updates see them.

    Attributes:
      tried: The exploring episodes, ``[M, P, H]``.
      after: Those behind the step, ``[M, E - P, H]``; their rewards are those that are maximised.
      log_prob, advantage: Of their steps: when they were drawn, and normalised.
    """

    tried: Tried
    after: Tried
    log_prob: Float[Array, "M Q H"]
    advantage: Float[Array, "M Q H"]


def normal(net: MLP, policy: Params, obs: Array) -> tuple[Array, Array]:
    """Mean and log standard deviation of what becomes an action by the tangent."""
    return net.apply(policy["net"], obs), jnp.clip(policy["log_std"], *LOG_STD_RANGE)


def behind(net: MLP, policy: Params, hyper: Hyper, trials: Trials, first: int) -> Behind:
    """Trials ``[M]`` as updates see them.

    Args:
      net: Static.
      policy: By which they were taken.
      hyper: Traced.
      trials: ``[M]``.
      first: Exploring episodes of each, at least two, and as many behind them: what one is paid
        counts by how it differs from the others beside it.
    """
    t, horizon = trials.episodes.transitions, trials.noise.shape[2]
    counts = within(trials.episodes.length, horizon)

    def part(keep, drawn, reward):
        return Tried(t.obs[:, keep], drawn, reward[:, keep], counts[:, keep])

    start, rest = slice(first), slice(first, None)
    tried = part(start, adapted.drawn_of(t.action[:, start]), t.reward)

    def of_one(tried, obs, noise):
        own = _step(net, policy, tried, hyper)
        mean, log_std = normal(net, own, obs)
        drawn = mean + jnp.exp(log_std) * noise
        return drawn, actor.log_density(drawn, mean, log_std)

    drawn, log_prob = jax.vmap(of_one)(tried, t.obs[:, rest], trials.noise[:, rest])
    after = part(rest, drawn, maximised(t, hyper.shaped_share))
    # Who was made to explore learns from the rest of the trial alone.
    after = after._replace(taken=after.taken & ~trials.explored[:, rest, None])
    gained = jax.vmap(adapted.advantages, in_axes=(0, 0, None))(
        after.reward, after.taken, hyper.discount
    )
    return jax.lax.stop_gradient(Behind(tried, after, log_prob, gained))


def _step(net: MLP, policy: Params, tried: Tried, hyper: Hyper) -> Params:
    def log_density(own, obs, drawn):
        return actor.log_density(drawn, *normal(net, own, obs))

    return adapted.step(log_density, policy, tried, hyper.inner_lr, hyper.discount)


def objective(
    net: MLP, policy: Params, seen: Behind, hyper: Hyper, c: ppo.Coefficients
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """``-mean min(ratio A, clip(ratio) A) - entropy_weight * entropy`` behind each trial's step."""

    def of_one(one):
        mean, log_std = normal(net, _step(net, policy, one.tried, hyper), one.after.obs)
        apart = actor.log_density(one.after.drawn, mean, log_std) - one.log_prob
        return ppo.clipped(apart, one.advantage, c.clip), apart

    gained, apart = jax.vmap(of_one)(seen)
    taken = seen.after.taken
    loss = -ppo.mean_over(gained, taken)
    entropy = actor.entropy_of(jnp.clip(policy["log_std"], *LOG_STD_RANGE))
    terms = {"policy": loss, "entropy": entropy, "moved": -ppo.mean_over(apart, taken)}
    return loss - c.entropy_weight * entropy, terms


class Records(NamedTuple):
    """The algorithm and the inference that it acts by."""

    algorithm: Algorithm
    inference: Any


def make(parts: Parts) -> Records:
    """The records. Its metrics: ``policy``, ``entropy`` and ``moved``, as in `rl2.make`."""
    s, env = parts.structure, parts.env
    net = MLP(s.width, s.depth, env.action_dim)

    def blank():
        own = net.init(make_key(0), jnp.zeros((env.obs_dim,)))
        return {"net": own, "log_std": jnp.zeros(env.action_dim)}

    shapes = jax.eval_shape(blank)
    unravel = ravel_pytree(jax.tree.map(lambda x: jnp.zeros(x.shape), shapes))[1]

    def act(params, obs, z, noise):
        del params  # what is acted on is in z
        mean, log_std = normal(net, unravel(z), obs)
        return jnp.tanh(mean if noise is None else mean + jnp.exp(log_std) * noise)

    def learn(hyper, learner, trials, updates, key):
        policy = learner.params.policy
        seen = behind(net, policy, hyper, trials, s.adapt_episodes)
        policy, moments, terms = ppo.improve(
            lambda own, some, c: objective(net, own, some, hyper, c),
            *(hyper, policy, learner.moments, seen, updates),
            *((s.updates_per_step, s.minibatches), key),
        )
        return Learner(MetaParams(policy), moments, ()), terms

    def log_density(policy, obs, drawn):
        return actor.log_density(drawn, *normal(net, policy, obs))

    algorithm = Algorithm(
        name="maml",
        zeros=lambda: MetaParams(blank()),
        small_heads=SMALL_HEADS,
        start=lambda params: params,
        moments=lambda params: optim.init(params.policy),
        act=act,
        coefficients=ppo.coefficients_at,
        posterior=None,
        own_posterior=None,
        update=None,
        on_policy=OnPolicy(lambda: (), learn),
        given=adapted.width(shapes),
    )
    return Records(algorithm, adapted.make(parts, log_density))
