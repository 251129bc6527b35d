"""Stands between the programs and `report.record` until an outcome has all that it asks for."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from structlat_jax.config import Config
from structlat_jax.report import record
from structlat_jax.report.record import draw
from structlat_jax.train.setup import make_setup

__all__ = ["draw", "write_run"]


def write_run(out: Path, config: Config, outcome: Any) -> None:
    """`record.write_run` for an outcome without success, lengths and floor."""
    found = outcome.adaptation
    adaptation = SimpleNamespace(
        **{name: getattr(found, name) for name in ("returns", "path", "z", "belief", "kl")},
        encoder=found.amortised,
        success=np.asarray(found.returns) > 0,
        length=np.full(np.shape(found.returns), np.shape(found.path)[-2] - 1),
    )
    tasks = sum(jax.tree.leaves(x)[0].shape[1] for x in (outcome.train_tasks, outcome.test_tasks))
    ended = SimpleNamespace(
        rows=outcome.rows,
        adaptation=adaptation,
        train_tasks=outcome.train_tasks,
        test_tasks=outcome.test_tasks,
        floor=np.zeros((len(found.returns), tasks)),
        results=outcome.results,
    )
    record.write_run(out, make_setup(config), ended)
