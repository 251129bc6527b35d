"""Hypotheses and their world model as an inference, beside the encoder's sum of evidence."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from structlat_jax.algos.base import Algorithm
from structlat_jax.algos.schedules import step_size_share
from structlat_jax.inference import additive, decoder, hypotheses, world_model
from structlat_jax.inference.base import Inference, Leads, Learned, Plan
from structlat_jax.inference.hypotheses import Hypotheses, Reader
from structlat_jax.inference.imagined import Act
from structlat_jax.inference.world_model import WorldModel
from structlat_jax.nets import optim
from structlat_jax.parts import Parts
from structlat_jax.shapes import Array


class Belief(NamedTuple):
    """What is believed of a task.

    Attributes:
      hypotheses: Draws from the prior, weighed by what was seen.
      total: The encoder's evidence, ``[stat_dim]``, whose KL is reported.
    """

    hypotheses: Hypotheses
    total: Array


class Note(NamedTuple):
    """What is recorded of a belief.

    Attributes:
      mean, spread: Of z under the hypotheses, ``[D]`` each.
      weight: Of their groups, ``[G]``.
      total: As in `Belief`.
    """

    mean: Array
    spread: Array
    weight: Array
    total: Array


def make(parts: Parts, algorithm: Algorithm, model: WorldModel | None = None) -> Inference:
    """Bayes' rule over draws from the prior, read through where they lead; see `hypotheses`.

    Args:
      parts: Of the run.
      algorithm: Imagined episodes act by its mode, and the world model is fitted to z from its
        posteriors.
      model: The world model; of the configured width by default.
    """
    s, env = parts.structure, parts.env
    if model is None:
        model = world_model.make(s.world_width, env.obs_dim, env.action_dim)
    made = _make("hypotheses", parts, algorithm, world_model.reader(model), lambda x: x.inference)
    return dataclasses.replace(
        made,
        zeros=model.zeros,
        small_heads=world_model.SMALL_HEADS,
        moments=optim.init,
        fit=_fitter(parts, algorithm, model),
    )


def make_decoded(parts: Parts, algorithm: Algorithm, changes: bool = False) -> Inference:
    """The same, read through z by the algorithm's decoder, which it has where training tasks have
    posteriors of their own; see `decoder.reader`.

    Args:
      parts: Of the run.
      algorithm: As for `make`.
      changes: Whether the changes of observations are evidence beside rewards.
    """
    s, env = parts.structure, parts.env
    model = decoder.make(s.decoder_width, env.obs_dim, env.action_dim, parts.space.dim)

    def own(learned):
        return learned.agent.decoder, learned.agent.scale

    name = "explained" if changes else "decoded"
    return _make(name, parts, algorithm, decoder.reader(model, changes), own)


def _make(
    name: str,
    parts: Parts,
    algorithm: Algorithm,
    reader: Reader,
    own: Callable[[Learned], Any],
) -> Inference:
    """The record, but for what it has to learn; ``own`` says what the reader's parameters are."""
    s, env, space, networks = parts.structure, parts.env, parts.space, parts.networks
    act = algorithm.act
    observe = additive.observer(networks, space, s.next_obs_in_context)

    def mode(learned: Learned) -> Act:
        return lambda obs, z: act(learned.agent, obs, z, None)

    def plan(key, episodes, strata, draws):
        names = ("start", "hypotheses", "positions", "reset", "kl", "choice")
        keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
        places = hypotheses.positions(keys["positions"], episodes, strata, draws)
        choices = (places, jax.random.split(keys["choice"], (episodes, draws)))
        return Plan(keys["start"], keys["hypotheses"], choices, keys["reset"], keys["kl"])

    def init(learned, key, obs):
        drawn = hypotheses.draw(
            *(reader, own(learned), mode(learned), space, obs, env.horizon, s.hypotheses, key)
        )
        return Belief(drawn, jnp.zeros(space.stat_dim))

    def update(learned, hyper, belief, seen, length):
        weights = (hyper.evidence_weight, hyper.change_steps)
        after = hypotheses.update(reader, own(learned), belief.hypotheses, seen, length, *weights)
        return Belief(after, observe(learned, hyper, belief.total, seen, length))

    def prior(belief, choice):
        unseen = hypotheses.prior_where(belief.hypotheses, jnp.bool_(True))
        return hypotheses.at(unseen, choice[0])

    def greedy(learned, belief, obs, left, key):
        given = (reader, own(learned), mode(learned))
        return hypotheses.greedy(*given, belief.hypotheses, obs, left, key)

    def choose(learned, belief, obs, left, choice):
        position, key = choice
        if s.choice == "thompson":
            return hypotheses.at(belief.hypotheses, position)
        return greedy(learned, belief, obs, left, key)

    def sample(belief, key):
        drawn = belief.hypotheses
        return drawn.z[jax.random.categorical(key, drawn.log_weights)]

    def summary(notes, key):
        return notes.mean, space.kl(space.posterior(notes.total), key)

    def note(belief):
        drawn = belief.hypotheses
        means, spreads = hypotheses.mean(drawn), hypotheses.spread(drawn)
        return Note(means, spreads, hypotheses.group_weights(drawn), belief.total)

    return Inference(
        name=name,
        plan=plan,
        init=init,
        update=update,
        prior=prior,
        choose=choose,
        sample=sample,
        note=note,
        summary=summary,
        spread=lambda notes: notes.spread,
        leads=lambda belief, notes: Leads(belief.hypotheses.leads, notes.weight),
        greedy=greedy,
    )


def _fitter(parts: Parts, algorithm: Algorithm, model: WorldModel) -> Any:
    """`Inference.fit`: the world model explains batches drawn as those of the agent's updates."""
    s, space, horizon = parts.structure, parts.space, parts.env.horizon

    def fit(hyper, state, sampler, key):
        lr = hyper.lr * step_size_share(hyper, state.updates)

        def mode(obs, z):
            return algorithm.act(state.params, obs, z, None)

        def body(carry, inputs):
            draws, noise = inputs
            batch = sampler.make(draws)
            posterior = algorithm.posterior(state.params, batch)
            z = jax.vmap(space.transform, in_axes=(None, 0))(posterior, noise)
            *carry, losses = world_model.update(
                model, *carry, mode, batch.transitions, batch.start, z, horizon, lr
            )
            return tuple(carry), losses

        key_draws, key_z = jax.random.split(key)
        draws = jax.vmap(sampler.draw)(jax.random.split(key_draws, s.world_updates))
        noise = space.noise(key_z, (s.world_updates, s.world_draws, s.meta_batch))
        carry = (state.inference_params, state.inference_moments)
        (params, moments), losses = jax.lax.scan(body, carry, (draws, noise))
        means = {f"world_{name}": jnp.mean(x) for name, x in losses._asdict().items()}
        return state._replace(inference_params=params, inference_moments=moments), means

    return fit
