"""Which inference is the best for a family of tasks: told from training tasks alone."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from structlat_jax.config import Hyper
from structlat_jax.inference import chosen
from structlat_jax.inference.base import Learned
from structlat_jax.shapes import Task
from structlat_jax.train.evaluate import Adaptation, evaluate
from structlat_jax.train.setup import Setup


class Trial(NamedTuple):
    """What the candidates of an inference were worth.

    Attributes:
      returns: Mean return of the last episode on training tasks, ``[candidates]``.
      chosen: The number of the best.
    """

    returns: Float[Array, " candidates"]
    chosen: Int[Array, ""]


class Evaluation(NamedTuple):
    """The protocol on training tasks followed by test tasks.

    Attributes:
      adaptation: What the agents did.
      trial: How their inference was chosen; None if there was no choice.
    """

    adaptation: Adaptation
    trial: Trial | None


def evaluate_best(
    setup: Setup,
    hyper: Hyper,
    learned: Learned,
    train_tasks: Task,
    test_tasks: Task,
    key: PRNGKeyArray,
) -> Evaluation:
    """The protocol on training tasks followed by test tasks.

    An inference that is one of several goes through it as each of them, with the same random
    numbers; what the best of them on the training tasks did is the result.

    Args:
      setup: Static.
      hyper: Traced hyper-parameters.
      learned: Of one seed.
      train_tasks, test_tasks: ``[T]`` each.
      key: For everything random.
    """
    tasks = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), train_tasks, test_tasks)
    candidates = setup.inference.candidates
    if not candidates:
        return Evaluation(evaluate(setup, hyper, learned, tasks, key), None)

    def of(number):
        own = learned._replace(inference=chosen.settle(learned.inference, number))
        return evaluate(setup, hyper, own, tasks, key, encoder=False)

    each = jax.lax.map(of, jnp.arange(len(candidates)))
    known = jax.tree.leaves(train_tasks)[0].shape[0]
    returns = jnp.mean(each.returns[:, :known, :, -1], axis=(1, 2))
    best = jnp.argmax(returns)
    found = jax.tree.map(lambda x: x[best], each)
    if setup.structure.eval_encoder:
        paper = [one.name for one in candidates].index(setup.encoder.name)
        found = found._replace(encoder=each.returns[paper])
    return Evaluation(found, Trial(returns, best))
