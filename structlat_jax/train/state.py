"""What training carries from one meta-step to the next, and what a meta-step reports."""

from typing import NamedTuple

import optax

from structlat_jax.algos import pearl_sac
from structlat_jax.data import replay
from structlat_jax.inference import world_model
from structlat_jax.nets.networks import AgentParams
from structlat_jax.types import Array, Key, Task


class TrainState(NamedTuple):
    """Everything that training changes, for one seed.

    Attributes:
      params: Of all networks.
      optimisers: Adam's moments.
      world_moments: Adam's, of the world model.
      replay: Experience.
      key: The key that the next meta-step will split.
      updates: Gradient updates done, an int32 scalar.
      train_tasks, test_tasks: The seed's tasks, ``[T]`` each.
    """

    params: AgentParams
    optimisers: pearl_sac.Optimisers
    world_moments: optax.OptState
    replay: replay.Replay
    key: Key
    updates: Array
    train_tasks: Task
    test_tasks: Task


class Metrics(NamedTuple):
    """What a meta-step reports, as means over it.

    Attributes:
      losses: Of its updates.
      world: Of the world model's; NaN where there is none.
      prior_return, explore_return, posterior_return: Return per episode (the task's own reward)
        of each kind of collected episode; NaN for kinds that are not collected.
      kl_weight: At the last update.
      not_finite_at: The first of its updates, counted from 1 over the whole run, whose losses were
        not finite (the last, if only its parameters are not); 0 if all is well.
    """

    losses: pearl_sac.Losses
    world: world_model.WorldLosses
    prior_return: Array
    explore_return: Array
    posterior_return: Array
    kl_weight: Array
    not_finite_at: Array
