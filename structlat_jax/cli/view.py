"""Writes finished runs as one HTML file in which their adaptation can be looked at step by step.

structlat view runs/first runs/other --out view.html

The file opens from disk in any browser and needs no network: paths or observations, rewards met,
the belief about each block of z and what it has learned in nats, where hypotheses lead; two runs
side by side. Arrow keys go from step to step and from episode to episode, and space plays.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from structlat_jax.cli import finished
from structlat_jax.cli.options import SectionedCommand, env_options, program_help
from structlat_jax.report.view import page, story
from structlat_jax.run.folders import make_folder, require_writable_file
from structlat_jax.store.run_folder import write_whole

MOST = 4 * 2**20
"""Bytes that all runs of a page may take; the library that draws takes about as many."""


@click.command("view", cls=SectionedCommand, help=program_help(__doc__))
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@env_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("view.html"),
    show_default=True,
    help="HTML file to write; one that is there is replaced.",
)
def command(runs: Sequence[Path], out: Path, **options: Any) -> None:
    """See the module's docstring."""
    require_writable_file(out)
    library = page.library()
    cases = finished.cases(runs, 0, options)
    stories = [story.tell(case, MOST // len(cases)) for case in cases]
    text = page.page([one.data for one in stories], library)
    make_folder(out.parent)
    write_whole(out, text)
    for sentence in (sentence for one in stories for sentence in one.left_out):
        click.echo(f"left out: {sentence}")
    names = ", ".join(case.label for case in cases)
    click.echo(f"{out} shows {names} ({len(text) / 2**20:.1f} MiB)")
