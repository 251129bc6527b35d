"""The files of a finished run; pictures only where matplotlib is installed."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from structlat_jax.report.record import adaptation_arrays, write_run
from structlat_jax.run.outcome import Outcome
from structlat_jax.train.setup import Setup


def write(out: Path, setup: Setup, outcome: Outcome, tell: Callable[[str], None]) -> None:
    """Writes arrays, pictures and ``results.json``, which comes last.

    Args:
      out: The run folder.
      setup: Of the run.
      outcome: Not interrupted.
      tell: Takes a sentence about each thing that is left out.

    Raises:
      WriteError: if the folder cannot be written.
    """
    pictures = importlib.util.find_spec("matplotlib") is not None
    if not pictures:
        tell("no pictures: matplotlib is not installed (pip install 'structlat-jax[cli]').")
    write_run(out, setup, outcome, tell)


def arrays(setup: Setup, outcome: Outcome) -> dict[str, np.ndarray]:
    """The arrays of ``adaptation.npz``."""
    tasks = (outcome.train_tasks, outcome.test_tasks)
    return adaptation_arrays(setup.env, outcome.adaptation, *tasks, outcome.references.floor)
