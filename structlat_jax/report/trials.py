"""What the trials of a search were worth: their return on training tasks, and never on test tasks,
by which nothing may be chosen."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from structlat_jax.report.run_files import read_run

SHOWN = 5
"""How many trials the table shows."""


class Tried(NamedTuple):
    """A finished trial.

    Attributes:
      number: Of the trial, from 0.
      folder: Its run folder.
      params: Values by field.
      returns: ``train_return`` of its ``results.json``: the last episode on training tasks, its
        mean over the seeds that stayed finite, their spread, and each of them.
    """

    number: int
    folder: Path
    params: dict[str, Any]
    returns: dict[str, Any]

    @property
    def value(self) -> float | None:
        """The mean over seeds; None if none stayed finite."""
        return self.returns["mean"]

    @property
    def seeds(self) -> int:
        """How many seeds are in the mean."""
        return sum(value is not None for value in self.returns["per_seed"])

    def row(self) -> dict[str, Any]:
        """Of a table that programs read; a trial without a value has failed."""
        failed = self.value is None
        return {
            "trial": self.number,
            **self.params,
            "train_return": "" if failed else self.value,
            "seeds": self.seeds,
            "state": "failed" if failed else "complete",
        }


def read(number: int, folder: Path, params: dict[str, Any]) -> Tried:
    """A trial from its run folder; raises what `read_run` raises."""
    return Tried(number, folder, params, read_run(folder).results["train_return"])


def best(tried: Sequence[Tried]) -> Tried | None:
    """The first of the highest value; None if all have failed."""
    return next(iter(_ranked(tried)), None)


def table(tried: Sequence[Tried], shown: int = SHOWN) -> Table:
    """The best trials, the best first; the spread is over seeds."""
    fields, ranked = list(tried[0].params), _ranked(tried)
    title = f"the best of {len(tried)} trials"
    if failed := len(tried) - len(ranked):
        title += f"; in {failed} no seed stayed finite"
    made = Table("trial", *fields, "train return", "std", "seeds")
    made.title = title
    for one in ranked[:shown]:
        std = one.returns["std"]
        spread = "" if std is None else f"{std:.2f}"
        seeds = f"{one.seeds} of {len(one.returns['per_seed'])}"
        values = [_text(one.params[name]) for name in fields]
        made.add_row(str(one.number), *values, f"{one.value:.2f}", spread, seeds)
    return made


def _ranked(tried: Sequence[Tried]) -> list[Tried]:
    there = [one for one in tried if one.value is not None]
    return sorted(there, key=lambda one: one.value, reverse=True)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
