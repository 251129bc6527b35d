"""A belief that a recurrent network carries from step to step, across the episodes of a trial.

Every step gives it what was observed, done and paid, and whether the episode ended with it, by
itself or at the horizon (Duan et al. 2016; Wang et al. 2016; Zintgraf et al. 2020). What is handed
to the policy is its state (RL^2), or what it says of z in any latent space (VariBAD).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, ScalarLike, Shaped

from structlat_jax.inference import additive, belief, blank
from structlat_jax.inference.base import Inference
from structlat_jax.latents import LatentSpace
from structlat_jax.nets import recurrent
from structlat_jax.parts import Parts
from structlat_jax.shapes import Episodes, Params, Transition, within

_WORTH = 10.0  # transitions whose evidence the state counts as: families have that of one in view


class State(NamedTuple):
    """What is carried.

    Attributes:
      hidden: Of the recurrent network, ``[n]``.
      clock: Steps of the episode so far, an int32 scalar.
      total: What the state says of z, as evidence, ``[stat_dim]``; zero where it says nothing.
    """

    hidden: Float[Array, " n"]
    clock: Int[Array, ""]
    total: Float[Array, " stat"]


def features(
    t: Transition, last: Shaped[ArrayLike, "*batch"], scale: ScalarLike
) -> Float[Array, "*batch features"]:
    """What the network is given of transitions: observation, action, the task's own reward times
    ``scale``, next observation, and 1 where an episode ended."""
    seen = additive.context_features(t, scale, True)
    return jnp.concatenate([seen, jnp.asarray(last, jnp.float32)[..., None]], axis=-1)


def width(parts: Parts) -> int:
    """Numbers in `features`."""
    return 2 * parts.env.obs_dim + parts.env.action_dim + 2


def flat(episodes: Episodes) -> tuple[Transition, Array, Array]:
    """The steps of trials of episodes ``[M, E]`` one after the other, ``[M, E * H]``: transitions,
    which of them count, and which end an episode."""
    t, length = episodes.transitions, episodes.length
    horizon = t.reward.shape[-1]
    counts, at = within(length, horizon), jnp.arange(horizon)
    last = at == length[..., None] - 1

    def join(x):
        return x.reshape(x.shape[0], -1, *x.shape[3:])

    return jax.tree.map(join, (t, counts, last))


def total_of(space: LatentSpace, head: Params, hidden: Array) -> Float[Array, "*batch stat"]:
    """What states ``[..., n]`` say of z, as evidence ``[..., stat_dim]``."""
    raw = hidden @ head["kernel_head"] + head["bias_head"]
    return _WORTH * space.evidence(raw)


def make(parts: Parts, of_z: bool) -> Inference:
    """The inference.

    Args:
      parts: Of the run.
      of_z: Whether the policy is given what the state says of z, as `belief.describe` puts it, and
        not the state itself.
    """
    s, env, space = parts.structure, parts.env, parts.space

    def total(params, hidden):
        return total_of(space, params["head"], hidden) if of_z else blank.nothing(space)

    def init(learned, key, obs):
        del key, obs
        hidden = jnp.zeros(s.hidden)
        return State(hidden, jnp.zeros((), jnp.int32), total(learned.agent.encoder, hidden))

    def update(learned, hyper, carried, seen, length):
        params = learned.agent.encoder

        def step(carried, inputs):
            t, counts = inputs
            clock = carried.clock + 1
            last = (t.done > 0) | (clock >= env.horizon)
            given = features(t, last, hyper.context_reward_scale)
            hidden = recurrent.advance(params["net"], carried.hidden, given)
            clock = jnp.where(last, 0, clock)
            after = State(hidden, clock, carried.total)
            return jax.tree.map(lambda a, b: jnp.where(counts, b, a), carried, after), None

        steps = (seen, within(length, seen.reward.shape[0]))
        if seen.reward.shape[0] == 1:  # as when acting; a loop of one step is a loop
            carried, _ = step(carried, jax.tree.map(lambda x: x[0], steps))
        else:
            carried, _ = jax.lax.scan(step, carried, steps)
        return carried._replace(total=total(params, carried.hidden))

    def given(carried):
        return belief.describe(space, carried.total) if of_z else carried.hidden

    return blank.make(
        space,
        "recurrent",
        init=init,
        update=update,
        condition=lambda learned, carried: given(carried),
        given=given,
        total=lambda carried: carried.total,
    )
