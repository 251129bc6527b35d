"""A table of runs in words: the same cells as Markdown and for the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from structlat_jax.report import cells
from structlat_jax.report.cells import Cell, Row, Section
from structlat_jax.report.plane import far


def sections(table: dict[str, Any]) -> list[Section]:
    """The cells of what `table.build` gives; columns that no row has are left out."""
    made = [cells.section(title, columns, table["rows"]) for title, columns in _SECTIONS.items()]
    if table["comparisons"]:
        title = table["comparisons_title"]
        made.append(cells.section(title, _COMPARISONS, table["comparisons"]))
    return [one for one in made if len(one.heads) > 1]


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
    if _has(rows, "test_success"):
        found.append("Solved: tasks whose last episode succeeds, as the environment says.")
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
    parts = [f"## {one.title}\n\n{one.markdown}" for one in sections(table)]
    return "\n".join([*parts, "\n".join(f"* {note}" for note in notes(table)), ""])


def terminal(table: dict[str, Any]) -> Group:
    """The same for a rich console."""
    grids = [one.grid for one in sections(table)]
    return Group(*grids, *(Text(note) for note in notes(table)))


def _episodes(row: Row) -> str | None:
    if row.get("percent_of_oracle") is None:
        return None
    episodes = row["episodes_to_80_percent_of_oracle"]
    return "not reached" if episodes is None else str(episodes)


_SECTIONS: dict[str, dict[str, Cell]] = {
    "Return of the last episode on test tasks": {
        "latent": cells.latent,
        "paper": cells.number("paper_return", 1),
        "seeds": lambda row: str(row["seeds"]),
        "mean": cells.mean,
        "IQM": cells.over_seeds("iqm"),
        "% of\noracle": cells.number("percent_of_oracle", 1),
        "train\ntasks": cells.number("train_return"),
        "encoder's\nposterior": cells.encoder,
    },
    "How it gets there, on test tasks": {
        "latent": cells.latent,
        "prior": cells.number("prior_return"),
        "first\nposterior": cells.number("first_posterior_return"),
        "share\nof last": cells.percent("first_posterior_share"),
        "tasks\nreached": cells.percent("tasks_reached_by_prior"),
        "episodes\nto 80 %\nof oracle": _episodes,
        "seconds\nper seed,\ncore": lambda row: f"{row['seconds_per_seed_and_core']:.0f}",
    },
    "Where the rest is, on test tasks": {
        "latent": cells.latent,
        "% of tasks\nsolved": cells.solved,
        "tasks\nfound": cells.percent("tasks_found", "links"),
        "found:\n% of oracle": cells.number("found_percent", 0, "links"),
        "near:\n% of oracle": cells.number("near_percent", 0, "links"),
        "far:\n% of oracle": cells.number("far_percent", 0, "links"),
        "share\nof far": cells.percent("far_share", "links"),
    },
}


def _probability(one: Row) -> str | None:
    found = one["probability"]
    return None if found is None else cells.spread(found["value"], found["ci95"])


def _needed(one: Row) -> str | None:
    if one["told_apart"]:
        return "told apart"
    return None if one["seeds_needed"] is None else f"{one['seeds_needed']:,}"


_COMPARISONS: dict[str, Cell] = {
    "latent": cells.latent,
    "against": lambda one: one["against"],
    "probability\nof better": _probability,
    "difference": cells.difference,
    "seeds needed": _needed,
}
