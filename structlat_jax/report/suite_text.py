"""What a suite of families says of structure: a table per family, in markdown or on a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.text import Text

from structlat_jax.report import cells
from structlat_jax.report.cells import Cell, Row, Section
from structlat_jax.report.contrasts import contrasts
from structlat_jax.report.finished_run import RunFiles

_FIELDS = ("kl_nats", "block_used", "recovery", "recovery_matched")


def with_structure(built: dict[str, Any], runs: Mapping[str, RunFiles]) -> dict[str, Any]:
    """A table from `table.build_arms`, its rows with what ``results.json`` says of the blocks, and
    all but the first with their `contrasts.contrasts` to it.

    Args:
      built: The table.
      runs: Its runs by label.
    """
    rows = [
        {**row, **{name: runs[row["latent"]].results.get(name, {}) for name in _FIELDS}}
        for row in built["rows"]
    ]
    first = runs[rows[0]["latent"]]
    for row in rows[1:]:
        row["contrasts"] = contrasts(runs[row["latent"]], first)
    return {**built, "rows": rows}


def sections(name: str, built: dict[str, Any]) -> list[Section]:
    """The tables of a family: of returns, of tasks that are solved, of differences to the first row
    if there are others, and of blocks; what is empty throughout is left out."""
    factors = dict.fromkeys(factor for row in built["rows"] for factor in row["recovery"])
    returns = {
        "latent": cells.latent,
        "last\nepisode": cells.mean,
        "% of\noracle": cells.number("percent_of_oracle", 0),
        "encoder's\nposterior": cells.encoder,
        "first\nposterior": cells.number("first_posterior_return"),
        "s per\nseed": cells.number("seconds_per_seed_and_core", 0),
    }
    tasks = {
        "latent": cells.latent,
        "% of tasks solved": cells.solved,
        "prior reaches": cells.percent("tasks_reached_by_prior"),
    }
    differences = {
        "to the first row": cells.latent,
        "last\nepisode": _contrast("test_return"),
        "first\nposterior": _contrast("first_posterior_return"),
        "tasks solved\n(points)": _contrast("test_success", 100.0),
        "encoder's\nposterior": _contrast("amortised_return"),
        "prior reaches\n(points)": _contrast("tasks_reached_by_prior", 100.0),
    }
    blocks = {
        "latent": cells.latent,
        "KL in nats (used)": _blocks,
        **{f"R^2 of {factor}": _recovery(factor) for factor in factors},
    }
    rows = built["rows"]
    tables = [(returns, rows), (tasks, rows), (differences, rows[1:]), (blocks, rows)]
    made = [cells.section(name, columns, some) for columns, some in tables if some]
    return [one for one in made if len(one.heads) > 1]


def markdown(
    families: Mapping[str, dict[str, Any]], pictures: Mapping[str, Mapping[str, str]]
) -> str:
    """The text of ``suite.md``: one section per family, with its pictures.

    Args:
      families: Tables from `with_structure` by family.
      pictures: What each picture of a family shows, by its path.
    """
    parts = []
    for name, built in families.items():
        tables = [one.markdown for one in sections(name, built)]
        shown = [f"![{text}]({path})\n" for path, text in pictures[name].items()]
        parts.append("\n".join([f"## {name}\n", *tables, *shown]))
    return "\n".join([*parts, _NOTE, ""])


def terminal(families: Mapping[str, dict[str, Any]]) -> Group:
    """The same for a rich console."""
    grids = [one.grid for name, built in families.items() for one in sections(name, built)]
    return Group(*grids, Text(_NOTE))


_NOTE = (
    "Returns are means over test tasks, with 95 % intervals over seeds; differences are paired by "
    "seed, and a share of tasks differs by points of its percentage. Solved is a task whose last "
    "episode succeeds, as the environment says. KL in nats, and in what share "
    "of seeds it is at least 0.1. R^2 of a factor is that of the best linear map from a block's "
    "last posterior mean, on tasks that it was not fitted to."
)


def _contrast(name: str, times: float = 1.0) -> Cell:
    def tell(row):
        found = row["contrasts"][name]
        if found is None or found["mean"] is None:
            return None
        interval = found["ci95"] and [times * end for end in found["ci95"]]
        return cells.spread(times * found["mean"], interval, "+.2f")

    return tell


def _blocks(row: Row) -> str | None:
    told = [
        f"{name} {nats:.2f} ({100 * row['block_used'].get(name, 0.0):.0f} %)"
        for name, nats in row["kl_nats"].items()
    ]
    return ", ".join(told) or None


def _recovery(factor: str) -> Cell:
    def tell(row):
        by_block = row["recovery"].get(factor, {})
        told = [f"{name} {x:.2f}" for name, x in by_block.items() if x is not None]
        return ", ".join(told) or None

    return tell
