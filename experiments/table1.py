"""The paper's Table 1 with seeds and intervals: latent spaces side by side on the point robot.

python -m experiments.table1 --seeds 10 --out runs/table1

Every row is a run folder of its own, DIR/LATENT. All rows have the same seeds, and a seed fixes
the tasks, so that rows are compared seed by seed. At the end: DIR/table.md and DIR/table.json.
With --env, the same table of another environment.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from experiments import published
from structlat_jax.cli import changes, options, request
from structlat_jax.cli.console import make_console
from structlat_jax.cli.errors import main

DEFAULT_LATENTS = ";".join(published.RETURNS)


@click.command(cls=options.SectionedCommand, help=options.program_help(__doc__))
@options.latents_option(DEFAULT_LATENTS, [DEFAULT_LATENTS])
@options.env_options
@options.run_options(seeds=10, default_folder="runs/table1-DATE-TIME")
@functools.partial(options.config_options, without=("latent",))
def command(
    latents: Sequence[str], out: Path | None, overwrite: bool, resume: bool, **given: Any
) -> int:
    """See the module's docstring."""
    from experiments import paper  # which, as the others, --help need not wait for
    from structlat_jax.cli import tables
    from structlat_jax.report import table
    from structlat_jax.report.run_files import read_run
    from structlat_jax.run import machine

    what = tables.LATENTS._replace(name="table1")
    machine.configure(request.planned(out, resume, what.marker, given)["seeds"])
    machine.require_devices()
    out, made = tables.settle(what, changes.split(latents), out, overwrite, resume, given)
    console = make_console()
    tables.train(out, made, console)
    found = [read_run(one.folder) for one in made]
    built = table.build(found, paper.published(found), made[0].env.plane)
    return tables.report(built, out, console)


if __name__ == "__main__":
    main(command)
