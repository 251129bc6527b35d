"""Several runs side by side, the rows of a table: trained in turn, resumable, then compared."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from experiments import cli, job, platform
from experiments.plan import Plan
from structlat_jax import checkpoint
from structlat_jax.checkpoint import CONFIG_FILE, CheckpointError
from structlat_jax.report import progress, table_text
from structlat_jax.report.run_files import RESULTS_FILE


class Row(NamedTuple):
    """One run of a table: its label, its folder and its plan."""

    label: str
    folder: Path
    plan: Plan

    @property
    def finished(self) -> bool:
        return (self.folder / RESULTS_FILE).is_file()


def make(labelled: Iterable[tuple[str, Path, Plan]]) -> list[Row]:
    """The rows in the order in which they run.

    Raises:
      CheckpointError: if a folder that is there belongs to another table.
    """
    rows = [Row(*one) for one in labelled]
    for row in rows:
        if (row.folder / CONFIG_FILE).exists():
            there = job.settings(*checkpoint.read_config(row.folder))
            own = job.settings(row.plan.config, row.plan.records())
            different = job.differences(there, own)
            if different:
                raise CheckpointError(f"{row.folder} belongs to another table: {different}.")
    return rows


def train(rows: list[Row], console: Console) -> None:
    """Runs what is not finished; rows of which there is a checkpoint continue from it."""
    pending = [row for row in rows if not row.finished]
    if not pending:
        return
    plan = pending[0].plan
    platform.configure(plan.seeds)
    updates = plan.steps * plan.config.structure.updates_per_step
    with progress.Bar(len(rows) * updates, console) as meter:
        for row in rows:
            if row.finished:
                meter.message(f"{row.label}: finished before")
        for i, row in enumerate(pending):
            before, after = len(rows) - len(pending) + i, len(pending) - 1 - i
            part = progress.Part(meter, row.label, updates, before, after)
            if not (row.folder / CONFIG_FILE).exists():
                cli.make_folder(row.folder)
                checkpoint.write_config(row.folder, row.plan.config, **row.plan.records())
            job.train(row.plan, row.folder, resume=True, meter=part)


def report(built: dict[str, Any], out: Path, console: Console) -> int:
    """Writes ``table.md`` and ``table.json``, and prints the table that `table.build` gave.

    Returns:
      The exit code: `cli.EXIT_FAILED` if a seed is not finite, which is said too.
    """
    checkpoint.write_whole(out / "table.md", table_text.markdown(built))
    checkpoint.write_json(out / "table.json", built)
    console.print(table_text.terminal(built))
    console.print(f"everything is in {out}", highlight=False)
    failed = {row["latent"]: row["not_finite_seeds"] for row in built["rows"]}
    if not any(failed.values()):
        return 0
    each = "; ".join(f"{label}: {', '.join(map(str, s))}" for label, s in failed.items() if s)
    cli.complain(f"not all seeds stayed finite ({each}); results.json of each row says when.")
    return cli.EXIT_FAILED
