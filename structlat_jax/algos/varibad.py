"""VariBAD (Zintgraf et al. 2020), with a belief in any latent space.

A recurrent network says after every step what it believes of z, as evidence about any blocks. A
decoder that reads z predicts every transition of the trial, past and future; together they follow
the bound

    mean_t [ mean over steps of -log p(r, s' | s, a, z_t) + belief_kl / L * KL_t ],

over steps of the whole trial (`some_steps` of it), z_t drawn from the belief after t steps, KL_t
that of this belief to the one before it (the first to the prior), L the steps of a trial; trials
come from a memory of their own. The policy is given the belief's parameters, without a gradient
into the belief, and learns by `ppo`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, ScalarLike

from structlat_jax.algos import ppo
from structlat_jax.algos.actor import initial_targets, make_actor
from structlat_jax.algos.base import Algorithm, Learner, OnPolicy
from structlat_jax.algos.schedules import step_size_share
from structlat_jax.data.replay import RowLayout
from structlat_jax.inference import belief, decoder
from structlat_jax.inference import recurrent as inference
from structlat_jax.inference.decoder import Decoder, Scale
from structlat_jax.latents import LatentSpace, block_names
from structlat_jax.nets import optim, recurrent
from structlat_jax.nets.networks import SMALL_HEADS
from structlat_jax.parts import Parts
from structlat_jax.shapes import Key, Params, Transition

POINTS = 8
"""Steps of a trial whose beliefs a decoder is asked about in one update, the start among them."""

ASKED = 64
"""Transitions that these are to predict, or all of a shorter trial."""


class BeliefParams(NamedTuple):
    """Parameters.

    Attributes:
      encoder: ``net``, the recurrent network, and ``head``, what its state says of z.
      decoder: The decoder's.
      scale: Of what it predicts; no gradient changes it.
      policy, v, targets: As in `rl2.RecurrentParams`.
    """

    encoder: Params
    decoder: Params
    scale: Any
    policy: Params
    v: Params
    targets: Any


class Memory(NamedTuple):
    """The last meta-steps' trials in a ring, one block for each.

    Attributes:
      rows: Packed transitions, ``[blocks, M, L, row]``.
      valid, last: Which steps were taken, and which end an episode, ``[blocks, M, L]``.
      written: Blocks written so far, an int32 scalar.
    """

    rows: Float[Array, "blocks M L row"]
    valid: Bool[Array, "blocks M L"]
    last: Bool[Array, "blocks M L"]
    written: Array


class Remembered(NamedTuple):
    """Some trials for an update of the belief, ``[K, L]`` each."""

    transitions: Transition
    valid: Array
    last: Array


def remember(memory: Memory, layout: RowLayout, t: Transition, valid: Array, last: Array) -> Memory:
    """The memory with one more block, over the oldest."""
    at = memory.written % memory.rows.shape[0]
    return Memory(
        rows=memory.rows.at[at].set(layout.pack(t)),
        valid=memory.valid.at[at].set(valid),
        last=memory.last.at[at].set(last),
        written=memory.written + 1,
    )


def recall(memory: Memory, layout: RowLayout, count: int, key: Key) -> Remembered:
    """So many trials, drawn evenly from all that are kept."""
    blocks, trials = memory.valid.shape[:2]
    kept = jnp.minimum(memory.written, blocks) * trials
    place = jax.random.randint(key, (count,), 0, kept)
    at = (place // trials, place % trials)
    return Remembered(layout.unpack(memory.rows[at]), memory.valid[at], memory.last[at])


def bound(
    space: LatentSpace,
    model: Decoder,
    params: dict[str, Params],
    scale: Scale,
    seen: Remembered,
    features: Float[Array, "K L F"],
    weight: ScalarLike,
    key: Key,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """The loss of the belief and the decoder; see the head of this module.

    Args:
      space, model: Static.
      params: ``encoder`` and ``decoder``.
      scale: The decoder's.
      seen: Trials.
      features: What the recurrent network is given of them.
      weight: ``belief_kl``.
      key: For the draws.

    Returns:
      The loss, and by name ``decoder_reward``, ``decoder_shaped`` and ``decoder_change`` (minus
      log-densities in nats per transition), ``learned`` (sum of all KL_t of a trial, nats), and
      ``kl [blocks]`` (of the last belief to the prior, nats).
    """
    key_at, key_z, key_asked, key_kl, key_prior = jax.random.split(key, 5)
    count, steps = seen.valid.shape
    start = jnp.zeros((count, params["encoder"]["net"]["state"]["kernel_head"].shape[0]))
    hidden = recurrent.states(params["encoder"]["net"], start, features, seen.valid)
    total = inference.total_of(space, params["encoder"]["head"], hidden)
    posterior = space.posterior(total)

    # Evenly over the trial, its start always among them: one belief in each of so many parts.
    share = (jnp.arange(POINTS) - jax.random.uniform(key_at, (count, POINTS))) / (POINTS - 1)
    at = jnp.ceil(jnp.maximum(share, 0.0) * steps).astype(jnp.int32)
    asked = _at(posterior, at)
    z = space.transform(asked, space.noise(key_z, (count, POINTS)))
    every = jax.tree.map(lambda x: x[:, None], some_steps(seen, key_asked))
    density = decoder.log_density(model, params["decoder"], scale, every.transitions, z[:, :, None])
    counts = jnp.broadcast_to(every.valid, density.reward.shape)
    fit = {f"decoder_{n}": -ppo.mean_over(x, counts) for n, x in density._asdict().items()}

    first, last = (jax.tree.map(lambda x, i=i: x[:, i], posterior) for i in (0, -1))
    before, after = (jax.tree.map(lambda x, s=s: x[:, s], posterior) for s in _SHIFTED)
    moved = jnp.sum(space.kl_between(after, before, key_kl), axis=-1)
    key_first, key_last = jax.random.split(key_prior)
    to_prior = jnp.sum(space.kl(first, key_first), axis=-1)
    learned = jnp.mean(jnp.sum(jnp.where(seen.valid, moved, 0.0), axis=1) + to_prior)
    loss = sum(fit.values()) + weight * learned / steps**2
    kl = jnp.mean(space.kl(last, key_last), axis=0)
    return loss, {**fit, "learned": learned, "kl": kl}


_SHIFTED = (slice(None, -1), slice(1, None))


def some_steps(seen: Remembered, key: Key) -> Remembered:
    """`ASKED` steps of each trial, evenly over it: one in each of so many parts."""
    count, steps = seen.valid.shape
    if steps <= ASKED:
        return seen
    place = (jnp.arange(ASKED) + jax.random.uniform(key, (count, ASKED))) * (steps / ASKED)
    at = jnp.minimum(place.astype(jnp.int32), steps - 1)
    return _at(seen, at)


def _at(x: Any, at: Array) -> Any:
    """Steps ``[K, N]`` of what has so many of each trial, ``[K, L, ...]``."""
    return jax.tree.map(lambda leaf: jax.vmap(lambda own, i: own[i])(leaf, at), x)


def make(parts: Parts) -> Algorithm:
    """The record. Its metrics are those of `rl2.make`, those of `bound`, and ``kl BLOCK``."""
    s, env, space, layout = parts.structure, parts.env, parts.space, parts.layout
    width = belief.width(space)
    actor = make_actor(s.width, s.depth, env.obs_dim, env.action_dim, width)
    model = decoder.make(s.decoder_width, env.obs_dim, env.action_dim, space.dim)
    sizes, names = (s.updates_per_step, s.minibatches), block_names(space)
    count, steps = s.train_tasks * s.task_trials, s.trial_episodes * env.horizon

    def zeros():
        head = {"kernel_head": jnp.zeros((s.hidden, space.stat_dim))}
        head["bias_head"] = jnp.zeros(space.stat_dim)
        net = recurrent.zeros(inference.width(parts), s.hidden)
        own = {"decoder": model.zeros(), "scale": (), "targets": ()}
        return BeliefParams({"net": net, "head": head}, **actor.zeros(), **own)

    def begin(params):
        return params._replace(scale=decoder.initial_scale(env.obs_dim), targets=initial_targets())

    def moments(params):
        return {
            "actor": optim.init({"policy": params.policy, "v": params.v}),
            "belief": optim.init({"encoder": params.encoder, "decoder": params.decoder}),
        }

    def memory():
        shape = (s.kept_steps, count, steps)
        blank = jnp.zeros(shape, bool)
        return Memory(jnp.zeros((*shape, layout.width)), blank, blank, jnp.zeros((), jnp.int32))

    def given_of(encoder, features, valid):
        start = jnp.zeros((features.shape[0], s.hidden))
        hidden = recurrent.states(encoder["net"], start, features, valid)[:, :-1]
        return belief.describe(space, inference.total_of(space, encoder["head"], hidden))

    def believe(hyper, params, own, kept, lr, key):
        """The updates of the belief: parameters, moments, scale, and metrics, each a mean."""

        def body(carry, key):
            trained, own, scale = carry
            key_trials, key_bound = jax.random.split(key)
            seen = recall(kept, layout, s.belief_trials, key_trials)
            scale = decoder.track(scale, seen.transitions, seen.valid)
            features = inference.features(seen.transitions, seen.last, hyper.context_reward_scale)
            grads, terms = jax.grad(bound, argnums=2, has_aux=True)(
                *(space, model, trained, scale, seen, features, hyper.belief_kl, key_bound)
            )
            trained, own = optim.adam(trained, grads, own, lr)
            return (trained, own, scale), terms

        trained = {"encoder": params.encoder, "decoder": params.decoder}
        carry = (trained, own, params.scale)
        carry, terms = jax.lax.scan(body, carry, jax.random.split(key, s.belief_updates))
        return *carry, jax.tree.map(lambda x: jnp.mean(x, axis=0), terms)

    def learn(hyper, learner, trials, updates, key):
        params, (key_order, key_belief) = learner.params, jax.random.split(key)
        taken, t = ppo.taken_of(
            *(actor, params, hyper, trials),
            lambda features, valid: given_of(params.encoder, features, valid),
        )
        _, valid, last = inference.flat(trials.episodes)
        kept = remember(learner.memory, layout, t, valid, last)
        v, targets = ppo.rescaled(params.v, params.targets, taken)

        def objective(trained, some, c):
            return ppo.loss(actor, trained, targets, some, some.given, c)

        made, of_actor, terms = ppo.improve(
            *(objective, hyper, {"policy": params.policy, "v": v}, learner.moments["actor"]),
            *(taken, updates, sizes, key_order),
        )
        lr = hyper.encoder_lr * step_size_share(hyper, updates)
        own, of_belief, scale, told = believe(
            hyper, params, learner.moments["belief"], kept, lr, key_belief
        )
        kl = told.pop("kl")
        told |= {f"kl {name}": kl[i] for i, name in enumerate(names)}
        terms |= {name: jnp.full(sizes[0], x) for name, x in told.items()}
        new = BeliefParams(**own, **made, scale=scale, targets=targets)
        return Learner(new, {"actor": of_actor, "belief": of_belief}, kept), terms

    return Algorithm(
        name="varibad",
        zeros=zeros,
        small_heads=SMALL_HEADS,
        start=begin,
        moments=moments,
        act=lambda params, obs, z, noise: actor.act(params.policy, obs, z, noise),
        coefficients=ppo.coefficients_at,
        posterior=None,
        own_posterior=None,
        update=None,
        on_policy=OnPolicy(memory, learn),
        given=width,
    )
