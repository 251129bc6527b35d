"""What training carries from one meta-step to the next."""

from typing import Any, NamedTuple

from structlat_jax.data import replay
from structlat_jax.inference.base import Learned
from structlat_jax.shapes import Array, Key, Params, Task


class TrainState(NamedTuple):
    """Everything that training changes, for one seed.

    Attributes:
      params: Of the agent's networks.
      moments: Of the algorithm's optimisers.
      inference_params: The inference's own.
      inference_moments: Of its optimiser.
      replay: Experience; of who learns from trials, what it keeps of them.
      key: The key that the next meta-step will split.
      updates: Gradient updates done, an int32 scalar.
      train_tasks, test_tasks: The seed's tasks, ``[T]`` each.
    """

    params: Params
    moments: Any
    inference_params: Params
    inference_moments: Any
    replay: replay.Replay | Any
    key: Key
    updates: Array
    train_tasks: Task
    test_tasks: Task

    @property
    def learned(self) -> Learned:
        """What acting needs."""
        return Learned(self.params, self.inference_params)


COLLECTED = ("collected_posterior_return", "collected_last_return", "collected_prior_return")
"""What training episodes return by the most that is known of their task: the first of these metrics
that there is."""

Metrics = dict[str, Array]
"""What a meta-step reports, each a scalar per seed, by name; all means over the meta-step but for
``not_finite_at``: the first update, counted from 1 over the whole run, whose losses were not finite
(the last, if only its parameters are not), or 0 if all is well."""
