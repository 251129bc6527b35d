"""A table of runs in words: the same cells as Markdown and for the terminal."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from structlat_jax.report.plane import far

NOTHING = "-"
_PLAIN = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}

Row = dict[str, Any]
Cell = Callable[[Row], str | None]
"""A row of `table.build` to a cell; None where the row has nothing to say."""


class Section(NamedTuple):
    """A table of strings: its title, its column heads, and its rows, as long as the heads.

    Lines break where 80 characters ask for it; Markdown makes spaces of that.
    """

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]


def sections(table: dict[str, Any]) -> list[Section]:
    """The cells of what `table.build` gives; columns that no row has are left out."""
    made = [
        _section(title, _said(columns, table["rows"]), table["rows"])
        for title, columns in _SECTIONS.items()
    ]
    if table["comparisons"]:
        made.append(_section(table["comparisons_title"], _COMPARISONS, table["comparisons"]))
    return [one for one in made if len(one.heads) > 1]


def _said(columns: dict[str, Cell], rows: Sequence[Row]) -> dict[str, Cell]:
    return {
        head: tell for head, tell in columns.items() if any(tell(row) is not None for row in rows)
    }


def _section(title: str, columns: dict[str, Cell], rows: Sequence[Row]) -> Section:
    cells = (tuple(tell(row) or NOTHING for tell in columns.values()) for row in rows)
    return Section(title, tuple(columns), list(cells))


def notes(table: dict[str, Any]) -> list[str]:
    """What must be known to read the table, one sentence each."""
    s, rows = table["settings"], table["rows"]
    last = s["first_seed"] + s["seeds"] - 1
    which = f"seed {last}" if s["seeds"] == 1 else f"seeds {s['first_seed']} to {last}"
    options = ", ".join(f"{name}={value}" for name, value in s.get("env_options", {}).items())
    env = f"{s['env']} ({options})" if options else s["env"]
    found = [
        f"{env}, preset {s['preset']}, {s['updates']:,} updates per seed, {which}, the same "
        f"in every row: a seed fixes the tasks. {s['device']}, jax {s['jax_version']}.",
        "In brackets: 95 % intervals over seeds, by percentile bootstrap; of the paired "
        "difference, Student's. With few seeds the bootstrap's are too narrow. IQM: interquartile "
        "mean over seeds.",
    ]
    if _has(rows, "amortised_return"):
        found.append(
            "Encoder's posterior: the same agents with the paper's inference, a product of one "
            "factor per transition; everything else is with the configured one (see --inference)."
        )
    found += [_about_floor(rows)] if _has(rows, "floor_return") else []
    found += [table["paper_note"]] if "paper_note" in table else []
    found.append(
        "Prior: mean return of the episodes before any context counts. First posterior: return of "
        "the episode after them, and its share of what the last one gains on the untrained policy."
    )
    if _has(rows, "tasks_reached_by_prior"):
        found.append(
            "Reached: tasks with a success in one of the prior episodes. Found: those with one in "
            "any episode before the last."
        )
    if _has(rows, "percent_of_oracle"):
        found.append(
            "Episodes: the first whose mean return is 80 % of the oracle's, counted the same way."
        )
    found += [far.NOTE] if any("far_share" in (row["links"] or {}) for row in rows) else []
    return [
        *found,
        "Seconds: training and evaluation of one seed on one core, without compilation (on an "
        "accelerator: divided by the seeds that it ran at once).",
        "Seeds needed: for a paired t-test at 5 %, two-sided, to see a difference like the one "
        "found with 80 % power.",
    ]


def _has(rows: Sequence[Row], name: str) -> bool:
    return any(row.get(name) is not None for row in rows)


def _about_floor(rows: Sequence[Row]) -> str:
    """What the untrained policy returns and, if it is known, the oracle, and how to count."""
    floors = sorted(row["floor_return"] for row in rows if row.get("floor_return") is not None)
    least, most = f"{floors[0]:.2f}", f"{floors[-1]:.2f}"
    untrained = least if least == most else f"{least} to {most}"
    best = next(
        (row["oracle_return"] for row in rows if row.get("oracle_return") is not None), None
    )
    if best is None:
        return f"The untrained policy returns {untrained}; nobody knows the best return."
    return (
        f"The oracle knows the task and returns {best:.2f}; the untrained policy returns "
        f"{untrained}. % of oracle: of the way from this to that."
    )


def markdown(table: dict[str, Any]) -> str:
    """The whole text of ``table.md``."""
    parts = []
    for section in sections(table):
        lines = [section.heads, ("---",) * len(section.heads), *section.rows]
        texts = [" | ".join(cells).replace("\n", " ") for cells in lines]
        parts.append(f"## {section.title}\n")
        parts.append("\n".join(f"| {text} |" for text in texts) + "\n")
    return "\n".join([*parts, "\n".join(f"* {note}" for note in notes(table)), ""])


def terminal(table: dict[str, Any]) -> Group:
    """The same for a rich console."""
    shown = []
    for section in sections(table):
        grid = Table(title=section.title, title_justify="left", **_PLAIN)
        for i, head in enumerate(section.heads):
            grid.add_column(head, justify="right" if i else "left", overflow="fold")
        for cells in section.rows:
            grid.add_row(*map(Text, cells))
        shown.append(grid)
    return Group(*shown, *(Text(note) for note in notes(table)))


def _spread(value: float, interval: list[float] | None, form: str = ".2f") -> str:
    if interval is None:
        return f"{value:{form}}"
    return f"{value:{form}}\n({interval[0]:{form}} to {interval[1]:{form}})"


def _number(name: str, digits: int = 2, inside: str | None = None) -> Cell:
    def tell(row):
        value = (row if inside is None else row[inside] or {}).get(name)
        return None if value is None else f"{value:.{digits}f}"

    return tell


def _percent(name: str, inside: str | None = None) -> Cell:
    def tell(row):
        value = (row if inside is None else row[inside] or {}).get(name)
        return None if value is None else f"{100 * value:.0f} %"

    return tell


def _over_seeds(name: str) -> Cell:
    """Mean or interquartile mean of the test return, with its interval."""

    def tell(row):
        found = row["test_return"]
        return None if found is None else _spread(found[name], found[f"{name}_ci95"])

    return tell


def _mean(row: Row) -> str | None:
    bad = ", ".join(map(str, row["not_finite_seeds"]))
    return f"not finite\nin seed {bad}" if bad else _over_seeds("mean")(row)


def _encoder(row: Row) -> str | None:
    found = row.get("amortised_return")
    return None if found is None else f"{found['mean']:.2f}"


def _episodes(row: Row) -> str | None:
    if row.get("percent_of_oracle") is None:
        return None
    episodes = row["episodes_to_80_percent_of_oracle"]
    return "not reached" if episodes is None else str(episodes)


def _latent(row: Row) -> str:
    return row["latent"]


_SECTIONS: dict[str, dict[str, Cell]] = {
    "Return of the last episode on test tasks": {
        "latent": _latent,
        "paper": _number("paper_return", 1),
        "seeds": lambda row: str(row["seeds"]),
        "mean": _mean,
        "IQM": _over_seeds("iqm"),
        "% of\noracle": _number("percent_of_oracle", 1),
        "train\ntasks": _number("train_return"),
        "encoder's\nposterior": _encoder,
    },
    "How it gets there, on test tasks": {
        "latent": _latent,
        "prior": _number("prior_return"),
        "first\nposterior": _number("first_posterior_return"),
        "share\nof last": _percent("first_posterior_share"),
        "tasks\nreached": _percent("tasks_reached_by_prior"),
        "episodes\nto 80 %\nof oracle": _episodes,
        "seconds\nper seed,\ncore": lambda row: f"{row['seconds_per_seed_and_core']:.0f}",
    },
    "Where the rest is, on test tasks": {
        "latent": _latent,
        "tasks\nfound": _percent("tasks_found", "links"),
        "found:\n% of oracle": _number("found_percent", 0, "links"),
        "near:\n% of oracle": _number("near_percent", 0, "links"),
        "far:\n% of oracle": _number("far_percent", 0, "links"),
        "share\nof far": _percent("far_share", "links"),
    },
}


def _probability(one: Row) -> str | None:
    found = one["probability"]
    return None if found is None else _spread(found["value"], found["ci95"])


def _difference(one: Row) -> str | None:
    found = one["difference"]
    return None if found is None else _spread(found["mean"], found["ci95"], "+.2f")


def _needed(one: Row) -> str | None:
    if one["told_apart"]:
        return "told apart"
    return None if one["seeds_needed"] is None else f"{one['seeds_needed']:,}"


_COMPARISONS: dict[str, Cell] = {
    "latent": _latent,
    "against": lambda one: one["against"],
    "probability\nof better": _probability,
    "difference": _difference,
    "seeds needed": _needed,
}
