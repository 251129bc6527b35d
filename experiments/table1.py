"""The paper's Table 1 with seeds and intervals: latent spaces side by side on the point robot.

python -m experiments.table1 --seeds 10 --out runs/table1

Every row is a run folder of its own, DIR/LATENT. All rows have the same seeds, and a seed fixes
the tasks, so that rows are compared seed by seed. At the end: DIR/table.md and DIR/table.json.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console

from experiments import cli, job, platform
from experiments.runner import Plan
from structlat_jax import checkpoint
from structlat_jax.checkpoint import CONFIG_FILE, CheckpointError
from structlat_jax.config import Config, ConfigError
from structlat_jax.report import progress, table, table_text
from structlat_jax.report.run_files import RESULTS_FILE, read_run

TABLE_CONFIG_FILE = "table_config.json"


class Row(NamedTuple):
    """One run of the table: its latent spec, its folder and its plan."""

    latent: str
    folder: Path
    plan: Plan

    @property
    def finished(self) -> bool:
        return (self.folder / RESULTS_FILE).is_file()


@click.command(cls=cli.SectionedCommand, help=__doc__.replace("\n\npython", "\n\n\b\npython"))
@click.option(
    "--latents",
    multiple=True,
    default=[";".join(table.PAPER_RETURNS)],
    metavar="SPECS",
    help="Latent specs with semicolons between them (quote them); may be given several times."
    f"  [{';'.join(table.PAPER_RETURNS)}]",
)
@job.run_options(seeds=10, default_folder="runs/table1-DATE-TIME")
@functools.partial(cli.config_options, without=("latent",))
def command(
    latents: Sequence[str], out: Path | None, overwrite: bool, resume: bool, **options: Any
) -> int:
    """See the module's docstring."""
    plan = job.make_plan(options)
    try:
        specs = _specs(plan.config, [one for text in latents for one in text.split(";")])
    except ConfigError as error:
        raise click.UsageError(f"--{error}") from None
    if resume:
        out = job.require_folder(out, overwrite)
        plan, specs = _saved(out, {**options, "latents": ";".join(specs)})
    else:
        out = out or Path("runs") / f"table1-{time.strftime('%Y%m%d-%H%M%S')}"
        cli.prepare_folder(out, overwrite, TABLE_CONFIG_FILE)
        checkpoint.write_config(
            out, plan.config, TABLE_CONFIG_FILE, latents=specs, **plan.records()
        )
    rows = _rows(out, plan, specs)
    console = Console()
    with job.interruptible(out, console):
        _train(rows, console)
        _report(rows, out, console)
    return 0


def _specs(config: Config, given: Any) -> list[str]:
    """The specs as the library writes them; raises `ConfigError` unless all are good."""
    if not isinstance(given, list) or not given:
        raise ConfigError(f"latents must be latent specs, not {given!r}.")
    specs = []
    for one in given:
        try:
            spec = str(config.replace(latent=one).latent_space())
        except ConfigError as error:
            raise ConfigError(str(error).replace("latent", "latents", 1)) from None
        if spec in specs:
            raise ConfigError(f"latents must differ from each other, but {spec} is there twice.")
        specs.append(spec)
    return specs


def _saved(out: Path, given: dict[str, Any]) -> tuple[Plan, list[str]]:
    """The plan and the specs in the folder; options that contradict them are refused."""
    config, data = checkpoint.read_config(out, TABLE_CONFIG_FILE)
    try:
        specs = _specs(config, data.get("latents"))
    except ConfigError as error:
        raise CheckpointError(f"{out / TABLE_CONFIG_FILE}: {error}") from None
    saved = {**job.settings(config, data), "latents": ";".join(specs)}
    job.refuse_differences(out, saved, given)
    cli.require_writable(out)
    return job.saved_plan(config, data), specs


def _rows(out: Path, plan: Plan, specs: list[str]) -> list[Row]:
    """The rows in the order in which they run; folders that are there must belong to them."""
    rows = []
    for spec in specs:
        own = dataclasses.replace(plan, config=plan.config.replace(latent=spec))
        row = Row(spec, out / job.slug(own.config), own)
        if (row.folder / CONFIG_FILE).exists():
            there = job.settings(*checkpoint.read_config(row.folder))
            different = job.differences(there, job.settings(own.config, own.records()))
            if different:
                raise CheckpointError(f"{row.folder} belongs to another table: {different}.")
        rows.append(row)
    return rows


def _train(rows: list[Row], console: Console) -> None:
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
                meter.message(f"{row.latent}: finished before")
        for i, row in enumerate(pending):
            before, after = len(rows) - len(pending) + i, len(pending) - 1 - i
            part = progress.Part(meter, row.latent, updates, before, after)
            if not (row.folder / CONFIG_FILE).exists():
                row.folder.mkdir(exist_ok=True)
                checkpoint.write_config(row.folder, row.plan.config, **row.plan.records())
            job.train(row.plan, row.folder, resume=True, meter=part)


def _report(rows: list[Row], out: Path, console: Console) -> None:
    """Writes and prints the table, from the row folders alone."""
    built = table.build([read_run(row.folder) for row in rows])
    checkpoint.write_whole(out / "table.md", table_text.markdown(built))
    text = json.dumps(built, indent=2, allow_nan=False) + "\n"
    checkpoint.write_whole(out / "table.json", text)
    console.print(table_text.terminal(built))
    console.print(f"everything is in {out}", highlight=False)


if __name__ == "__main__":
    cli.main(command)
