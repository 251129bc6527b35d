"""Draws the figures of finished runs: the paper's, comparisons, beliefs, and what z does.

python -m experiments.figures runs/table1 --out figures
"""

from pathlib import Path

import click
from rich.console import Console

from experiments import cli, paper, platform
from structlat_jax import agent as agents
from structlat_jax.envs import Env
from structlat_jax.report import album as albums
from structlat_jax.report import pictures
from structlat_jax.report.case import Case, make_cases
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.run_files import find_runs, read_run
from structlat_jax.train.setup import make_setup


@click.command(cls=cli.SectionedCommand, help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("figures"),
    show_default=True,
    help="Folder of the figures; those that it holds are replaced.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Whose tasks, paths and beliefs are drawn: which seed of each run, counted from 0.",
)
def command(runs: tuple[Path, ...], out: Path, seed: int) -> None:
    """See the module's docstring."""
    cli.require_writable(out)
    platform.configure(seeds=1)
    album = albums.Album()
    pictures.draw(_cases(runs, seed), album, paper.choose)
    album.write(out)
    console = Console()
    for table in album.tables:
        console.print(table)
    for sentence in album.left_out:
        click.echo(f"left out: {sentence}")
    names = ", ".join([*album.figures, *album.texts])
    click.echo(f"{out} holds {names} (figures as {' and '.join(albums.FORMATS)})")


def _cases(paths: tuple[Path, ...], seed: int) -> list[Case]:
    runs = [read_run(path) for path in find_runs(paths)]
    for run in runs:
        if seed >= run.seeds:
            raise click.UsageError(
                f"--seed must be from 0 to {run.seeds - 1} (the seeds of {run.path}), not {seed}."
            )
    return make_cases(runs, seed, _env, lambda run, number: agents.load(run.path, number))


def _env(run: RunFiles) -> Env | None:
    """The environment of a run's configuration, if it is the one that the run was made in."""
    env = make_setup(run.config).env
    return env if run.env[0] == env.name else None


if __name__ == "__main__":
    cli.main(command)
