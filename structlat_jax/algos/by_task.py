"""PEARL's actor-critic with a posterior of its own for every training task.

Training tasks are known, so that none of them has to be inferred while the critics learn what z is
to say: each has encoder outputs of its own, in a table or as they follow from its ground truth, and
z is drawn from the posterior that these stand for. The Bellman error, the KL and the decoder's loss
train them; the encoder learns by example, from the z that these posteriors draw, what a context
says of it. That parts learning z from finding out about z.

Beside the training tasks stand imagined ones, whose z is drawn from the prior and whose rewards the
decoder gives, and transitions too where tasks differ in them (after Lee and Chung 2021, who mix the
latent dynamics of training tasks): the critics and the policy learn what to do wherever the prior
is, and the encoder to infer z in tasks that are none of the training ones.

Blocks of z may open in turn: what is closed is drawn from the prior, so that its block can say
nothing and what pays most is said by the blocks before it. A block of another kind may be quicker
to say it, and would leave nothing to them (capacity that grows: Burgess et al. 2018). And blocks
behind the first may be asked how the observation changes, from the start and whether they are open
or not: a style that feedback undoes pays too little for a block to say it unasked.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from structlat_jax.algos import imagined_tasks
from structlat_jax.algos.base import ActorCritic
from structlat_jax.algos.known_tasks import KnownTasks, information, posterior_of
from structlat_jax.algos.pearl_sac import Coefficients
from structlat_jax.algos.soft import cool, tempered
from structlat_jax.data.batches import Batch
from structlat_jax.inference import additive, decoder
from structlat_jax.inference.decoder import Decoder, Scale
from structlat_jax.latents import LatentSpace
from structlat_jax.nets import optim
from structlat_jax.nets.networks import track
from structlat_jax.shapes import Params, Transition


class TaskParams(NamedTuple):
    """`AgentParams`, and what training tasks are known by.

    Attributes:
      encoder, q, v, target_v, policy, temperature: As there.
      table: What training tasks are known by; see `KnownTasks`.
      decoder: The decoder's.
      scale: Of what it predicts; no gradient changes it.
    """

    encoder: Params
    q: Params
    v: Params
    target_v: Params
    policy: Params
    table: Params
    decoder: Params
    scale: Any
    temperature: Params = ()


class TaskOptimisers(NamedTuple):
    """Adam's moments, one state per loss."""

    encoder: optax.OptState
    q: optax.OptState
    v: optax.OptState
    policy: optax.OptState
    table: optax.OptState
    decoder: optax.OptState
    temperature: optax.OptState = ()


class TaskLosses(NamedTuple):
    """What an update reports, scalars but for ``kl``.

    Attributes:
      q, v, policy, kl, q_mean, entropy: As in `pearl_sac.Losses`; the KL is that of the tasks' own
        posteriors.
      information: What z tells of the task's number, in nats; see `known_tasks`.
      q_imagined: The Bellman error on imagined tasks.
      encoder: Minus the log-density of z given a context, in nats.
      decoder_reward, decoder_shaped, decoder_change: Minus the decoder's log-density, in nats per
        transition, of the task's own reward, the shaped one, and the change of the observation.
    """

    q: Float[Array, ""]
    v: Float[Array, ""] | None
    policy: Float[Array, ""]
    kl: Float[Array, " blocks"]
    q_mean: Float[Array, ""]
    entropy: Float[Array, ""]
    information: Float[Array, ""]
    q_imagined: Float[Array, ""]
    encoder: Float[Array, ""]
    decoder_reward: Float[Array, ""]
    decoder_shaped: Float[Array, ""]
    decoder_change: Float[Array, ""]


class Static(NamedTuple):
    """What is static.

    Attributes:
      actor, space, decoder: As they are.
      known: What training tasks are known by.
      imagined: Whether a task that nobody has met stands beside every task of an update.
      next_obs: Whether tasks differ in their dynamics, so that the encoder sees the next
        observation, and imagined tasks have transitions of their own.
      changes: Whether blocks of z behind the first are asked, from the start, how the observation
        changes.
    """

    actor: ActorCritic
    space: LatentSpace
    decoder: Decoder
    known: KnownTasks
    imagined: bool
    next_obs: bool
    changes: bool


def init_optimisers(params: TaskParams) -> TaskOptimisers:
    """Fresh Adam states."""
    return TaskOptimisers(*(optim.init(getattr(params, x)) for x in TaskOptimisers._fields))


def update(
    static: Static, params: TaskParams, optimisers: TaskOptimisers, batch: Batch, c: Coefficients
) -> tuple[TaskParams, TaskOptimisers, TaskLosses]:
    """One update: critics, table, decoder and encoder at once, then value, target, policy.

    Args:
      static: What is static.
      params: All parameters.
      optimisers: Adam's moments.
      batch: One batch.
      c: Coefficients.

    Returns:
      New parameters, new moments, and the losses.
    """
    params = params._replace(scale=decoder.track(params.scale, batch.transitions))
    c = tempered(params, c)
    trained = {name: getattr(params, name) for name in ("encoder", "q", "table", "decoder")}
    grads, aux = jax.grad(_loss, has_aux=True)(trained, params, static, batch, c)
    rates = {"encoder": c.encoder_lr, "q": c.lr, "table": c.encoder_lr, "decoder": c.lr}
    stepped = {
        name: optim.adam(trained[name], grads[name], getattr(optimisers, name), rate)
        for name, rate in rates.items()
    }
    q = stepped["q"][0]
    noise = batch.action_noise
    if static.imagined:
        noise = jnp.concatenate([noise, batch.imagined.action])
    both = batch._replace(transitions=aux.transitions, action_noise=noise)
    made = static.actor.improve(params, q, optimisers, both, aux.z, c)
    heat, opt_heat = cool(params, optimisers, made.entropy, batch, c)
    new_params = params._replace(
        temperature=heat,
        **{name: value for name, (value, _) in stepped.items()},
        **{name: getattr(made, name) for name in ("v", "target_v", "policy")},
    )
    new_optimisers = TaskOptimisers(
        **{name: state for name, (_, state) in stepped.items()},
        v=made.opt_v,
        policy=made.opt_policy,
        temperature=opt_heat,
    )
    new_params = track(static.actor.networks, new_params, batch.transitions.obs)
    own = {"v": made.loss_v, "policy": made.loss_policy, "entropy": made.entropy}
    return new_params, new_optimisers, TaskLosses(**aux.terms, **own)


class _Aux(NamedTuple):
    """What the loss hands on: transitions and latents of real and imagined tasks, without
    gradient, and its terms."""

    transitions: Transition
    z: Float[Array, "T D"]
    terms: dict[str, Array]


def _loss(
    trained: dict[str, Params], params: TaskParams, static: Static, batch: Batch, c: Coefficients
) -> tuple[Float[Array, ""], _Aux]:
    """The sum of what trains the critics and the table (Bellman error on real and imagined tasks,
    KL), the decoder (its likelihood, and what it asks of the table; see `_fit_decoder`), and the
    encoder (the likelihood of z given contexts, real and imagined)."""
    space, t = static.space, batch.transitions
    posterior = posterior_of(space, static.known, trained["table"], batch.tasks)
    own = space.transform(posterior, batch.latent_noise)
    z = jnp.where(space.block_of < c.open_blocks, own, batch.imagined.z)
    read = own if static.changes else z  # the decoder's: what it asks for is open to it
    fixed = jax.lax.stop_gradient(read)
    kl = space.kl(posterior, batch.kl_key)
    # What is closed says nothing, so that nothing is asked of its mean posterior.
    said = jnp.arange(len(space.blocks)) < c.open_blocks
    told = information(space, static.known, trained["table"], posterior, z, said)
    # How far the mean of the posteriors is from the prior, per task.
    apart = jnp.sum(jnp.where(said, kl, 0.0)) - jnp.sum(told)

    fit, asked = _fit_decoder(trained["decoder"], params.scale, static, t, read, c)
    model = jax.lax.stop_gradient(trained["decoder"])
    wide, every = t, z
    if static.imagined:
        given = (model, params.scale, t, fixed, batch.imagined.z)
        there = imagined_tasks.imagine(static.decoder, *given, moves=static.next_obs)
        wide = jax.tree.map(lambda *x: jnp.concatenate(x), t, there)
        every = jnp.concatenate([z, batch.imagined.z])
    error, q_tm1 = static.actor.bellman_error(
        trained["q"], params, wide, every, c, batch.next_noise
    )
    errors = jnp.sum(jnp.mean(error**2, axis=2), axis=0)  # the critics' are added, as in PEARL
    bellman = jnp.mean(errors[: len(z)])
    on_imagined = jnp.mean(errors[len(z) :]) if static.imagined else jnp.zeros(())

    encoder = _encoder_loss(trained["encoder"], model, params.scale, static, batch, fixed, c)
    loss = bellman + on_imagined + c.kl_weight * jnp.sum(kl) + c.aggregate_weight * apart + encoder
    loss += sum(fit) + asked
    terms = {
        "q": bellman,
        "kl": jnp.mean(kl, axis=0),
        "information": jnp.mean(told),
        "q_mean": jnp.mean(q_tm1),
        "q_imagined": on_imagined,
        "encoder": encoder,
        **{f"decoder_{name}": value for name, value in fit._asdict().items()},
    }
    return loss, _Aux(wide, jax.lax.stop_gradient(every), terms)


def _fit_decoder(
    trained: Params,
    scale: Scale,
    static: Static,
    t: Transition,
    z: Float[Array, "T D"],
    c: Coefficients,
) -> tuple[decoder.LogDensity, Float[Array, ""]]:
    """Minus the decoder's log-density, means over transitions, of which ``decoder_weight`` reaches
    the table; and the loss by which it asks more of the table alone.

    Where blocks behind the first are asked for changes of the observation, these reach them as
    half a squared error in units of the changes' spread. A density's gradient is that over a
    squared deviation, next to nothing while nobody knows a style, and without bound once every task
    is known by heart.
    """
    fixed = jax.lax.stop_gradient(z)
    weighed = fixed + c.decoder_weight * (z - fixed)  # the value is that at z
    fit = _misfit(static, trained, scale, t, weighed)
    if not static.changes:
        return fit, jnp.zeros(())
    blind = _misfit(static, trained, scale, t, fixed)
    later = jnp.where(static.space.block_of == 0, fixed, fixed + c.change_weight * (z - fixed))
    held = jax.lax.stop_gradient(trained)
    error = decoder.change_error(static.decoder, held, scale, t, later[:, None])
    return fit._replace(change=blind.change), error


def _misfit(
    static: Static, trained: Params, scale: Scale, t: Transition, z: Float[Array, "T D"]
) -> decoder.LogDensity:
    found = decoder.log_density(static.decoder, trained, scale, t, z[:, None])
    return jax.tree.map(lambda x: -jnp.mean(x), found)


def _encoder_loss(
    encoder: Params,
    own: Params,
    scale: Scale,
    static: Static,
    batch: Batch,
    z: Float[Array, "M D"],
    c: Coefficients,
) -> Float[Array, ""]:
    """``-log q(z | context)``, means over the tasks and over as many imagined ones.

    These lie between a task and a draw from the prior, close to the task more often than not: what
    its context has found is of use there still.
    """
    context, imagined = batch.context, batch.imagined
    blend = imagined.blend[:, None] ** 2
    between = z + blend * (imagined.z - z)
    seen = imagined_tasks.simulate(static.decoder, own, scale, context, between, imagined.paid)
    features = additive.context_features(seen, c.context_reward_scale, static.next_obs)
    both = jnp.stack([context.features, jax.lax.stop_gradient(features)])
    evidence = additive.evidence_of(static.actor.networks, static.space, encoder, both)
    totals = jax.vmap(
        lambda one: additive.totals_of(static.space, one, context.owners, context.length)
    )(evidence)
    posterior = static.space.posterior(totals)
    return -jnp.sum(static.space.log_prob(posterior, jnp.stack([z, between]))) / len(z)
