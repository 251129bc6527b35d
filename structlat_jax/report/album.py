"""Figures and texts that are written together or not at all, and what was left out."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from structlat_jax.report.figures_style import save
from structlat_jax.store.run_folder import CheckpointError, WriteError, reason

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

    def add(self, name: str, draw: Callable[..., Figure], *args: Any) -> None:
        """Adds the figure ``draw(*args)``; one that fails costs a sentence and no other."""
        try:
            self.figures[name] = draw(*args)
        except Exception as error:  # whatever a stranger's environment or a file leads to
            self.left_out.append(f"{name}: it cannot be drawn ({reason(error)}).")

    def write(self, out: Path) -> None:
        """Writes every figure in each of `FORMATS`, and the texts; replaces what is there.

        Raises:
          CheckpointError: if the folder has a folder where a file should be.
          WriteError: if it cannot be written; no file is in part written then.
        """
        try:
            out.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=out, prefix=".part-") as partial:
                self._write(Path(partial))
                written = sorted(Path(partial).iterdir())
                for path in written:
                    if (out / path.name).is_dir():
                        raise CheckpointError(f"{out} has a folder where {path.name} should be.")
                for path in written:
                    os.replace(path, out / path.name)
        except OSError as error:
            raise WriteError(f"{out} cannot be written: {reason(error)}.") from None

    def _write(self, folder: Path) -> None:
        for name, figure in self.figures.items():
            for suffix in FORMATS:
                save(figure, folder / f"{name}.{suffix}")
        for name, text in self.texts.items():
            (folder / name).write_text(text)
