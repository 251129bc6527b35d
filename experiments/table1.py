"""The paper's Table 1 with seeds and intervals: latent spaces side by side on the point robot.

python -m experiments.table1 --seeds 10 --out runs/table1

Every row is a run folder of its own, DIR/LATENT. All rows have the same seeds, and a seed fixes
the tasks, so that rows are compared seed by seed. At the end: DIR/table.md and DIR/table.json.
"""

import dataclasses
import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from experiments import changes, cli, job, paper, rows
from experiments.plan import Plan
from structlat_jax import checkpoint
from structlat_jax.checkpoint import CheckpointError
from structlat_jax.config import ConfigError
from structlat_jax.report import table
from structlat_jax.report.run_files import read_run
from structlat_jax.train.setup import make_setup

TABLE_CONFIG_FILE = "table_config.json"


@click.command(cls=cli.SectionedCommand, help=__doc__.replace("\n\npython", "\n\n\b\npython"))
@click.option(
    "--latents",
    multiple=True,
    default=[";".join(paper.RETURNS)],
    metavar="SPECS",
    help="Latent specs with semicolons between them (quote them); may be given several times."
    f"  [{';'.join(paper.RETURNS)}]",
)
@job.run_options(seeds=10, default_folder="runs/table1-DATE-TIME")
@functools.partial(cli.config_options, without=("latent",))
def command(
    latents: Sequence[str], out: Path | None, overwrite: bool, resume: bool, **options: Any
) -> int:
    """See the module's docstring."""
    plan = job.make_plan(options)
    try:
        specs = changes.latent_specs(
            plan.config, [one for text in latents for one in text.split(";")]
        )
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
    made = _rows(out, plan, specs)
    console = Console()
    with job.interruptible(out, console):
        rows.train(made, console)
        runs = [read_run(row.folder) for row in made]
        plane = make_setup(plan.config).env.plane
        return rows.report(table.build(runs, paper.published(runs), plane), out, console)


def _saved(out: Path, given: dict[str, Any]) -> tuple[Plan, list[str]]:
    """The plan and the specs in the folder; options that contradict them are refused."""
    config, data = checkpoint.read_config(out, TABLE_CONFIG_FILE)
    try:
        specs = changes.latent_specs(config, data.get("latents"))
    except ConfigError as error:
        raise CheckpointError(f"{out / TABLE_CONFIG_FILE}: {error}") from None
    saved = {**job.settings(config, data), "latents": ";".join(specs)}
    job.refuse_differences(out, saved, given)
    cli.claim(out)
    return job.saved_plan(config, data), specs


def _rows(out: Path, plan: Plan, specs: list[str]) -> list[rows.Row]:
    plans = (dataclasses.replace(plan, config=plan.config.replace(latent=s)) for s in specs)
    return rows.make(
        (spec, out / job.slug(own.config), own) for spec, own in zip(specs, plans, strict=True)
    )


if __name__ == "__main__":
    cli.main(command)
