"""Draws the figures of finished runs: comparisons, beliefs, maps where there are any, what z does.

structlat figures runs/first --out figures
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from structlat_jax.cli import finished
from structlat_jax.cli.options import Decorator, SectionedCommand, env_options, program_help
from structlat_jax.report import album as albums
from structlat_jax.report import pictures
from structlat_jax.report.plane.pictures import Choose, choose_all
from structlat_jax.run.folders import require_writable


def figure_options(command: Any) -> Any:
    """Adds what a command that draws takes."""
    added: tuple[Decorator, ...] = (
        click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path)),
        env_options,
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            default=Path("figures"),
            show_default=True,
            help="Folder of the figures; those that it holds are replaced.",
        ),
        click.option(
            "--seed",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Whose tasks, paths and beliefs are drawn: which seed of each run, from 0.",
        ),
    )
    for one in reversed(added):
        command = one(command)
    return command


@click.command("figures", cls=SectionedCommand, help=program_help(__doc__))
@figure_options
def command(**options: Any) -> None:
    """See the module's docstring."""
    draw(choose_all, **options)


def draw(choose: Choose, runs: Sequence[Path], out: Path, seed: int, **options: Any) -> None:
    """Draws what applies, and says what is left out.

    Args:
      choose: Which runs the maps of several agents show; see `plane.pictures.maps`.
      runs: Run folders, or folders that hold some.
      out: Folder of the figures.
      seed: Which seed of each run is drawn, counted from 0.
      **options: ``env`` and ``env_options``, for runs whose environment is code of its own.

    Raises:
      InputError, EnvError, CheckpointError, FileNotFoundError: on bad input.
      WriteError: if the folder cannot be written.
    """
    require_writable(out)
    cases = finished.cases(runs, seed, options)
    album = albums.Album()
    pictures.draw(cases, album, choose)
    show(album, out)


def show(album: albums.Album, out: Path) -> None:
    """Writes an album, and says what is in it and what is not.

    Raises:
      WriteError, CheckpointError: if the folder cannot be written.
    """
    album.write(out)
    console = Console()
    for table in album.tables:
        console.print(table)
    for sentence in album.left_out:
        click.echo(f"left out: {sentence}")
    names = ", ".join([*album.figures, *album.texts])
    click.echo(f"{out} holds {names} (figures as {' and '.join(albums.FORMATS)})")
