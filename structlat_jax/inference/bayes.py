"""Hypotheses and their world model as an inference, beside the encoder's sum of evidence.

Where blocks of z behind the first say how the observation changes (`later_blocks`), Gaussian ones
are taken from the encoder: every transition speaks of them, which a product of factors is made for,
and few of many draws from the prior would be close in them and right about a reward as well.
Hypotheses then differ in the other blocks alone, and are read where a style is the prior's mean.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.algos.base import Algorithm
from structlat_jax.algos.schedules import step_size_share
from structlat_jax.inference import additive, decoder, hypotheses, world_model
from structlat_jax.inference.base import Inference, Leads, Learned, Randomness
from structlat_jax.inference.hypotheses import Hypotheses, Reader
from structlat_jax.inference.imagined import Act
from structlat_jax.inference.world_model import WorldModel
from structlat_jax.latents import LatentSpace
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
    reader = world_model.reader(model)
    made = _make("hypotheses", parts, algorithm, reader, lambda x: x.inference, styles_of(parts))
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

    name, styles = "decoded", styles_of(parts)
    if changes:
        name, styles = "explained", None  # they are evidence of all of z
    return _make(name, parts, algorithm, decoder.reader(model, changes), own, styles)


def styles_of(parts: Parts) -> np.ndarray | None:
    """Which numbers of z are taken from the encoder, ``[D]``; None if none is."""
    blocks, owner = parts.space.blocks, parts.space.block_of
    real = np.array([block.family == "gau" for block in blocks])[owner]
    s = parts.structure
    asked = s.tasks_are_known and s.later_blocks == "changes"
    return real & (owner > 0) if asked else None


def told(
    space: LatentSpace,
    styles: np.ndarray | None,
    of: Callable[[Any], Array],
    z: Array,
    total: Array,
) -> Array:
    """``z [..., D]``, and where the encoder tells it (`styles_of`) what is asked ``of`` its
    posterior given ``total``, for instance `LatentSpace.mean`."""
    return z if styles is None else jnp.where(styles, of(space.posterior(total)), z)


def _make(
    name: str,
    parts: Parts,
    algorithm: Algorithm,
    reader: Reader,
    own: Callable[[Learned], Any],
    styles: np.ndarray | None,
) -> Inference:
    """The record, but for what it has to learn; ``own`` says what the reader's parameters are, and
    ``styles`` what of z the encoder tells."""
    s, env, space, networks = parts.structure, parts.env, parts.space, parts.networks
    act = algorithm.act
    observe = additive.observer(networks, space, s.next_obs_in_context)

    def mode(learned: Learned) -> Act:
        return lambda obs, z: act(learned.agent, obs, z, None)

    def styled(z: Array, total: Array) -> Array:
        return told(space, styles, space.mean, z, total)

    def randomness(key, episodes, strata, draws):
        names = ("start", "hypotheses", "positions", "reset", "kl", "choice")
        keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
        places = hypotheses.positions(keys["positions"], episodes, strata, draws)
        choices = (places, jax.random.split(keys["choice"], (episodes, draws)))
        return Randomness(keys["start"], keys["hypotheses"], choices, keys["reset"], keys["kl"])

    def init(learned, key, obs):
        nothing = jnp.zeros(space.stat_dim)
        given = (reader, own(learned), mode(learned), space, obs, env.horizon, s.hypotheses, key)
        return Belief(hypotheses.draw(*given, held=lambda z: styled(z, nothing)), nothing)

    def update(learned, hyper, belief, seen, length):
        weights = (hyper.evidence_weight, hyper.change_steps)
        after = hypotheses.update(reader, own(learned), belief.hypotheses, seen, length, *weights)
        return Belief(after, observe(learned, hyper, belief.total, seen, length))

    def prior(belief, choice):
        unseen = hypotheses.prior_where(belief.hypotheses, jnp.bool_(True))
        return styled(hypotheses.at(unseen, choice[0]), belief.total)

    def greedy(learned, belief, obs, left, key):
        given = (reader, own(learned), mode(learned), belief.hypotheses)
        return styled(hypotheses.greedy(*given, obs, left, key), belief.total)

    def choose(learned, belief, obs, left, choice):
        position, key = choice
        if s.choice == "thompson":
            return styled(hypotheses.at(belief.hypotheses, position), belief.total)
        return greedy(learned, belief, obs, left, key)

    def sample(belief, key):
        drawn = belief.hypotheses
        z = drawn.z[jax.random.categorical(key, drawn.log_weights)]
        return styled(z, belief.total)

    def summary(notes, key):
        return notes.mean, space.kl(space.posterior(notes.total), key)

    def note(belief):
        drawn = belief.hypotheses
        means = styled(hypotheses.mean(drawn), belief.total)
        spread = hypotheses.spread(drawn)
        spreads = told(space, styles, space.deviation, spread, belief.total)
        return Note(means, spreads, hypotheses.group_weights(drawn), belief.total)

    return Inference(
        name=name,
        randomness=randomness,
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
    styles, nothing = styles_of(parts), jnp.zeros(space.stat_dim)

    def fit(hyper, state, sampler, key):
        lr = hyper.lr * step_size_share(hyper, state.updates)

        def mode(obs, z):
            return algorithm.act(state.params, obs, z, None)

        def body(carry, inputs):
            draws, noise = inputs
            batch = sampler.make(draws)
            posterior = algorithm.posterior(state.params, batch)
            z = jax.vmap(space.transform, in_axes=(None, 0))(posterior, noise)
            z = told(space, styles, space.mean, z, nothing)  # as hypotheses are read
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
