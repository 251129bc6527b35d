"""Loggers: where the metrics of a run go besides its folder."""

from structlat_jax.run.loggers.base import Logger, Metrics, combine, silent
from structlat_jax.run.loggers.to_page import make as live
from structlat_jax.run.loggers.to_tensorboard import make as tensorboard
from structlat_jax.run.loggers.to_wandb import make as wandb

__all__ = ["Logger", "Metrics", "combine", "live", "silent", "tensorboard", "wandb"]
