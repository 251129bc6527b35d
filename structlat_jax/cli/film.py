"""Makes a film of one task's adaptation: what the agent does, what it is paid, what it believes.

structlat film runs/first --task 3 --out film.gif
"""

from pathlib import Path
from typing import Any

import click

from structlat_jax.cli import finished
from structlat_jax.cli.options import SectionedCommand, env_options, program_help
from structlat_jax.errors import InputError
from structlat_jax.report import film, film_files
from structlat_jax.report.case import Case
from structlat_jax.run.folders import make_folder, require_writable_file


@click.command("film", cls=SectionedCommand, help=program_help(__doc__))
@click.argument("run", type=click.Path(path_type=Path))
@env_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("film.gif"),
    show_default=True,
    help="File to write, .gif or (with ffmpeg) .mp4; one that is there is replaced.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Which seed of the run, from 0.",
)
@click.option(
    "--task",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Which test task, from 1, as pictures number them.",
)
def command(run: Path, out: Path, seed: int, task: int, **options: Any) -> None:
    """See the module's docstring."""
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
