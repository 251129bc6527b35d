"""Seeds whose numbers stopped being finite: which, and at which update.

They go on beside the others, which do not notice, and are left out of every mean.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

COLUMN = "not_finite_at"
"""Of ``metrics.csv``: the update at which a seed stopped being finite; empty otherwise."""


def mark(rows: list[dict[str, Any]], updates: np.ndarray, known: dict[int, int]) -> dict[int, int]:
    """Notes in the rows of one meta-step which seeds have just stopped being finite.

    Args:
      rows: One per seed, changed in place.
      updates: From `Metrics.not_finite_at`, ``[S]``.
      known: Those that had before, as `found` gives them.

    Returns:
      The new ones: index to update.
    """
    new = {int(i): int(updates[i]) for i in np.flatnonzero(updates) if i not in known}
    for index, update in new.items():
        rows[index][COLUMN] = update
    return new


def found(rows: Sequence[dict[str, Any]], seeds: int) -> dict[int, int]:
    """Index of each seed that is not finite, and the update at which that happened.

    Args:
      rows: Of ``metrics.csv``, ``seeds`` of them for each meta-step.
      seeds: How many.
    """
    return {i % seeds: int(row[COLUMN]) for i, row in enumerate(rows) if row.get(COLUMN)}


def records(rows: Sequence[dict[str, Any]], seeds: int) -> list[dict[str, int]]:
    """The entry ``failed_seeds`` of ``results.json``, in the order of the seeds."""
    return [
        {"seed": rows[index]["seed"], "update": update}
        for index, update in sorted(found(rows, seeds).items())
    ]


def sentence(failed: Sequence[dict[str, int]]) -> str:
    """What happened to the seeds of `records`, at least one, in words."""
    each = ", ".join(f"seed {one['seed']} at update {one['update']:,}" for one in failed)
    return f"not all numbers stayed finite: {each}; the means leave out what is not finite."
