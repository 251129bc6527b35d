"""Trains an agent on the sparse point robot and shows how it adapts to goals it has never seen.

python -m experiments.point_robot --latent dir:2x4,gau:2 --seeds 2
"""

import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from experiments import cli, failures, job, platform
from structlat_jax import checkpoint
from structlat_jax.report import progress
from structlat_jax.report.run_files import RESULTS_FILE


@click.command(cls=cli.SectionedCommand, help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
@job.run_options(seeds=1, default_folder="runs/LATENT-DATE-TIME")
@cli.config_options
def command(out: Path | None, overwrite: bool, resume: bool, **options: Any) -> int:
    """See the module's docstring."""
    plan = job.make_plan(options)
    if resume:
        out = job.require_folder(out, overwrite)
        config, data = checkpoint.read_config(out)
        job.refuse_differences(out, job.settings(config, data), options)
        plan = job.saved_plan(config, data)
        if (out / RESULTS_FILE).is_file():
            click.echo(f"{out} is finished; there is nothing to resume")
            return 0
        cli.claim(out)
    platform.configure(plan.seeds)
    if not resume:
        date = time.strftime("%Y%m%d-%H%M%S")
        out = out or Path("runs") / f"{job.slug(plan.config)}-{date}"
        cli.prepare_folder(out, overwrite)
        checkpoint.write_config(out, plan.config, **plan.records())
    console = Console()
    total = plan.steps * plan.config.structure.updates_per_step
    with job.interruptible(out, console), progress.Bar(total, console) as meter:
        results = job.train(plan, out, resume, meter)
    console.print(progress.results_table(results))
    console.print(f"everything is in {out}", highlight=False)
    if results["failed_seeds"]:
        cli.complain(failures.sentence(results["failed_seeds"]))
        return cli.EXIT_FAILED
    return 0


if __name__ == "__main__":
    cli.main(command)
