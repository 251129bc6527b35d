"""What the agent knows of its world beside the task: where a hypothesis leads, and what that pays.

A latent says little by itself about the rewards of a task that training never saw: a network that
reads z and was fitted to thirty tasks is unsure between them. Where the *policy* goes under z is
another matter, since the policy interpolates between its tasks. So a hypothesis z is read through
its destination, the observation at which an imagined episode of the policy under z ends, and
rewards are predicted from the place relative to that destination, which transfers from the tasks of
training to those in between. Both models are fitted by maximum likelihood to the replay and read z
without changing it: no loss of the encoder, the critics or the policy depends on them.

The rewards' model assumes that what a task pays depends on an action and on the displacement from
the observation to the destination. Rewards that are mostly exactly zero are a mixture: nothing at
all, or a normal.
"""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, ScalarLike

from structlat_jax.inference import sparse
from structlat_jax.inference.hypotheses import Reader
from structlat_jax.inference.imagined import Act, Imagined
from structlat_jax.inference.imagined import imagine as imagine_by
from structlat_jax.nets import optim
from structlat_jax.nets.mlp import MLP
from structlat_jax.shapes import Params, Transition, make_key

SMALL_HEADS = ("dynamics",)
"""Networks whose heads start small; see `init.initialise`."""


@dataclasses.dataclass(frozen=True)
class WorldModel:
    """Its networks as pure functions of their parameters.

    Attributes:
      dynamics: The flax module that predicts the change of an observation.
      rewards: The flax module that predicts rewards.
      widths: (observation, action).
    """

    dynamics: MLP
    rewards: MLP
    widths: tuple[int, int]

    def zeros(self) -> Params:
        """Parameters that are all zero, for `init.initialise`."""
        key, pair = make_key(0), jnp.zeros((sum(self.widths),))
        nets = {"dynamics": self.dynamics, "reward": self.rewards}
        return {name: net.init(key, pair) for name, net in nets.items()}

    def next_obs(
        self,
        params: Params,
        obs: Float[ArrayLike, "*batch {self.widths[0]}"],
        action: Float[ArrayLike, "*batch {self.widths[1]}"],
    ) -> Float[Array, "*batch {self.widths[0]}"]:
        """The next observation, ``[..., obs_dim]``."""
        x = jnp.concatenate([obs, action], axis=-1)
        return obs + self.dynamics.apply(params["dynamics"], x)

    def reward(
        self,
        params: Params,
        obs: Float[ArrayLike, "... {self.widths[0]}"],
        action: Float[ArrayLike, "... {self.widths[1]}"],
        destination: Float[ArrayLike, "... {self.widths[0]}"],
    ) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"], Float[Array, "*batch"]]:
        """The task's own reward: the logit of its being other than zero, and its mean and log
        standard deviation where it is, each ``[...]``; see `reward_log_density`."""
        ahead = destination - obs
        action = jnp.broadcast_to(action, (*ahead.shape[:-1], action.shape[-1]))
        out = self.rewards.apply(params["reward"], jnp.concatenate([action, ahead], axis=-1))
        return out[..., 0], out[..., 1], out[..., 2]


def make(width: int, obs_dim: int, action_dim: int) -> WorldModel:
    """A world model of a hidden width."""
    dynamics = MLP(width, 1, obs_dim, skip=True)
    return WorldModel(dynamics, MLP(width, 2, 3), (obs_dim, action_dim))


class WorldLosses(NamedTuple):
    """What a fit reports, scalars.

    Attributes:
      dynamics: Mean squared error of the predicted next observation.
      reward: Mean negative log-likelihood of the rewards, in nats per transition.
    """

    dynamics: Float[Array, ""]
    reward: Float[Array, ""]


def imagine(
    model: WorldModel,
    params: Params,
    act: Act,
    obs: Float[ArrayLike, "... obs_dim"],
    z: Float[ArrayLike, "... D"],
    horizon: int,
) -> Imagined:
    """Imagines an episode per latent.

    Args:
      model: Static.
      params: Its parameters.
      act: The policy.
      obs: First observation, of any shape that broadcasts against ``z`` but for the last axis.
      z: ``[..., D]``.
      horizon: Steps to imagine, H; static.
    """
    return imagine_by(
        lambda obs, action, _: model.next_obs(params, obs, action), act, obs, z, horizon
    )


def expected_return(
    model: WorldModel,
    params: Params,
    imagined: Imagined,
    destination: Float[ArrayLike, "M obs_dim"],
) -> Float[Array, "N M"]:
    """What imagined episodes pay in a task that another latent stands for, undiscounted.

    Args:
      model: Static.
      params: Its parameters.
      imagined: Episodes, ``[N, H, ...]``.
      destination: Where the latents lead that stand for the tasks, ``[M, obs_dim]``.

    Returns:
      ``[N, M]``.
    """

    def in_task(one):
        logit, mean, _ = model.reward(params, imagined.obs, imagined.action, one)
        return jnp.sum(jax.nn.sigmoid(logit) * mean, axis=-1)

    return jax.vmap(in_task, out_axes=1)(destination)


def reward_log_density(
    model: WorldModel,
    params: Params,
    obs: Float[ArrayLike, "... obs_dim"],
    action: Float[ArrayLike, "... action_dim"],
    destination: Float[ArrayLike, "... obs_dim"],
    reward: Float[ArrayLike, "..."],
) -> Float[Array, "..."]:
    """Log-density of a task's own reward, in nats.

    Of a mixture: exactly 0 with probability ``1 - p``, else normal; ``p``, the mean and the
    deviation are the reward model's.

    Args:
      model: Static.
      params: Its parameters.
      obs, action: ``[..., obs_dim]`` and ``[..., action_dim]``.
      destination: Of the hypothesis, ``[..., obs_dim]``.
      reward: ``[...]``.

    Returns:
      ``[...]``.
    """
    logit, mean, log_std = model.reward(params, obs, action, destination)
    log_std = jnp.clip(log_std, *sparse.LOG_STD_RANGE)
    normal = sparse.log_normal(reward - mean, log_std) - 0.5 * jnp.log(2.0 * jnp.pi)
    return sparse.log_density(reward, logit, normal)


def loss(
    params: Params,
    model: WorldModel,
    transitions: Transition,
    destinations: Float[ArrayLike, "draws T obs_dim"],
) -> tuple[Float[Array, ""], WorldLosses]:
    """Squared error of the dynamics plus negative log-likelihood of the rewards.

    A task has one latent, whatever the transition, so its rewards are explained together:
    ``-log mean_k prod_b p(r_b | s_b, a_b, outcome_k)`` over draws ``k`` from the posterior (Burda
    et al. 2016). Explaining each by itself would blur the model by the posterior's width.

    Args:
      params: Of the model.
      model: Static.
      transitions: ``[T, B]``.
      destinations: Of draws from each task's posterior, held fixed, ``[draws, T, obs_dim]``.
    """
    t = transitions
    error = model.next_obs(params, t.obs, t.action) - t.next_obs
    destinations = destinations[:, :, None]
    each = reward_log_density(model, params, t.obs, t.action, destinations, t.reward)
    together = jax.nn.logsumexp(jnp.sum(each, axis=-1), axis=0) - jnp.log(destinations.shape[0])
    parts = WorldLosses(
        dynamics=jnp.mean(jnp.sum(error**2, axis=-1)),
        reward=-jnp.mean(together) / each.shape[-1],
    )
    return parts.dynamics + parts.reward, parts


def update(
    model: WorldModel,
    params: Params,
    moments: optax.OptState,
    act: Act,
    transitions: Transition,
    start: Float[ArrayLike, "T obs_dim"],
    z: Float[ArrayLike, "draws T D"],
    horizon: int,
    lr: ScalarLike,
) -> tuple[Params, optax.OptState, WorldLosses]:
    """One step of Adam on `loss`.

    Args:
      model: Static.
      params: Its parameters.
      moments: From `optim.init`.
      act: The policy.
      transitions: ``[T, B]``.
      start: First observation of an episode of each task, ``[T, obs_dim]``.
      z: Draws from each task's posterior, ``[draws, T, D]``.
      horizon: Steps in an episode; static.
      lr: Step size.
    """
    destinations = imagine(model, params, act, start, z, horizon).destination
    grads, parts = jax.grad(loss, has_aux=True)(params, model, transitions, destinations)
    params, moments = optim.adam(params, grads, moments, lr)
    return params, moments, parts


def reader(model: WorldModel) -> Reader:
    """Hypotheses read through the place where their imagined episode ends."""
    return Reader(
        imagine=partial(imagine, model),
        read=lambda z, destination: destination,
        log_density=partial(reward_log_density, model),
        expected_return=partial(expected_return, model),
    )
