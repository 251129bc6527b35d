"""Weights & Biases, offline or on: one run per seed; needs ``structlat-jax[wandb]``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from structlat_jax.errors import InputError
from structlat_jax.run.loggers.base import Logger


def require() -> ModuleType:
    """The library; raises `InputError` if it is not installed."""
    try:
        import wandb
    except ImportError:
        raise InputError(
            "the Weights & Biases logger needs wandb: pip install 'structlat-jax[wandb]'."
        ) from None
    return wandb


def make(
    folder: str | Path,
    seeds: Sequence[int],
    config: Mapping[str, Any] | None = None,
    project: str = "structlat_jax",
    mode: str | None = None,
) -> Logger:
    """A logger that makes a run per seed, all of one group.

    Args:
      folder: Where its files go.
      seeds: The numbers of the seeds, in the order of the metrics.
      config: What the runs' configuration shows.
      project: Its project.
      mode: ``offline`` needs no account; by default what WANDB_MODE says.

    Raises:
      InputError: if wandb is not installed.
    """
    wandb = require()
    Path(folder).mkdir(parents=True, exist_ok=True)
    name = Path(folder).resolve().name
    runs = [
        wandb.init(
            dir=str(folder),
            project=project,
            group=name,
            name=f"{name}-seed{seed}",
            config={**(config or {}), "seed": seed},
            mode=mode,
            reinit="create_new",
        )
        for seed in seeds
    ]

    def log(updates, metrics):
        wide = {name: np.broadcast_to(values, len(runs)) for name, values in metrics.items()}
        for i, run in enumerate(runs):
            own = {name: float(x[i]) for name, x in wide.items() if not np.isnan(x[i])}
            run.log({**own, "updates": updates})

    def close():
        for run in runs:
            run.finish()

    return Logger(log, lambda text: None, close)
