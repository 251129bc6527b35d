"""Which inference is the best for a family of tasks: told from training tasks alone."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float, Int, Integer, PRNGKeyArray

from structlat_jax.config import Hyper
from structlat_jax.inference import chosen
from structlat_jax.inference.base import Learned
from structlat_jax.shapes import Task
from structlat_jax.train.evaluate import Adaptation, evaluate
from structlat_jax.train.setup import Setup


class Selection(NamedTuple):
    """What the candidates of an inference were worth.

    Attributes:
      returns: Mean return of the last episode on training tasks, ``[S, candidates]``.
      chosen: The number of the best, ``[S]``.
    """

    returns: Float[np.ndarray, "S candidates"]
    chosen: Int[np.ndarray, " S"]


class Evaluation(NamedTuple):
    """The protocol on training tasks followed by test tasks.

    Attributes:
      adaptation: What the agents did, ``[S, T, R, E, ...]``.
      selection: How their inference was chosen; None if there was no choice.
    """

    adaptation: Adaptation
    selection: Selection | None


def evaluate_each(
    setup: Setup,
    hyper: Hyper,
    learned: Learned,
    tasks: Task,
    key: PRNGKeyArray,
    repeat: Integer[ArrayLike, ""],
) -> Adaptation:
    """One repeat of the protocol by each inference that there is a choice of.

    They go through it with the same random numbers.

    Args:
      setup: Static.
      hyper: Traced hyper-parameters.
      learned: Of one seed.
      tasks: ``[T]``.
      key: For everything random, in all repeats.
      repeat: Which of them.

    Returns:
      All arrays ``[candidates, T, 1, E, ...]``; one candidate where there is no choice.
    """
    candidates = setup.inference.candidates
    if not candidates:
        found = evaluate(setup, hyper, learned, tasks, key, repeat=repeat)
        return jax.tree.map(lambda x: x[None], found)

    def of(number):
        own = learned._replace(inference=chosen.settle(learned.inference, number))
        return evaluate(setup, hyper, own, tasks, key, encoder=False, repeat=repeat)

    return jax.lax.map(of, jnp.arange(len(candidates)))


def best(setup: Setup, each: Adaptation) -> Evaluation:
    """What the inference did that does best on the training tasks.

    Args:
      setup: Of the run.
      each: Arrays of the host, ``[S, candidates, T, R, E, ...]``, training tasks first.
    """
    candidates = setup.inference.candidates
    known = each.returns[:, :, : setup.structure.seen_tasks, :, -1]
    returns = known.mean(axis=(2, 3))
    number = np.argmax(returns, axis=1)
    found = jax.tree.map(lambda x: x[np.arange(len(number)), number], each)
    if not candidates:
        return Evaluation(found, None)
    if setup.structure.eval_encoder:
        paper = [one.name for one in candidates].index(setup.encoder.name)
        found = found._replace(encoder=each.returns[:, paper])
    return Evaluation(found, Selection(returns, number))
