"""The table of latent spaces in words: the same cells as Markdown and for the terminal."""

from typing import Any, NamedTuple

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

NOTHING = "-"
_PLAIN = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}


class Section(NamedTuple):
    """A table of strings: its title, its column heads, and its rows, as long as the heads.

    Lines break where 80 characters ask for it; Markdown makes spaces of that.
    """

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]


def sections(table: dict[str, Any]) -> list[Section]:
    """The cells of what `table.build` gives."""
    made = [_returns(table["rows"]), _adaptation(table["rows"]), _links(table["rows"])]
    if not table["comparisons"]:
        return made
    return [*made, _comparisons(table["comparisons_title"], table["comparisons"])]


def notes(table: dict[str, Any]) -> list[str]:
    """What must be known to read the table, one sentence each."""
    s = table["settings"]
    last = s["first_seed"] + s["seeds"] - 1
    which = f"seed {last}" if s["seeds"] == 1 else f"seeds {s['first_seed']} to {last}"
    return [
        f"{s['env']}, preset {s['preset']}, {s['updates']:,} updates per seed, {which}, the same "
        f"in every row: a seed fixes the tasks. {s['device']}, jax {s['jax_version']}.",
        "In brackets: 95 % intervals over seeds, by percentile bootstrap; of the paired "
        "difference, Student's. With few seeds the bootstrap's are too narrow. IQM: interquartile "
        "mean over seeds.",
        "Encoder's posterior: the same agents with the paper's inference, a product of one factor "
        "per transition; everything else is with the configured one (see --inference).",
        f"The oracle knows the goal and returns {table['rows'][0]['oracle_return']:.2f}. "
        "The paper gives neither seeds nor spread, and not its protocol.",
        "Prior: mean return of the episodes before any context counts. First posterior: return of "
        "the episode after them, and its share of the last one's. Goals reached: by one of the "
        "prior episodes. Episodes: the first whose mean return is 80 % of the oracle's.",
        "Found: rewarded in any episode before the last. Far: goals farther from every training "
        "goal than the radius of the reward; near: all others.",
        "Seconds: training and evaluation of one seed on one core, without compilation (on an "
        "accelerator: divided by the seeds that it ran at once).",
        "Seeds needed: for a paired t-test at 5 %, two-sided, to see a difference like the one "
        "found with 80 % power.",
    ]


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


def _returns(rows: list[dict[str, Any]]) -> Section:
    def cells(row):
        start = row["latent"], _number(row["paper_return"], 1), str(row["seeds"])
        found = row["test_return"]
        if found is None:
            bad = ", ".join(map(str, row["not_finite_seeds"]))
            return (*start, f"not finite\nin seed {bad}", *[NOTHING] * 4)
        return (
            *start,
            _spread(found["mean"], found["mean_ci95"]),
            _spread(found["iqm"], found["iqm_ci95"]),
            _number(row["percent_of_oracle"], 1),
            _number(row["train_return"]),
            _number(row["amortised_return"]["mean"]),
        )

    heads = (
        *("latent", "paper", "seeds", "mean", "IQM", "% of\noracle", "train\ngoals"),
        "encoder's\nposterior",
    )
    return Section("Return of the last episode on test goals", heads, [cells(row) for row in rows])


def _adaptation(rows: list[dict[str, Any]]) -> Section:
    def cells(row):
        seconds = f"{row['seconds_per_seed_and_core']:.0f}"
        if row["test_return"] is None:
            return (row["latent"], *[NOTHING] * 5, seconds)
        episodes = row["episodes_to_80_percent_of_oracle"]
        return (
            row["latent"],
            _number(row["prior_return"]),
            _number(row["first_posterior_return"]),
            _percent(row["first_posterior_share"]),
            _percent(row["tasks_reached_by_prior"]),
            "not reached" if episodes is None else str(episodes),
            seconds,
        )

    heads = (
        *("latent", "prior", "first\nposterior", "share\nof last", "goals\nreached"),
        *("episodes\nto 80 %\nof oracle", "seconds\nper seed,\ncore"),
    )
    return Section("How it gets there, on test goals", heads, [cells(row) for row in rows])


def _links(rows: list[dict[str, Any]]) -> Section:
    def cells(row):
        if row["links"] is None:
            return (row["latent"], *[NOTHING] * 5)
        found = row["links"]
        return (
            row["latent"],
            _percent(found["tasks_found"]),
            _number(found["found_percent"], 0),
            _number(found["near_percent"], 0),
            _number(found["far_percent"], 0),
            _percent(found["far_share"]),
        )

    heads = (
        *("latent", "goals\nfound", "found:\n% of oracle", "near:\n% of oracle"),
        *("far:\n% of oracle", "share\nof far"),
    )
    return Section("Where the rest is, on test goals", heads, [cells(row) for row in rows])


def _comparisons(title: str, comparisons: list[dict[str, Any]]) -> Section:
    def cells(one):
        start = one["latent"], one["against"]
        if one["difference"] is None:
            return (*start, *[NOTHING] * 3)
        probability = one["probability"]
        needed = NOTHING if one["seeds_needed"] is None else f"{one['seeds_needed']:,}"
        return (
            *start,
            _spread(probability["value"], probability["ci95"]),
            _spread(one["difference"]["mean"], one["difference"]["ci95"], "+.2f"),
            "told apart" if one["told_apart"] else needed,
        )

    heads = ("latent", "against", "probability\nof better", "difference", "seeds needed")
    return Section(title, heads, [cells(one) for one in comparisons])


def _spread(value: float, interval: list[float] | None, form: str = ".2f") -> str:
    if interval is None:
        return f"{value:{form}}"
    return f"{value:{form}}\n({interval[0]:{form}} to {interval[1]:{form}})"


def _number(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.0f} %"
