"""What each choice of the default recipe is worth: variants of one agent side by side.

python -m experiments.ablations --latent dir:2x4,gau:2 --seeds 5 --out runs/ablations

Every arm is a run folder of its own, DIR/ARM, and all arms have the same seeds, so that each is
compared with the first, the unchanged settings, seed by seed. At the end: DIR/table.md and
DIR/table.json.
"""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from experiments import changes, cli, job, rows
from experiments.plan import Plan
from structlat_jax import checkpoint
from structlat_jax.checkpoint import CheckpointError
from structlat_jax.config import Config, ConfigError
from structlat_jax.report import table
from structlat_jax.report.run_files import read_run

ABLATIONS_CONFIG_FILE = "ablations_config.json"

DEFAULT_ARMS = (
    "bridge=corrected",
    "bridge=printed",
    "kl=exact",
    "prior_factor=false",
    "init=pearl",
    "explore_episodes=0",
    "kl_weight=0.0003",
    "kl_weight=0.03",
    "context_best_of=1",
    "silent_kl=0",
    "task_focus=0",
    "lr_end=1",
    "entropy_end=1",
)


@click.command(cls=cli.SectionedCommand, help=__doc__.replace("\n\npython", "\n\n\b\npython"))
@cli.arms_option(DEFAULT_ARMS, "may be given several times")
@job.run_options(seeds=5, default_folder="runs/ablations-DATE-TIME")
@cli.config_options
def command(
    arms: Sequence[str], out: Path | None, overwrite: bool, resume: bool, **options: Any
) -> int:
    """See the module's docstring."""
    plan = job.make_plan(options)
    names = changes.split(arms)
    try:
        configs = changes.arms(plan.config, names)
    except ConfigError as error:
        raise click.UsageError(f"--arms: {error}") from None
    if resume:
        out = job.require_folder(out, overwrite)
        plan, configs = _saved(out, {**options, "arms": ";".join(names)})
    else:
        out = out or Path("runs") / f"ablations-{time.strftime('%Y%m%d-%H%M%S')}"
        cli.prepare_folder(out, overwrite, ABLATIONS_CONFIG_FILE)
        checkpoint.write_config(
            out, plan.config, ABLATIONS_CONFIG_FILE, arms=names, **plan.records()
        )
    made = rows.make(
        (name, out / changes.slug(name), dataclasses.replace(plan, config=config))
        for name, config in configs.items()
    )
    console = Console()
    with job.interruptible(out, console):
        rows.train(made, console)
        built = table.build_arms({row.label: read_run(row.folder) for row in made})
        return rows.report(built, out, console)


def _saved(out: Path, given: dict[str, Any]) -> tuple[Plan, dict[str, Config]]:
    """The plan and the arms in the folder; options that contradict them are refused."""
    config, data = checkpoint.read_config(out, ABLATIONS_CONFIG_FILE)
    try:
        configs = changes.arms(config, data.get("arms"))
    except ConfigError as error:
        raise CheckpointError(f"{out / ABLATIONS_CONFIG_FILE}: {error}") from None
    saved = {**job.settings(config, data), "arms": ";".join(data["arms"])}
    job.refuse_differences(out, saved, given)
    cli.claim(out)
    return job.saved_plan(config, data), configs


if __name__ == "__main__":
    cli.main(command)
