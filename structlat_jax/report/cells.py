"""Cells of tables in words, and the tables that they make, as Markdown and for the terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

NOTHING = "-"
_PLAIN = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}

Row = dict[str, Any]
Cell = Callable[[Row], str | None]
"""A row, or a comparison, of `table.build` to a cell; None where it has nothing to say."""


class Section(NamedTuple):
    """A table of strings: its title, its column heads, and its rows, as long as the heads.

    Lines break where 80 characters ask for it; Markdown makes spaces of that.
    """

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]

    @property
    def markdown(self) -> str:
        """The table without its title."""
        lines = [self.heads, ("---",) * len(self.heads), *self.rows]
        texts = [" | ".join(cells).replace("\n", " ") for cells in lines]
        return "\n".join(f"| {text} |" for text in texts) + "\n"

    @property
    def grid(self) -> Table:
        """The table for a rich console."""
        grid = Table(title=self.title, title_justify="left", **_PLAIN)
        for i, head in enumerate(self.heads):
            grid.add_column(head, justify="right" if i else "left", overflow="fold", no_wrap=not i)
        for cells in self.rows:
            grid.add_row(*map(Text, cells))
        return grid


def section(title: str, columns: Mapping[str, Cell], rows: Sequence[Row]) -> Section:
    """The cells of rows; columns in which no row has anything to say are left out."""
    table = {head: [tell(row) for row in rows] for head, tell in columns.items()}
    said = {head: cells for head, cells in table.items() if any(x is not None for x in cells)}
    lines = zip(*said.values(), strict=True)
    return Section(title, tuple(said), [tuple(x or NOTHING for x in line) for line in lines])


def spread(value: float, interval: list[float] | None, form: str = ".2f") -> str:
    """A number and its interval, in two lines."""
    if interval is None:
        return f"{value:{form}}"
    return f"{value:{form}}\n({interval[0]:{form}} to {interval[1]:{form}})"


def number(name: str, digits: int = 2, inside: str | None = None) -> Cell:
    """The number of that name, of the row or of what stands ``inside`` of it."""

    def tell(row):
        value = (row if inside is None else row[inside] or {}).get(name)
        return None if value is None else f"{value:.{digits}f}"

    return tell


def percent(name: str, inside: str | None = None) -> Cell:
    """The share of that name, likewise."""

    def tell(row):
        value = (row if inside is None else row[inside] or {}).get(name)
        return None if value is None else f"{100 * value:.0f} %"

    return tell


def over_seeds(name: str) -> Cell:
    """Mean or interquartile mean of the test return, with its interval."""

    def tell(row):
        found = row["test_return"]
        return None if found is None else spread(found[name], found[f"{name}_ci95"])

    return tell


def latent(row: Row) -> str:
    """What the row is called."""
    return row["latent"]


def mean(row: Row) -> str | None:
    """The mean test return with its interval, or which seeds forbid one."""
    bad = ", ".join(map(str, row["not_finite_seeds"]))
    return f"not finite\nin seed {bad}" if bad else over_seeds("mean")(row)


def encoder(row: Row) -> str | None:
    """The mean test return with the encoder's posterior."""
    found = row.get("amortised_return")
    return None if found is None else f"{found['mean']:.2f}"


def solved(row: Row) -> str | None:
    """The share of test tasks whose last episode succeeds, in percent, with its interval."""
    found = row.get("test_success")
    if found is None:
        return None
    interval = found["mean_ci95"] and [100.0 * end for end in found["mean_ci95"]]
    return spread(100.0 * found["mean"], interval, ".0f")


def difference(one: Row) -> str | None:
    """The paired difference of a comparison, with its interval."""
    found = one["difference"]
    return None if found is None else spread(found["mean"], found["ci95"], "+.2f")
