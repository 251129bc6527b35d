"""What ``structlat figures`` does: the figures of finished runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from structlat_jax.cli import finished
from structlat_jax.cli.console import make_console
from structlat_jax.report import album as albums
from structlat_jax.report import pictures
from structlat_jax.report.plane.pictures import Choose, choose_all
from structlat_jax.run.folders import require_writable


def draw_all(**options: Any) -> None:
    """`draw` with every run on the maps of several agents."""
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
    console = make_console()
    for table in album.tables:
        console.print(table)
    for sentence in album.left_out:
        click.echo(f"left out: {sentence}")
    names = ", ".join([*album.figures, *album.texts])
    click.echo(f"{out} holds {names} (figures as {' and '.join(albums.FORMATS)})")
