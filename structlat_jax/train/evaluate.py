"""The adaptation protocol: what a trained agent does on tasks that it must find out about.

Per task and repeat: E episodes with a deterministic policy and one z each, or several (eval_draws),
each for its share of the steps. The first episodes draw z from the prior; the others from the
posterior given all that this evaluation has seen so far. An agent that acts on its belief is given
that instead, from the first step on. The replay is not an argument, so it cannot be read, and only
the task's own reward is used.
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Integer, PRNGKeyArray

from structlat_jax.config import Hyper
from structlat_jax.inference.base import Inference, Leads, Learned, Randomness
from structlat_jax.shapes import Episodes, Params, Task, data_to_keys, keys_to_data
from structlat_jax.train import rollout
from structlat_jax.train.setup import Setup


class Adaptation(NamedTuple):
    """The whole evaluation; all arrays lead with ``[T, repeats, E]``.

    Attributes:
      returns: Return of each episode, ``[T, R, E]``; headlines are reductions of this.
      encoder: The same where z comes from the encoder's posterior, as in the paper, whatever the
        configured inference is; its own episodes, ``[T, R, E]``. None if it was not asked for.
      success: 1.0 for episodes with a step at which `Env.success` holds, else 0.0, ``[T, R, E]``;
        None if the environment has none.
      length: Steps of each episode, ``[T, R, E]``.
      path: Observations from reset to the end, ``[T, R, E, H + 1, obs_dim]``; of an episode that
        ended early the last one stays.
      z: The latent of each episode, the first of them if there are several, ``[T, R, E, D]``; of an
        agent that acts on its belief the same as ``belief``.
      belief: Posterior mean of z given what was seen *before* the episode (the prior's mean for
        the first), ``[T, R, E, D]``.
      kl: KL to the prior of the encoder's posterior given the same, in nats,
        ``[T, R, E, blocks]``.
      reward: The task's own reward at each step, zero behind an episode's end, ``[T, R, E, H]``.
      spread: Posterior standard deviation of z, as `belief`, ``[T, R, E, D]``; None if the
        inference does not know it.
      leads: Where its hypotheses lead, ``obs [T, R, G, obs_dim]``, and how probable they are before
        each episode, ``weight [T, R, E, G]``; None if it has none.
    """

    returns: Float[Array, "T R E"]
    encoder: Float[Array, "T R E"] | None
    success: Float[Array, "T R E"] | None
    length: Int[Array, "T R E"]
    path: Float[Array, "T R E H+1 obs_dim"]
    z: Float[Array, "T R E D"]
    belief: Float[Array, "T R E D"]
    kl: Float[Array, "T R E blocks"]
    reward: Float[Array, "T R E H"] | None = None
    spread: Float[Array, "T R E D"] | None = None
    leads: Leads | None = None

    def __repr__(self) -> str:
        """Shapes, not the numbers, of which there may be millions."""
        known = {n: x for n, x in self._asdict().items() if x is not None and n != "leads"}
        return f"Adaptation({', '.join(f'{n} {list(jnp.shape(x))}' for n, x in known.items())})"


class Case(NamedTuple):
    """Who adapts, and to what."""

    setup: Setup
    hyper: Hyper
    learned: Learned
    task: Task


class References(NamedTuple):
    """What returns are held against, ``[T]`` each.

    Attributes:
      floor: Return of an untrained agent, z from the prior, or by the belief that nothing was seen.
      oracle: Of the best controller that knows the task; None where nobody knows it.
    """

    floor: Float[Array, " T"]
    oracle: Float[Array, " T"] | None


def evaluate(
    setup: Setup,
    hyper: Hyper,
    learned: Learned,
    tasks: Task,
    key: PRNGKeyArray,
    encoder: bool | None = None,
    repeat: Integer[ArrayLike, ""] | None = None,
) -> Adaptation:
    """Runs the protocol on tasks ``[T]``; a pure function of its arguments.

    Args:
      setup: Static.
      hyper: Traced hyper-parameters.
      learned: Of one seed.
      tasks: ``[T]``.
      key: For everything random.
      encoder: Whether the encoder's posterior is evaluated beside another inference; as configured
        by default.
      repeat: Which of the configured repeats, the one alone; all of them by default.
    """
    s = setup.structure
    beside = s.eval_encoder if encoder is None else encoder
    count = jax.tree.leaves(tasks)[0].shape[0]
    keys = jax.random.split(key, (count, s.eval_repeats))
    if repeat is not None:
        keys = keys[:, repeat, None]
    repeats = jax.vmap(
        lambda task, k: _adapt(Case(setup, hyper, learned, task), k, beside), in_axes=(None, 0)
    )
    # Task by task unless told otherwise: all hypotheses of all tasks at once would be 800 MB of
    # activations, which is half as fast on a CPU core, and one task's fill an accelerator.
    at_once = None if s.eval_at_once == 1 else min(s.eval_at_once, count)
    return jax.lax.map(lambda each: repeats(*each), (tasks, keys), batch_size=at_once)


def references(setup: Setup, untrained: Params, tasks: Task, key: PRNGKeyArray) -> References:
    """What an untrained agent and, if there is one, the oracle return on tasks ``[T]``.

    Args:
      setup: Static.
      untrained: Parameters as `learn.init` draws them.
      tasks: ``[T]``.
      key: For latents and resets.
    """
    repeats = setup.structure.eval_repeats
    key_z, key_reset = jax.random.split(key)
    count = jax.tree.leaves(tasks)[0].shape[0]
    z = setup.space.sample_prior(key_z, (count, repeats))
    resets = jax.random.split(key_reset, (count, repeats))

    def one(task, latent, reset):
        if setup.inference.condition is not None:
            latent = _unseen(setup, untrained, task)
        steps = jnp.arange(setup.env.horizon)
        seen = rollout.episode(setup.env, _mode(setup, untrained, latent), task, reset, steps)
        return jnp.sum(seen.transitions.reward)

    floor = jax.vmap(jax.vmap(one, in_axes=(None, 0, 0)))(tasks, z, resets)
    oracle = setup.env.oracle_return
    known = None if oracle is None else jnp.asarray(jax.vmap(oracle)(tasks), jnp.float32)
    return References(jnp.mean(floor, axis=1), known)


def _unseen(setup: Setup, untrained: Params, task: Task) -> Float[Array, " given"]:
    """What the policy of an agent that acts on its belief is given before anything was seen."""
    inference, learned = setup.inference, Learned(untrained, ())
    belief = inference.init(learned, None, None)
    if inference.told is not None:
        belief = inference.told(belief, task)
    return inference.condition(learned, belief)


def last_return(adaptation: Adaptation) -> Float[Array, ""]:
    """The headline: return of the last episode, mean over tasks and repeats."""
    return jnp.mean(adaptation.returns[..., -1])


def _adapt(case: Case, key: PRNGKeyArray, beside: bool) -> Adaptation:
    key_own, key_encoder = jax.random.split(key)
    chosen, encoder = case.setup.inference, case.setup.encoder
    amortised = chosen is encoder
    if not amortised:
        own = _by(chosen, case, key_own)
        if not beside:
            return own
    paper = _by(encoder, case, key_encoder)
    return (paper if amortised else own)._replace(encoder=paper.returns)


def _by(inference: Inference, case: Case, key: PRNGKeyArray) -> Adaptation:
    """The protocol with one inference."""
    s, env = case.setup.structure, case.setup.env
    random = inference.randomness(key, s.eval_episodes, s.eval_prior_episodes, s.eval_draws)
    start = None if random.start is None else env.observe(env.reset(random.start, case.task))
    unseen = inference.init(case.learned, random.init, start)
    if inference.condition is None:
        seen, z, notes = _episodes(inference, case, unseen, random)
    else:
        seen, notes = _on_belief(inference, case, unseen, random)
    mean, kl = inference.summary(notes, random.summary)
    if inference.condition is not None:
        z = mean
    return Adaptation(
        returns=jnp.sum(seen.transitions.reward, axis=-1),
        encoder=None,
        success=None if env.success is None else seen.success,
        length=seen.length,
        path=rollout.path(seen),
        z=z,
        belief=mean,
        kl=kl,
        reward=seen.transitions.reward,
        spread=None if inference.spread is None else inference.spread(notes),
        leads=None if inference.leads is None else inference.leads(unseen, notes),
    )


def _episodes(
    inference: Inference, case: Case, belief: Any, random: Randomness
) -> tuple[Episodes, Float[Array, "E D"], Any]:
    """All episodes of an adaptation, with the policy's mode.

    Returns:
      Episodes ``[E]``; of each its first z ``[E, D]``, and what `Inference.note` says of the belief
      before it.
    """
    setup, hyper, learned, task = case
    s, env = setup.structure, setup.env
    bounds = [env.horizon * i // s.eval_draws for i in range(s.eval_draws + 1)]

    def one_episode(belief, inputs):
        index, *data = inputs
        reset_key, choices = data_to_keys(tuple(data), own)
        note, state, ended = inference.note(belief), env.reset(reset_key, task), jnp.bool_(False)
        latents, parts = [], []
        for part, (begin, end) in enumerate(itertools.pairwise(bounds)):
            choice = jax.tree.map(lambda x, part=part: x[part], choices)
            obs, left = env.observe(state), env.horizon - begin
            # The condition is the same for all tasks and seeds, so that only one branch runs.
            z = jax.lax.cond(
                index < s.eval_prior_episodes,
                lambda b, c: inference.prior(b, c),
                lambda b, c, o=obs, n=left: inference.choose(learned, b, o, n, c),
                *(belief, choice),
            )
            act, steps = _mode(setup, learned.agent, z), jnp.arange(begin, end)
            state, ended, seen = rollout.steps(env, act, task, state, ended, steps)
            belief = inference.update(learned, hyper, belief, seen.transitions, seen.length)
            latents.append(z)
            parts.append(seen)
        return belief, (rollout.join(parts), latents[0], note)

    own = (jax.random.split(random.reset, s.eval_episodes), random.choices)
    # As integers: where tasks or repeats are an axis, the inputs of a loop are transposed, which
    # jax's checker of keys takes for a use of them.
    inputs = (jnp.arange(s.eval_episodes), *keys_to_data(own))
    return jax.lax.scan(one_episode, belief, inputs)[1]


def _on_belief(
    inference: Inference, case: Case, belief: Any, random: Randomness
) -> tuple[Episodes, Any]:
    """All episodes of an adaptation of an agent that acts on its belief, with the policy's mode.

    Returns:
      Episodes ``[E]``, and what `Inference.note` says of the belief before each.
    """
    setup, hyper, learned, task = case
    s, env = setup.structure, setup.env
    if inference.told is not None:
        belief = inference.told(belief, task)
    noise = jnp.zeros((s.eval_episodes, env.horizon, env.action_dim))
    if inference.explores:
        first = jnp.arange(s.eval_episodes) < s.blind_episodes
        drawn = jax.random.normal(random.choices, noise.shape)
        noise = jnp.where(first[:, None, None], drawn, noise)

    def act(obs, condition, step_noise):
        noise = step_noise if inference.explores else None
        return setup.algorithm.act(learned.agent, obs, condition, noise)

    resets = jax.random.split(random.reset, s.eval_episodes)
    given = (learned, hyper, task, belief, resets, noise)
    return rollout.trial(env, inference, act, *given)


def _mode(setup: Setup, params: Params, z: Float[Array, " D"]) -> rollout.Act:
    return lambda obs, _: setup.algorithm.act(params, obs, z, None)
