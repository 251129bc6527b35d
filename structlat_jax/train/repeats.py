"""The repeats of an evaluation, one after the other, and what comes of them together."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer

from structlat_jax.config import Hyper
from structlat_jax.train import choose, parallel
from structlat_jax.train.choose import Evaluation
from structlat_jax.train.evaluate import Adaptation
from structlat_jax.train.parallel import Programs
from structlat_jax.train.state import TrainState


def evaluate(
    programs: Programs,
    hyper: Hyper,
    state: TrainState,
    numbers: Integer[Array, " padded"],
    eval_round: int,
    repeats: int | None = None,
) -> Evaluation:
    """The protocol of all seeds, and the choice of their inference.

    One program does one repeat, so that the points of a learning curve need not cost as much as the
    evaluation of which results are made.

    Args:
      programs: Of the run.
      hyper, state: Of all seeds, ``[padded]``.
      numbers: From `parallel.seed_numbers`.
      eval_round: Updates done; another round has other random numbers.
      repeats: The first so many of the configured ones; all of them by default.

    Returns:
      On the host, the seeds that were asked for.
    """
    count = programs.setup.structure.eval_repeats if repeats is None else repeats

    def wide(number: int) -> Array:
        return parallel.place(programs, jnp.full_like(numbers, number))

    def one(repeat: int) -> Adaptation:
        given = (numbers, wide(eval_round), wide(repeat))
        return parallel.trim(programs, programs.evaluate(hyper, state, *given))

    done = [one(repeat) for repeat in range(count)]
    each = jax.tree.map(lambda *x: np.concatenate(x, axis=3), *done)
    return choose.best(programs.setup, each)
