"""The adaptation protocol: what a trained agent does on tasks that it must find out about.

Per task and repeat: E episodes with a deterministic policy and one z each, or several (eval_draws),
each for its share of the steps. The first episodes draw z from the prior; the others from the
posterior given all that this evaluation has seen so far. The replay is not an argument, so it
cannot be read, and only the task's own reward is used.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from structlat_jax.config import Hyper
from structlat_jax.inference import additive, hypotheses
from structlat_jax.nets.networks import AgentParams
from structlat_jax.train import rollout
from structlat_jax.train.setup import Setup
from structlat_jax.types import Array, Key, Task, Transition


class Adaptation(NamedTuple):
    """The whole evaluation; all arrays lead with ``[T, repeats, E]``.

    Attributes:
      returns: Return of each episode, ``[T, R, E]``; headlines are reductions of this.
      amortised: The same where z comes from the encoder's posterior, as in the paper, whatever
        the configured inference is; its own episodes, ``[T, R, E]``.
      path: Observations from reset to the end, ``[T, R, E, H + 1, obs_dim]``.
      z: The latent of each episode, the first of them if there are several, ``[T, R, E, D]``.
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
    shape = (s.eval_episodes, s.eval_draws)

    def choose(total, by_prior, obs, left, draws):
        del obs, left
        prior_z, noise = draws
        return jnp.where(
            by_prior, prior_z, space.transform(space.posterior(total), noise, hard=True)
        )

    def learn(total, seen):
        return total + _evidence(setup, hyper, params, seen)

    draws = (space.sample_prior(keys["prior"], shape), space.noise(keys["noise"], shape))
    protocol = _Protocol(choose, learn, lambda total: total)
    start = jnp.zeros(space.stat_dim)
    seen, z, totals = _episodes(setup, params, task, keys["reset"], protocol, start, draws)
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

    def choose(carry, by_prior, obs, left, draws):
        belief, (position, choice_key) = carry[0], draws
        z = hypotheses.at(hypotheses.prior_where(belief, by_prior), position)
        if s.choice == "thompson":
            return z
        # The condition is the same for all tasks and seeds, so that only one branch runs.
        return jax.lax.cond(
            by_prior,
            lambda: z,
            lambda: hypotheses.greedy(networks, params, belief, obs, left, choice_key),
        )

    def learn(carry, seen):
        belief, total = carry
        after = hypotheses.update(networks, params, belief, seen, hyper.evidence_weight)
        return after, total + _evidence(setup, hyper, params, seen)

    draws = (
        hypotheses.positions(
            keys["positions"], s.eval_episodes, s.eval_prior_episodes, s.eval_draws
        ),
        jax.random.split(keys["choice"], (s.eval_episodes, s.eval_draws)),
    )
    protocol = _Protocol(choose, learn, lambda carry: (hypotheses.mean(carry[0]), carry[1]))
    carry = (prior, jnp.zeros(space.stat_dim))
    seen, z, (means, totals) = _episodes(setup, params, task, keys["reset"], protocol, carry, draws)
    return _record(seen, z, means, space.kl(space.posterior(totals), keys["kl"]))


class _Protocol(NamedTuple):
    """What `_episodes` asks of an inference; a belief is whatever it carries.

    Attributes:
      choose: ``(belief, whether by the prior, obs, steps left, its draws)`` to z ``[D]``.
      learn: ``(belief, transitions)`` to a belief.
      say: A belief to what is to be recorded of it.
    """

    choose: Callable[[Any, Array, Array, int, Any], Array]
    learn: Callable[[Any, Transition], Any]
    say: Callable[[Any], Any]


def _episodes(
    setup: Setup,
    params: AgentParams,
    task: Task,
    key: Key,
    protocol: _Protocol,
    belief: Any,
    draws: Any,
) -> tuple[Transition, Array, Any]:
    """All episodes of an evaluation, with the policy's mode.

    Args:
      setup, params, task: As for `evaluate`.
      key: For the resets.
      protocol: The inference.
      belief: Before the first episode.
      draws: Random numbers for its choices, ``[E, eval_draws, ...]``.

    Returns:
      Transitions ``[E, H]``; of each episode its first z ``[E, D]``, and what `_Protocol.say` says
      of the belief before it.
    """
    s, env = setup.config.structure, setup.env
    bounds = [env.horizon * i // s.eval_draws for i in range(s.eval_draws + 1)]

    def act_on(z):
        return lambda obs, _: jnp.tanh(setup.networks.policy(params.policy, obs, z)[0])

    def one_episode(belief, inputs):
        index, reset_key, draws = inputs
        by_prior = index < s.eval_prior_episodes
        before, state, latents, parts = belief, env.reset(reset_key, task), [], []
        for part, (begin, end) in enumerate(itertools.pairwise(bounds)):
            own = jax.tree.map(lambda x, part=part: x[part], draws)
            left = env.horizon - begin
            z = protocol.choose(belief, by_prior, env.observe(state), left, own)
            no_noise = jnp.zeros((end - begin, env.action_dim))
            state, seen = rollout.steps(env, act_on(z), task, state, no_noise)
            belief = protocol.learn(belief, seen)
            latents.append(z)
            parts.append(seen)
        seen = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
        return belief, (seen, latents[0], protocol.say(before))

    resets = jax.random.split(key, s.eval_episodes)
    inputs = (jnp.arange(s.eval_episodes), resets, draws)
    return jax.lax.scan(one_episode, belief, inputs)[1]


def _evidence(setup: Setup, hyper: Hyper, params: AgentParams, seen: Transition) -> Array:
    """What the encoder makes of an episode, ``[stat_dim]``."""
    features = additive.context_features(
        seen, hyper.context_reward_scale, setup.config.structure.next_obs_in_context
    )
    evidence = additive.evidence_of(setup.networks, setup.space, params.encoder, features)
    return setup.space.combine(evidence)


def _record(seen: Transition, z: Array, belief: Array, kl: Array) -> Adaptation:
    returns = jnp.sum(seen.reward, axis=-1)
    path = jnp.concatenate([seen.obs[:, :1], seen.next_obs], axis=1)
    return Adaptation(returns, returns, path, z, belief, kl)


def oracle_returns(setup: Setup, tasks: Task) -> Array:
    """Return of the controller that knows the task, ``[T]``."""
    return jax.vmap(setup.env.oracle_return)(tasks)
