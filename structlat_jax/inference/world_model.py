"""What the agent knows of its world beside the task: where a hypothesis leads, and what that pays.

A latent says little by itself about the rewards of a task that training never saw: a network that
reads z and was fitted to thirty tasks is unsure between them. Where the *policy* goes under z is
another matter, since the policy interpolates between its tasks. So a hypothesis z is read through
its outcome, the observation at which an imagined episode of the policy under z ends, and rewards
are predicted from the place relative to that outcome, which transfers from the tasks of training to
those in between. Both models are fitted by maximum likelihood to the replay and read z without
changing it: no loss of the encoder, the critics or the policy depends on them.

The rewards' model assumes that what a task pays depends on an action and on the displacement from
the observation to the outcome. Rewards that are mostly exactly zero are a mixture: nothing at all,
or a normal.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from structlat_jax.nets import optim
from structlat_jax.nets.networks import AgentParams, Networks
from structlat_jax.types import Array, Params, Transition

_LOG_STD_RANGE = (-3.0, 1.0)  # a sharper density than e^-3 would trust the model too far


class WorldLosses(NamedTuple):
    """What a fit reports, scalars.

    Attributes:
      dynamics: Mean squared error of the predicted next observation.
      reward: Mean negative log-likelihood of the rewards, in nats per transition.
    """

    dynamics: Array
    reward: Array


class Imagined(NamedTuple):
    """An episode of the policy's mode, as the world model imagines it.

    Attributes:
      obs: Before each step, ``[..., H, obs_dim]``.
      action: ``[..., H, action_dim]``.
      outcome: The last observation, after the last step, ``[..., obs_dim]``.
    """

    obs: Array
    action: Array
    outcome: Array


def imagine(
    networks: Networks, params: AgentParams, obs: Array, z: Array, horizon: int
) -> Imagined:
    """Imagines an episode per latent.

    Args:
      networks: Static; with a world model.
      params: Of the agent.
      obs: First observation, ``[obs_dim]``.
      z: ``[..., D]``.
      horizon: Steps to imagine, H; static.
    """

    def advance(obs, _):
        action = jnp.tanh(networks.policy(params.policy, obs, z)[0])
        return networks.next_obs(params.world, obs, action), (obs, action)

    start = jnp.broadcast_to(obs, (*z.shape[:-1], obs.shape[-1]))
    last, (obs, action) = jax.lax.scan(advance, start, length=horizon)
    return Imagined(jnp.moveaxis(obs, 0, -2), jnp.moveaxis(action, 0, -2), last)


def outcome(networks: Networks, params: AgentParams, obs: Array, z: Array, horizon: int) -> Array:
    """Where the imagined episodes of `imagine` end, ``[..., obs_dim]``."""
    return imagine(networks, params, obs, z, horizon).outcome


def expected_return(networks: Networks, world: Params, imagined: Imagined, outcome: Array) -> Array:
    """What imagined episodes pay in a task that another latent stands for, undiscounted.

    Args:
      networks: Static; with a world model.
      world: Its parameters.
      imagined: Episodes, ``[N, H, ...]``.
      outcome: Where the latents lead that stand for the tasks, ``[M, obs_dim]``.

    Returns:
      ``[N, M]``.
    """

    def in_task(one):
        logit, mean, _ = networks.reward(world, imagined.obs, imagined.action, one)
        return jnp.sum(jax.nn.sigmoid(logit) * mean, axis=-1)

    return jax.vmap(in_task, out_axes=1)(outcome)


def reward_log_density(
    networks: Networks, world: Params, obs: Array, action: Array, outcome: Array, reward: Array
) -> Array:
    """Log-density of a task's own reward, in nats.

    Of a mixture: exactly 0 with probability ``1 - p``, else normal; ``p``, the mean and the
    deviation are the reward model's.

    Args:
      networks: Static; with a world model.
      world: Its parameters.
      obs, action: ``[..., obs_dim]`` and ``[..., action_dim]``.
      outcome: Of the hypothesis, ``[..., obs_dim]``.
      reward: ``[...]``.

    Returns:
      ``[...]``.
    """
    logit, mean, log_std = networks.reward(world, obs, action, outcome)
    log_std = jnp.clip(log_std, *_LOG_STD_RANGE)
    standard = (reward - mean) * jnp.exp(-log_std)
    normal = -0.5 * standard**2 - log_std - 0.5 * jnp.log(2.0 * jnp.pi)
    return jnp.where(reward != 0, jax.nn.log_sigmoid(logit) + normal, jax.nn.log_sigmoid(-logit))


def loss(
    world: Params, networks: Networks, transitions: Transition, outcomes: Array
) -> tuple[Array, WorldLosses]:
    """Squared error of the dynamics plus negative log-likelihood of the rewards.

    A task has one latent, whatever the transition, so its rewards are explained together:
    ``-log mean_k prod_b p(r_b | s_b, a_b, outcome_k)`` over draws ``k`` from the posterior (Burda
    et al. 2016). Explaining each by itself would blur the model by the posterior's width.

    Args:
      world: Parameters.
      networks: Static.
      transitions: ``[T, B]``.
      outcomes: Of draws from each task's posterior, held fixed, ``[draws, T, obs_dim]``.
    """
    t = transitions
    error = networks.next_obs(world, t.obs, t.action) - t.next_obs
    each = reward_log_density(networks, world, t.obs, t.action, outcomes[:, :, None], t.reward)
    together = jax.nn.logsumexp(jnp.sum(each, axis=-1), axis=0) - jnp.log(outcomes.shape[0])
    parts = WorldLosses(
        dynamics=jnp.mean(jnp.sum(error**2, axis=-1)),
        reward=-jnp.mean(together) / each.shape[-1],
    )
    return parts.dynamics + parts.reward, parts


def update(
    networks: Networks,
    params: AgentParams,
    moments: optax.OptState,
    transitions: Transition,
    start: Array,
    z: Array,
    horizon: int,
    lr: Array,
) -> tuple[AgentParams, optax.OptState, WorldLosses]:
    """One step of Adam on `loss`.

    Args:
      networks: Static.
      params: Of the agent; only those of the world model change.
      moments: From `optim.init`.
      transitions: ``[T, B]``.
      start: First observation of an episode, ``[obs_dim]``.
      z: Draws from each task's posterior, ``[draws, T, D]``.
      horizon: Steps in an episode; static.
      lr: Step size.
    """
    outcomes = outcome(networks, params, start, z, horizon)
    grads, parts = jax.grad(loss, has_aux=True)(params.world, networks, transitions, outcomes)
    world, moments = optim.adam(params.world, grads, moments, lr)
    return params._replace(world=world), moments, parts
