"""What tasks that nobody has met would be like, as a decoder has it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from structlat_jax.data.batches import Context
from structlat_jax.inference.decoder import Decoder, Predicted, Scale
from structlat_jax.shapes import Params, Transition


def imagine(
    model: Decoder,
    params: Params,
    scale: Scale,
    t: Transition,
    z: Float[Array, "T D"],
    other: Float[Array, "T D"],
    moves: bool,
) -> Transition:
    """Tasks' transitions ``[T, B]`` as they would be in other tasks.

    Rewards are the decoder's means. The next observation is the one that was seen where all tasks
    move alike, and is moved by what the decoder says is different there where they do not. A
    decoder's mean in place of it is no observation that there is where dynamics are rich: a value
    there is a guess, on which the next one is built, and critics grow without bound if the discount
    is near 1 (locomotion: to 1e9 within 3,000 updates).

    Args:
      model: Static.
      params, scale: The decoder's.
      t: What was done where, and what came of it.
      z: Of the tasks that it is of, ``[T, D]``.
      other: Of the tasks that it is to be of, ``[T, D]``.
      moves: Whether tasks differ in their dynamics.
    """

    def told(of: Array) -> Predicted:
        return model.predict(params, scale, t.obs, t.action, of[:, None])

    there = told(other)
    seen = t._replace(train_reward=there.shaped)
    return seen._replace(next_obs=t.next_obs + there.change - told(z).change) if moves else seen


def simulate(
    model: Decoder,
    params: Params,
    scale: Scale,
    context: Context,
    z: Float[Array, "M D"],
    paid: Float[Array, "E H"],
) -> Transition:
    """The transitions ``[E, H]`` of contexts as they would be in the tasks of z, with draws of
    whether a reward is paid."""
    t = context.transitions
    # Owners are zeros and ones: a product of lower precision would round z.
    of_episode = jnp.matmul(context.owners.T, z, precision="highest")
    p = model.predict(params, scale, t.obs, t.action, of_episode[:, None])
    reward = jnp.where(paid < jax.nn.sigmoid(p.paid), p.reward, 0.0)
    return t._replace(next_obs=t.obs + p.change, reward=reward)
