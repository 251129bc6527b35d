"""Figures and texts that are written together or not at all, and what was left out."""

import os
import tempfile
from pathlib import Path

import click
from matplotlib.figure import Figure
from rich.table import Table

from structlat_jax.report.figures_style import save

FORMATS = ("png", "pdf")


class Album:
    """Collects what a program draws.

    Attributes:
      figures: By file name, without a suffix.
      texts: Other files by their whole names.
      tables: To be shown on the console.
      left_out: One sentence for everything that does not apply.
    """

    def __init__(self):
        self.figures: dict[str, Figure] = {}
        self.texts: dict[str, str] = {}
        self.tables: list[Table] = []
        self.left_out: list[str] = []

    def write(self, out: Path) -> None:
        """Writes every figure in each of `FORMATS`, and the texts; replaces what is there.

        Raises:
          click.UsageError: if the folder cannot be written; no file is in part written then.
        """
        try:
            out.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=out, prefix=".part-") as partial:
                for name, figure in self.figures.items():
                    for suffix in FORMATS:
                        save(figure, Path(partial) / f"{name}.{suffix}")
                for name, text in self.texts.items():
                    (Path(partial) / name).write_text(text)
                written = sorted(Path(partial).iterdir())
                for path in written:
                    if (out / path.name).is_dir():
                        raise click.UsageError(f"--out has a folder where {path.name} should be.")
                for path in written:
                    os.replace(path, out / path.name)
        except OSError as error:
            raise click.UsageError(f"--out {out} cannot be written: {error.strerror}.") from None
