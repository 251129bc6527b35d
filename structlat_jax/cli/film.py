"""What ``structlat film`` does: one task's adaptation as a film."""

from pathlib import Path
from typing import Any

import click

from structlat_jax.cli import finished
from structlat_jax.errors import InputError
from structlat_jax.report import film, film_files
from structlat_jax.report.case import Case
from structlat_jax.run.folders import make_folder, require_writable_file


def write(run: Path, out: Path, seed: int, task: int, **options: Any) -> None:
    """Writes the film.

    Args:
      run: A run folder.
      out: The file, whose suffix says what it becomes.
      seed: Which seed of the run, counted from 0.
      task: Which test task, counted from 1.
      **options: ``env`` and ``env_options``, for a run whose environment is code of its own.

    Raises:
      InputError, EnvError, CheckpointError, FileNotFoundError: on bad input.
      WriteError: if the file cannot be written.
    """
    film_files.require_format(out)
    require_writable_file(out)
    cases = finished.cases([run], seed, options)
    if len(cases) > 1:
        raise InputError(f"RUN must be one run folder, but {run} holds {len(cases)}.")
    (case,) = cases
    _require(case, task)
    make_folder(out.parent)
    seconds = film_files.write(out, film.frames(case, task - 1))
    click.echo(f"{out} shows task {task} of {case.label} in {seconds:.0f} seconds")


def _require(case: Case, task: int) -> None:
    """That the run has the task, and that the seed is finite; raises `InputError`."""
    tasks = case.files.returns().shape[1]
    if task > tasks:
        raise InputError(
            f"--task must be from 1 to {tasks} (the test tasks of {case.files.path}), not {task}."
        )
    if not case.of(case.files.finite):
        raise InputError(f"--seed must be one that is finite, and {case.seed} is not.")
