"""What ``structlat view`` does: finished runs as one HTML file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from structlat_jax.cli import finished
from structlat_jax.report.view import page, story
from structlat_jax.run.folders import make_folder, require_writable_file
from structlat_jax.store.run_folder import write_whole


def write(runs: Sequence[Path], out: Path, **options: Any) -> None:
    """Writes the page.

    Args:
      runs: Run folders, or folders that hold some.
      out: The HTML file.
      **options: ``env`` and ``env_options``, for runs whose environment is code of its own.

    Raises:
      InputError, EnvError, CheckpointError, FileNotFoundError: on bad input.
      WriteError: if the file cannot be written.
    """
    require_writable_file(out)
    library = page.library()
    cases = finished.cases(runs, 0, options)
    stories = [story.tell(case, story.MOST // len(cases)) for case in cases]
    text = page.page([one.data for one in stories], library)
    make_folder(out.parent)
    write_whole(out, text)
    for sentence in (sentence for one in stories for sentence in one.left_out):
        click.echo(f"left out: {sentence}")
    names = ", ".join(case.label for case in cases)
    click.echo(f"{out} shows {names} ({len(text) / 2**20:.1f} MiB)")
