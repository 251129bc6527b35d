"""What z says of a task: a model of rewards and transitions that reads z.

``p(next_obs, train_reward, reward | obs, action, z)``: normals with learned deviations, but for the
task's own reward, which is a mixture of nothing at all and a normal where it is often exactly zero.
It is the reconstruction of the paper's equation 1, fitted by maximum likelihood to the replay with
z from the posteriors of training tasks; and since it reads any z, it tells what a task would be
like that nobody has met. Changes of observations and rewards are in units of their own spread,
which is estimated along the way, so that no option depends on their scale.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from structlat_jax.inference import sparse
from structlat_jax.inference.hypotheses import Reader
from structlat_jax.inference.imagined import imagine as imagine_by
from structlat_jax.nets.mlp import MLP
from structlat_jax.shapes import Params, Transition, make_key

_RATE = 0.01  # of the running moments, per update
_LEAST = 1e-3  # of a spread: what never varies has none


class Scale(NamedTuple):
    """Running means and mean squares of what is predicted.

    Attributes:
      change, change_square: Of ``next_obs - obs``, ``[obs_dim]``.
      shaped, shaped_square: Of the reward that training sees.
      reward, reward_square: Of the task's own reward, zeros included.
      paid: Share of transitions whose own reward is not zero.
    """

    change: Float[Array, " obs_dim"]
    change_square: Float[Array, " obs_dim"]
    shaped: Float[Array, ""]
    shaped_square: Float[Array, ""]
    reward: Float[Array, ""]
    reward_square: Float[Array, ""]
    paid: Float[Array, ""]


class Predicted(NamedTuple):
    """What the decoder says of transitions ``[...]``; deviations are logarithms, in units of the
    spread of what they are of.

    Attributes:
      change, change_log_std: Of ``next_obs - obs``, ``[..., obs_dim]``.
      shaped, shaped_log_std: Of the reward that training sees, ``[...]``.
      reward, reward_log_std: Of the task's own reward where it is not zero, ``[...]``.
      paid: Logit of its not being zero, ``[...]``.
    """

    change: Float[Array, "*batch obs_dim"]
    change_log_std: Float[Array, "*batch obs_dim"]
    shaped: Float[Array, "*batch"]
    shaped_log_std: Float[Array, "*batch"]
    reward: Float[Array, "*batch"]
    reward_log_std: Float[Array, "*batch"]
    paid: Float[Array, "*batch"]


@dataclasses.dataclass(frozen=True)
class Decoder:
    """Its network as a pure function of its parameters.

    Attributes:
      net: The flax module.
      widths: (observation, action, latent).
    """

    net: MLP
    widths: tuple[int, int, int]

    def zeros(self) -> Params:
        """Parameters that are all zero, for `init.initialise`."""
        obs, action, latent = self.widths
        key = make_key(0)
        return self.net.init(key, jnp.zeros((obs + action,)), jnp.zeros((latent,)))

    def predict(
        self,
        params: Params,
        scale: Scale,
        obs: Float[ArrayLike, "... {self.widths[0]}"],
        action: Float[ArrayLike, "... {self.widths[1]}"],
        z: Float[ArrayLike, "... {self.widths[2]}"],
    ) -> Predicted:
        """Of transitions ``[...]`` in the task that z stands for; all broadcast."""
        wide = self.widths[0]
        out = self.net.apply(params, jnp.concatenate([obs, action], axis=-1), z)
        change, change_log_std, rest = jnp.split(out, [wide, 2 * wide], axis=-1)
        shaped, shaped_log_std, reward, reward_log_std, paid = jnp.moveaxis(rest, -1, 0)
        of_change, of_shaped, of_reward = spreads(scale)
        return Predicted(
            change=of_change.mean + of_change.std * change,
            change_log_std=jnp.clip(change_log_std, *sparse.LOG_STD_RANGE),
            shaped=of_shaped.mean + of_shaped.std * shaped,
            shaped_log_std=jnp.clip(shaped_log_std, *sparse.LOG_STD_RANGE),
            reward=of_reward.mean + of_reward.std * reward,
            reward_log_std=jnp.clip(reward_log_std, *sparse.LOG_STD_RANGE),
            paid=paid,
        )


class Spread(NamedTuple):
    """Mean and standard deviation."""

    mean: Array
    std: Array


def make(width: int, obs_dim: int, action_dim: int, latent: int) -> Decoder:
    """A decoder of a hidden width."""
    return Decoder(MLP(width, 2, 2 * obs_dim + 5), (obs_dim, action_dim, latent))


def initial_scale(obs_dim: int) -> Scale:
    """The scale before anything was seen: everything has mean 0 and spread 1."""
    wide, zero, one = jnp.zeros((obs_dim,)), jnp.zeros(()), jnp.ones(())
    return Scale(wide, wide + 1.0, zero, one, zero, one, one)


def spreads(scale: Scale) -> tuple[Spread, Spread, Spread]:
    """Of changes, of shaped rewards, and of the task's own where they are not zero."""

    def of(mean: Array, square: Array) -> Spread:
        return Spread(mean, jnp.sqrt(jnp.maximum(square - mean**2, _LEAST**2)))

    paid = jnp.maximum(scale.paid, 1e-6)
    return (
        of(scale.change, scale.change_square),
        of(scale.shaped, scale.shaped_square),
        of(scale.reward / paid, scale.reward_square / paid),
    )


def track(scale: Scale, t: Transition, taken: ArrayLike | None = None) -> Scale:
    """The scale after one more batch of transitions ``[T, B]``; of those that were ``taken``, bool
    ``[T, B]`` with at least one, if not all were."""

    def mean(x):
        if taken is None:
            return jnp.mean(x, axis=(0, 1))
        counts = jnp.reshape(taken, (*jnp.shape(taken), *[1] * (x.ndim - 2)))
        return jnp.mean(x, axis=(0, 1), where=counts)

    change = t.next_obs - t.obs
    now = Scale(
        *(mean(change), mean(change**2)),
        *(mean(t.train_reward), mean(t.train_reward**2)),
        *(mean(t.reward), mean(t.reward**2)),
        mean((t.reward != 0).astype(jnp.float32)),
    )
    return jax.tree.map(lambda old, new: old + _RATE * (new - old), scale, now)


class LogDensity(NamedTuple):
    """In nats per transition ``[...]`` and in units of each spread, up to a constant.

    Attributes:
      reward: Of the task's own reward.
      shaped: Of the reward that training sees.
      change: Of the change of the observation.
    """

    reward: Float[Array, "*batch"]
    shaped: Float[Array, "*batch"]
    change: Float[Array, "*batch"]


def log_density(
    decoder: Decoder, params: Params, scale: Scale, t: Transition, z: Array
) -> LogDensity:
    """How well a z explains transitions; all broadcast.

    Args:
      decoder: Static.
      params, scale: Its own.
      t: ``[...]``.
      z: ``[..., D]``.
    """
    p = decoder.predict(params, scale, t.obs, t.action, z)
    of_change, of_shaped, of_reward = spreads(scale)
    return LogDensity(
        reward=_own(t.reward, p, of_reward),
        shaped=_normal(t.train_reward - p.shaped, of_shaped, p.shaped_log_std),
        change=_change(t.next_obs - t.obs, p, of_change),
    )


def change_error(
    decoder: Decoder, params: Params, scale: Scale, t: Transition, z: Array
) -> Float[Array, ""]:
    """Half the squared error of the predicted change of the observation, in units of its spread:
    summed over the observation's numbers, mean over transitions; as `log_density`."""
    apart = t.next_obs - t.obs - decoder.predict(params, scale, t.obs, t.action, z).change
    return 0.5 * jnp.mean(jnp.sum((apart / spreads(scale)[0].std) ** 2, axis=-1))


def _normal(apart: Array, spread: Spread, log_std: Array) -> Array:
    return sparse.log_normal(apart / spread.std, log_std)


def _change(change: Array, p: Predicted, spread: Spread) -> Array:
    """Log-density of a change of the observation, over its last axis."""
    return jnp.sum(_normal(change - p.change, spread, p.change_log_std), axis=-1)


def _own(reward: Array, p: Predicted, spread: Spread) -> Array:
    """Log-density of a task's own reward: exactly 0 or paid, and then normal."""
    value = _normal(reward - p.reward, spread, p.reward_log_std)
    return sparse.log_density(reward, p.paid, value)


def reader(decoder: Decoder, changes: bool = False) -> Reader:
    """Hypotheses read through z itself; its parameters are ``(the decoder's, scale)``.

    What a task pays is evidence; how it moves only if ``changes`` is true. Few training tasks pin
    down how rewards depend on z, which the critics and the policy read too, but a density of
    transitions that is sharp and wrong between them may outweigh everything else.
    """

    def imagine(params, act, obs, z, horizon):
        def next_obs(obs, action, z):
            return obs + decoder.predict(*params, obs, action, z).change

        return imagine_by(next_obs, act, obs, z, horizon)

    def log_density(params, obs, action, z, reward):
        p = decoder.predict(*params, obs, action, z)
        return _own(reward, p, spreads(params[1])[2])

    def expected_return(params, imagined, z):
        def in_task(one):
            p = decoder.predict(*params, imagined.obs, imagined.action, one)
            return jnp.sum(jax.nn.sigmoid(p.paid) * p.reward, axis=-1)

        return jax.vmap(in_task, out_axes=1)(z)

    def change_log_density(params, obs, action, z, next_obs):
        p = decoder.predict(*params, obs, action, z)
        return _change(next_obs - obs, p, spreads(params[1])[0])

    return Reader(
        imagine=imagine,
        read=lambda z, destination: z,
        log_density=log_density,
        expected_return=expected_return,
        change_log_density=change_log_density if changes else None,
    )
