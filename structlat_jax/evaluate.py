"""The adaptation protocol: what a trained agent does on tasks that it must find out about.

Per task and repeat: E episodes with one z each and a deterministic policy. The first ones draw z
from the prior; the others from the posterior given all that this evaluation has seen so far. The
replay is not an argument, so it cannot be read, and only the task's own reward is used.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from structlat_jax import hypotheses, inference, rollout
from structlat_jax.config import Hyper
from structlat_jax.networks import AgentParams
from structlat_jax.setup import Setup
from structlat_jax.types import Array, Key, Task, Transition


class Adaptation(NamedTuple):
    """The whole evaluation; all arrays lead with ``[T, repeats, E]``.

    Attributes:
      returns: Return of each episode, ``[T, R, E]``; headlines are reductions of this.
      amortised: The same where z comes from the encoder's posterior, as in the paper, whatever
        the configured inference is; its own episodes, ``[T, R, E]``.
      path: Observations from reset to the end, ``[T, R, E, H + 1, obs_dim]``.
      z: The latent of each episode, ``[T, R, E, D]``.
      belief: Posterior mean of z given what was seen *before* the episode (the prior's mean for
        the first), ``[T, R, E, D]``.
      kl: KL to the prior of the encoder's posterior given the same, in nats,
        ``[T, R, E, blocks]``.
    """

    returns: Array
    amortised: Array
    path: Array
    z: Array
    belief: Array
    kl: Array


def evaluate(setup: Setup, hyper: Hyper, params: AgentParams, tasks: Task, key: Key) -> Adaptation:
    """Runs the protocol on tasks ``[T]``; a pure function of its arguments."""
    s = setup.config.structure
    count = jax.tree.leaves(tasks)[0].shape[0]
    keys = jax.random.split(key, (count, s.eval_repeats))
    repeats = jax.vmap(lambda task, k: _adapt(setup, hyper, params, task, k), in_axes=(None, 0))
    # Task by task: all hypotheses of all tasks at once would be 800 MB of activations, which is
    # half as fast on a CPU core, and one task's are enough to fill an accelerator.
    return jax.lax.map(lambda each: repeats(*each), (tasks, keys))


def last_return(adaptation: Adaptation) -> Array:
    """The headline: return of the last episode, mean over tasks and repeats."""
    return jnp.mean(adaptation.returns[..., -1])


def _adapt(setup: Setup, hyper: Hyper, params: AgentParams, task: Task, key: Key) -> Adaptation:
    key_own, key_paper = jax.random.split(key)
    amortised = _amortised(setup, hyper, params, task, key_paper)
    if setup.config.structure.inference == "amortised":
        return amortised
    own = _by_hypotheses(setup, hyper, params, task, key_own)
    return own._replace(amortised=amortised.returns)


def _amortised(setup: Setup, hyper: Hyper, params: AgentParams, task: Task, key: Key) -> Adaptation:
    """z from the encoder's posterior: independent draws, first from the prior."""
    s, space = setup.config.structure, setup.space
    names = ("prior", "noise", "reset", "kl")
    keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))

    def one_episode(total, inputs):
        index, prior_z, noise, reset_key = inputs
        z = space.transform(space.posterior(total), noise, hard=True)
        z = jnp.where(index < s.eval_prior_episodes, prior_z, z)
        seen = _episode(setup, params, task, z, reset_key)
        return total + _evidence(setup, hyper, params, seen), (seen, z, total)

    inputs = (
        jnp.arange(s.eval_episodes),
        space.sample_prior(keys["prior"], (s.eval_episodes,)),
        space.noise(keys["noise"], (s.eval_episodes,)),
        jax.random.split(keys["reset"], s.eval_episodes),
    )
    _, (seen, z, totals) = jax.lax.scan(one_episode, jnp.zeros(space.stat_dim), inputs)
    posterior = space.posterior(totals)
    return _record(seen, z, space.mean(posterior), space.kl(posterior, keys["kl"]))


def _by_hypotheses(
    setup: Setup, hyper: Hyper, params: AgentParams, task: Task, key: Key
) -> Adaptation:
    """z among draws from the prior: spread over all of them at first, then the one that promises
    the most, or one by their weights."""
    s, space, networks = setup.config.structure, setup.space, setup.networks
    names = ("start", "hypotheses", "positions", "reset", "kl", "choice")
    keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
    start = setup.env.observe(setup.env.reset(keys["start"], task))
    prior = hypotheses.draw(
        *(networks, space, params, start, setup.env.horizon, s.hypotheses, keys["hypotheses"])
    )

    def one_episode(carry, inputs):
        belief, total = carry
        index, position, reset_key, choice_key = inputs
        by_prior = index < s.eval_prior_episodes
        z = hypotheses.at(hypotheses.prior_where(belief, by_prior), position)
        if s.choice == "greedy":
            horizon = setup.env.horizon
            best = hypotheses.greedy(networks, params, belief, start, horizon, choice_key)
            z = jnp.where(by_prior, z, best)
        seen = _episode(setup, params, task, z, reset_key)
        after = hypotheses.update(networks, params, belief, seen, hyper.evidence_weight)
        total_after = total + _evidence(setup, hyper, params, seen)
        return (after, total_after), (seen, z, hypotheses.mean(belief), total)

    inputs = (
        jnp.arange(s.eval_episodes),
        hypotheses.positions(keys["positions"], s.eval_episodes, s.eval_prior_episodes),
        jax.random.split(keys["reset"], s.eval_episodes),
        jax.random.split(keys["choice"], s.eval_episodes),
    )
    carry = (prior, jnp.zeros(space.stat_dim))
    _, (seen, z, means, totals) = jax.lax.scan(one_episode, carry, inputs)
    return _record(seen, z, means, space.kl(space.posterior(totals), keys["kl"]))


def _episode(setup: Setup, params: AgentParams, task: Task, z: Array, key: Key) -> Transition:
    """One episode with the policy's mode, ``[H]``."""

    def act(obs, _):
        return jnp.tanh(setup.networks.policy(params.policy, obs, z)[0])

    no_noise = jnp.zeros((setup.env.horizon, setup.env.action_dim))
    return rollout.episode(setup.env, act, task, key, no_noise)


def _evidence(setup: Setup, hyper: Hyper, params: AgentParams, seen: Transition) -> Array:
    """What the encoder makes of an episode, ``[stat_dim]``."""
    features = inference.context_features(
        seen, hyper.context_reward_scale, setup.config.structure.next_obs_in_context
    )
    evidence = inference.evidence_of(setup.networks, setup.space, params.encoder, features)
    return setup.space.combine(evidence)


def _record(seen: Transition, z: Array, belief: Array, kl: Array) -> Adaptation:
    returns = jnp.sum(seen.reward, axis=-1)
    path = jnp.concatenate([seen.obs[:, :1], seen.next_obs], axis=1)
    return Adaptation(returns, returns, path, z, belief, kl)


def oracle_returns(setup: Setup, tasks: Task) -> Array:
    """Return of the controller that knows the task, ``[T]``."""
    return jax.vmap(setup.env.oracle_return)(tasks)
