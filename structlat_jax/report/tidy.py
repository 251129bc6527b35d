"""Evaluations of several runs as one table, in words that programs can type.

Columns are lower_snake. The KL of a block is called by its place in the latent, ``kl_0``, ``kl_1``,
so that those of different latents line up; the column ``latent`` says what stands there.
"""

import re
from collections.abc import Sequence
from typing import Any

from structlat_jax import config as configuration
from structlat_jax.config import Config
from structlat_jax.latents import block_names
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.run_files import evaluated

_ROW = ("updates", "seed")
LAST = "is_last"
"""1 where an evaluation is the last one of its run, else 0."""


def rows(run: RunFiles, about: dict[str, Any]) -> list[dict[str, Any]]:
    """One per evaluation and seed of a run: what is said about the run, then what was measured.

    Args:
      run: The run.
      about: Columns that all of its rows have.
    """
    found = evaluated(run.metrics)
    last = max((one["updates"] for one in found), default=0)
    measured = list(dict.fromkeys(name for one in found for name in one))
    names = columns([name for name in measured if name not in _ROW], run.config)
    return [
        {
            **about,
            **{name: one[name] for name in _ROW},
            LAST: int(one["updates"] == last),
            **{name: one.get(column, "") for column, name in names.items()},
        }
        for one in found
    ]


def columns(measured: Sequence[str], config: Config) -> dict[str, str]:
    """What columns of ``metrics.csv`` are called here, each another name; what has the name of a
    setting, whose value may change along the run, is ``current_NAME``."""
    places = {f"kl {name}": i for i, name in enumerate(block_names(config.latent_space()))}
    found: dict[str, str] = {}
    for column in measured:
        name = f"kl_{places[column]}" if column in places else _snake(column)
        if name in configuration.fields():
            name = f"current_{name}"
        while name in found.values():  # of a metric of somebody's own
            name += "_2"
        found[column] = name
    return found


def _snake(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
