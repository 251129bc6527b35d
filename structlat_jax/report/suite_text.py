"""What a suite of families says of structure: a table per family, in markdown or on a terminal."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.table_text import NOTHING

_FIELDS = ("kl_nats", "block_used", "recovery", "recovery_matched")


def with_structure(built: dict[str, Any], runs: Mapping[str, RunFiles]) -> dict[str, Any]:
    """A table from `table.build_arms`, its rows with what ``results.json`` says of the blocks.

    Args:
      built: The table.
      runs: Its runs by label.
    """
    rows = [
        {**row, **{name: runs[row["latent"]].results.get(name, {}) for name in _FIELDS}}
        for row in built["rows"]
    ]
    return {**built, "rows": rows}


def markdown(families: Mapping[str, dict[str, Any]]) -> str:
    """The text of ``suite.md``: one section per family."""
    parts = []
    for name, built in families.items():
        parts.append(f"## {name}\n")
        for heads, rows in cells(built):
            lines = [heads, ["---"] * len(heads), *rows]
            parts.append("\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n")
    return "\n".join([*parts, _NOTE, ""])


def terminal(families: Mapping[str, dict[str, Any]]) -> Group:
    """The same for a rich console."""
    shown = []
    for name, built in families.items():
        for heads, rows in cells(built):
            grid = Table(title=name, title_justify="left")
            for i, head in enumerate(heads):
                grid.add_column(head, justify="right" if i else "left", overflow="fold")
            for row in rows:
                grid.add_row(*map(Text, row))
            shown.append(grid)
    return Group(*shown, Text(_NOTE))


_NOTE = (
    "Returns are means over test tasks, with 95 % intervals over seeds; differences are to the "
    "first row of a family, paired by seed. KL in nats, and in what share of seeds it is at least "
    "0.1. R^2 of a factor is that of the best linear map from a block's last posterior mean, on "
    "tasks that it was not fitted to."
)


Cells = tuple[list[str], list[list[str]]]
"""Heads and rows of a table."""


def cells(built: dict[str, Any]) -> tuple[Cells, Cells]:
    """The two tables of a family, of returns and of blocks; columns that are empty throughout are
    left out."""
    against = {one["latent"]: one for one in built["comparisons"]}
    factors = dict.fromkeys(name for row in built["rows"] for name in row["recovery"])
    returns = {
        "latent": lambda row: row["latent"],
        "last episode": _last,
        "to the first row": lambda row: _difference(against.get(row["latent"])),
        "% of oracle": lambda row: _rounded(row.get("percent_of_oracle"), 0),
        "encoder's posterior": lambda row: _rounded(_mean(row.get("amortised_return"))),
        "first posterior": lambda row: _rounded(row.get("first_posterior_return")),
        "prior reaches": lambda row: _share(row.get("tasks_reached_by_prior")),
        "s per seed": lambda row: _rounded(row.get("seconds_per_seed_and_core"), 0),
    }
    blocks = {
        "latent": lambda row: row["latent"],
        "KL in nats (used)": _blocks,
        **{f"R^2 of {name}": _recovery(name) for name in factors},
    }
    return _filled(built["rows"], returns), _filled(built["rows"], blocks)


def _filled(rows: list[dict[str, Any]], columns: dict[str, Callable]) -> Cells:
    table = {head: [tell(row) for row in rows] for head, tell in columns.items()}
    kept = [head for head, column in table.items() if any(x != NOTHING for x in column)]
    return kept, [list(line) for line in zip(*(table[head] for head in kept), strict=True)]


def _last(row: dict[str, Any]) -> str:
    found = row["test_return"]
    if found is None:
        return "not finite"
    low, high = found["mean_ci95"] or (None, None)
    spread = "" if low is None else f" ({low:.2f} to {high:.2f})"
    return f"{found['mean']:.2f}{spread}"


def _difference(one: dict[str, Any] | None) -> str:
    if one is None or one["difference"] is None:
        return NOTHING
    found = one["difference"]
    spread = "" if found["ci95"] is None else " ({:+.2f} to {:+.2f})".format(*found["ci95"])
    return f"{found['mean']:+.2f}{spread}"


def _blocks(row: dict[str, Any]) -> str:
    told = [
        f"{name} {nats:.2f} ({100 * row['block_used'].get(name, 0.0):.0f} %)"
        for name, nats in row["kl_nats"].items()
    ]
    return ", ".join(told) or NOTHING


def _recovery(factor: str):
    def tell(row):
        by_block = row["recovery"].get(factor, {})
        told = [f"{name} {x:.2f}" for name, x in by_block.items() if x is not None]
        return ", ".join(told) or NOTHING

    return tell


def _mean(headline: dict[str, Any] | None) -> float | None:
    return None if headline is None else headline["mean"]


def _rounded(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.0f} %"
