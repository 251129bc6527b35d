"""What each choice of the default recipe is worth: variants of one agent side by side.

python -m experiments.ablations --latent dir:2x4,gau:2 --seeds 5 --out runs/ablations

Every arm is a run folder of its own, DIR/ARM, and all arms have the same seeds, so that each is
compared with the first, the unchanged settings, seed by seed. Arms that differ in traced
hyper-parameters only train together. At the end: DIR/table.md and DIR/table.json.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from structlat_jax.cli import changes, options, request
from structlat_jax.cli.console import make_console
from structlat_jax.cli.errors import main
from structlat_jax.report.names import slug
from structlat_jax.run.plan import Plan

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


def runs(default: bool, plan: Plan, arms: Any, out: Path) -> list[tuple[str, Path, Plan]]:
    """Label, folder and plan of each arm, ``default`` as for `changes.arms`; raises `ConfigError`
    about ``arms``."""
    return [
        (name, out / slug(name), dataclasses.replace(plan, config=config))
        for name, config in changes.arms(plan.config, arms, default).items()
    ]


@click.command(cls=options.SectionedCommand, help=options.program_help(__doc__))
@options.arms_option(DEFAULT_ARMS, "may be given several times")
@options.env_options
@options.run_options(seeds=5, default_folder="runs/ablations-DATE-TIME")
@options.config_options
def command(
    arms: Sequence[str], out: Path | None, overwrite: bool, resume: bool, **given: Any
) -> int:
    """See the module's docstring."""
    from structlat_jax.cli import tables  # which, as the others, --help need not wait for
    from structlat_jax.report import table
    from structlat_jax.report.run_files import read_run
    from structlat_jax.run import machine

    default = not options.typed({"arms": arms})
    own = functools.partial(runs, default)
    what = tables.Several("ablations", "ablations_config.json", "arms", own)
    machine.configure(request.planned(out, resume, what.marker, given)["seeds"])
    machine.require_devices()
    out, made = tables.settle(what, changes.split(arms), out, overwrite, resume, given)
    console = make_console()
    tables.train(out, made, console)
    built = table.build_arms({one.label: read_run(one.folder) for one in made}, made[0].env.plane)
    return tables.report(built, out, console)


if __name__ == "__main__":
    main(command)
