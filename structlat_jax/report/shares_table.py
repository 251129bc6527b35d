"""Shares of variance over seeds, as a record for JSON and as a table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from structlat_jax.report.results import over_seeds
from structlat_jax.report.sobol import Shares


def shares_record(
    names: Sequence[str], seeds: Sequence[Mapping[str, Shares]]
) -> list[dict[str, Any]]:
    """What every part explains, over seeds.

    Args:
      names: One per part.
      seeds: One mapping per seed, from a measure's name to the shares of all parts.

    Returns:
      Per part: ``name`` and, for each measure, ``alone`` and ``with_interactions`` as
      `results.over_seeds` gives them, and ``standard_error``, the largest of ``alone`` over seeds
      that is due to the number of draws. What is not finite is None.
    """
    return [
        {"name": name, **{measure: _over_seeds(seeds, measure, i) for measure in seeds[0]}}
        for i, name in enumerate(names)
    ]


def shares_table(title: str, measure: str, runs: Mapping[str, Sequence[Mapping]]) -> Table:
    """A table of one measure: a row per part of each run.

    Args:
      title: Stands above it.
      measure: For instance ``position``.
      runs: From a run's label to its `shares_record`.
    """
    table = Table(title=title)
    for name in ("latent", "part of z"):
        table.add_column(name, no_wrap=True)
    for name in ("alone", "by seed", "total"):
        table.add_column(name, no_wrap=True, justify="right")
    for label, parts in runs.items():
        for i, part in enumerate(parts):
            one = part[measure]
            each = one["alone"]["per_seed"]
            known = [value for value in each if value is not None]
            spread = f"{percent(min(known))} to {percent(max(known))}" if len(known) > 1 else ""
            table.add_row(
                label if i == 0 else "",
                part["name"],
                percent(one["alone"]["mean"]),
                spread,
                percent(one["with_interactions"]["mean"]),
                end_section=i == len(parts) - 1,
            )
    return table


def percent(share: float | None) -> str:
    """A share in words; estimates a little outside of 0 to 1 are drawn in."""
    if share is None or not math.isfinite(share):
        return "-"
    return f"{min(max(share, 0.0), 1.0):.0%}"


def _over_seeds(seeds: Sequence[Mapping[str, Shares]], measure: str, part: int) -> dict[str, Any]:
    found = [seed[measure] for seed in seeds]
    return _finite(
        {
            "alone": over_seeds(np.array([one.first_order[part] for one in found])),
            "with_interactions": over_seeds(np.array([one.total[part] for one in found])),
            "standard_error": float(max(one.error[part] for one in found)),
        }
    )


def _finite(value: Any) -> Any:
    """The same with None for numbers that JSON does not know."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
