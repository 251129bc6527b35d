"""TensorBoard: event files with every metric of every seed; needs tensorboardX."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from structlat_jax.errors import InputError
from structlat_jax.run.loggers.base import Logger


def require() -> type:
    """tensorboardX's writer; raises `InputError` if it is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise InputError(
            "the TensorBoard logger needs tensorboardX: pip install 'structlat-jax[tensorboard]'."
        ) from None
    return SummaryWriter


def make(folder: str | Path, seeds: Sequence[int]) -> Logger:
    """A logger that writes a folder of events per seed, which TensorBoard shows as a line each.

    Args:
      folder: Where to, for instance that of the run.
      seeds: The numbers of the seeds, in the order of the metrics.

    Raises:
      InputError: if tensorboardX is not installed.
    """
    writer_of = require()
    writers = [writer_of(str(Path(folder) / f"seed{seed}")) for seed in seeds]

    def log(updates, metrics):
        for name, values in metrics.items():
            for writer, value in zip(writers, np.broadcast_to(values, len(writers)), strict=True):
                if not np.isnan(value):
                    writer.add_scalar(name.replace(" ", "/"), float(value), updates)

    def message(text):
        for writer in writers:
            writer.add_text("message", text)

    def close():
        for writer in writers:
            writer.close()

    return Logger(log, message, close)
