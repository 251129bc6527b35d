"""What an algorithm is: how it acts on z, and how it learns from batches or from trials."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Float, ScalarLike

from structlat_jax.config import Hyper
from structlat_jax.data.batches import Batch
from structlat_jax.envs.host.policy import Policy
from structlat_jax.nets.networks import DiscreteNetworks, Networks
from structlat_jax.shapes import Array, Episodes, Key, Params, Task, Transition


class Trials(NamedTuple):
    """Trials of E episodes of one task each, in which the agent acted on its belief.

    Attributes:
      episodes: ``[M, E]``.
      noise: Standard normal, by which actions were drawn, ``[M, E, H, action_dim]``.
      explored: Episodes that explored without the policy, bool ``[M, E]``.
    """

    episodes: Episodes
    noise: Array
    explored: Array


def maximised(t: Transition, share: ScalarLike) -> Float[Array, "*batch"]:
    """The reward that is maximised: this share of the shaped one, the task's own being the rest."""
    return share * t.train_reward + (1.0 - share) * t.reward


@dataclasses.dataclass(frozen=True)
class OnPolicy:
    """How an algorithm learns from trials: a record of pure functions.

    Attributes:
      memory: To what it keeps of earlier trials before there are any, a pytree.
      learn: ``(hyper, learner, trials [M], updates, key)`` to the next `Learner` and metrics by
        name, ``[U]`` each: all updates of one meta-step, the first of which is the one after so
        many ``updates``.
    """

    memory: Callable[[], Any]
    learn: Callable[[Hyper, "Learner", Trials, Array, Key], tuple["Learner", dict[str, Array]]]


class Learner(NamedTuple):
    """What learning from trials changes: parameters, optimisers' state, what is kept."""

    params: Params
    moments: Any
    memory: Any


class Improved(NamedTuple):
    """What `ActorCritic.improve` brings about: new parameters, new moments, and what it reports.

    Attributes:
      v, target_v, policy: Parameters; see `AgentParams`.
      opt_v, opt_policy: Adam's moments.
      loss_v, loss_policy: The losses, scalars; None where there is no value network.
      entropy: Of the policy in nats, a scalar.
    """

    v: Params
    target_v: Params
    policy: Params
    opt_v: Any
    opt_policy: Any
    loss_v: Array | None
    loss_policy: Array
    entropy: Array


@dataclasses.dataclass(frozen=True)
class ActorCritic:
    """How actions are valued and chosen given z, wherever that comes from: pure functions.

    Attributes:
      name: For tables.
      networks: The networks, the encoder among them.
      start: Drawn parameters to those that training starts with.
      act: ``(params, obs [..., obs_dim], z, noise)`` to an action ``[..., action_dim]``; see
        `Algorithm.act`.
      bellman_error: ``(q, params, transitions [T, B], z [T, D], coefficients, noise)`` to ``Q_i -
        y`` of both critics and their Q, ``[2, T, B]`` each; no gradient goes through y. The noise
        is `Batch.next_noise`.
      improve: ``(params, q, moments, batch, z [T, D], coefficients)`` to `Improved`: the part of an
        update that follows the critics', ``q`` being theirs after it.
    """

    name: str
    networks: Networks | DiscreteNetworks
    start: Callable[[Params], Params]
    act: Callable[[Params, Array, Array, Array | None], Array]
    bellman_error: Callable[[Params, Params, Any, Array, Any, Any], tuple[Array, Array]]
    improve: Callable[[Params, Params, Any, Batch, Array, Any], Improved]


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """A record of pure functions.

    Attributes:
      name: For tables.
      zeros: Parameters that are all zero, for `init.initialise`.
      small_heads: As there.
      start: Drawn parameters to those that training starts with.
      moments: Parameters to the optimisers' state.
      act: ``(params, obs [obs_dim], z [D], noise)`` to an action ``[action_dim]``, a one-hot vector
        where actions are choices; the noise is `heads.acting_noise`, ``[action_dim]``, or None for
        the policy's mode.
      coefficients: ``(hyper, updates)`` to the scalars of one update.
      posterior: ``(params, batch)`` to the posteriors of the batch's tasks that it trains on,
        leading axis ``[M]``; None if no inference is to be fitted to them.
      own_posterior: ``(params, tasks [N])`` to the posteriors of training tasks by their numbers,
        leading axis ``[N]``; None where these have none of their own.
      portable: ``params``, as NumPy arrays, to the `Policy` by which workers of host environments
        act; None if it cannot act there.
      told: ``(params, training tasks)`` to the parameters that training starts with, where what the
        tasks are is told.
      update: ``(params, moments, batch, coefficients)`` to the next params and moments, and metrics
        by name, each a scalar; None if it learns from trials.
      on_policy: How it learns from trials; None if from batches.
      given: Width of what stands for z in `act`; None if it is the latent space's.
    """

    name: str
    zeros: Callable[[], Params]
    small_heads: tuple[str, ...]
    start: Callable[[Params], Params]
    moments: Callable[[Params], Any]
    act: Callable[[Params, Array, Array, Array | None], Array]
    coefficients: Callable[[Hyper, Array], Any]
    posterior: Callable[[Params, Batch], tuple[Any, ...]] | None
    own_posterior: Callable[[Params, Array], tuple[Any, ...]] | None
    update: Callable[[Params, Any, Batch, Any], tuple[Params, Any, dict[str, Array]]] | None
    portable: Callable[[Params], Policy] | None = None
    told: Callable[[Params, Task], Params] = lambda params, tasks: params
    on_policy: OnPolicy | None = None
    given: int | None = None
