"""The files of a finished run, and the arrays among them."""

import numpy as np

from structlat_jax.report.record import adaptation_arrays
from structlat_jax.report.record import write_run as write
from structlat_jax.run.outcome import Outcome
from structlat_jax.train.setup import Setup

__all__ = ["arrays", "write"]


def arrays(setup: Setup, outcome: Outcome) -> dict[str, np.ndarray]:
    """The arrays of ``adaptation.npz``."""
    tasks = (outcome.train_tasks, outcome.test_tasks)
    return adaptation_arrays(
        setup.env, outcome.adaptation, *tasks, outcome.floor, measured=outcome.measured
    )
