"""Draws the figures of finished runs: the paper's, comparisons, beliefs, and what z does.

python -m experiments.figures runs/table1 --out figures
"""

from pathlib import Path

import click
import numpy as np
from rich.console import Console

from experiments import cli, platform
from experiments.album import FORMATS, Album
from experiments.job import slug
from experiments.pictures import DRAWERS, Case
from structlat_jax.checkpoint import CheckpointError
from structlat_jax.report.progress import block_names
from structlat_jax.report.run_files import ADAPTATION_FILE, RunFiles, find_runs, read_run
from structlat_jax.train.setup import Setup, make_setup


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
    help="Whose goals, paths and beliefs are drawn: which seed of each run, counted from 0.",
)
def command(runs: tuple[Path, ...], out: Path, seed: int) -> None:
    """See the module's docstring."""
    cli.require_writable(out)
    platform.configure(seeds=1)
    cases = _cases(runs, seed)
    album = Album()
    for draw in DRAWERS:
        draw(cases, album)
    album.write(out)
    console = Console()
    for table in album.tables:
        console.print(table)
    for sentence in album.left_out:
        click.echo(f"left out: {sentence}")
    names = ", ".join([*album.figures, *album.texts])
    click.echo(f"{out} holds {names} (figures as {' and '.join(FORMATS)})")


def _cases(paths: tuple[Path, ...], seed: int) -> list[Case]:
    runs = [read_run(path) for path in find_runs(paths)]
    for run in runs:
        if seed >= run.seeds:
            raise click.UsageError(
                f"--seed must be from 0 to {run.seeds - 1} (the seeds of {run.path}), not {seed}."
            )
    labels = _names([run.latent for run in runs], runs, "{} ({})")
    files = _names([slug(run.config) for run in runs], runs, "{}-{}")
    cases = []
    for run, label, file in zip(runs, labels, files, strict=True):
        setup = make_setup(run.config)
        _check_widths(run, setup)
        mapped = "goal_test" in run.arrays and run.results.get("env") == setup.env.name
        cases.append(Case(label, file.replace("#", "-"), run, setup, seed, mapped))
    return cases


def _check_widths(run: RunFiles, setup: Setup) -> None:
    """The last axes of the arrays are as the pictures need them."""
    last = {"belief_test": (setup.space.dim,)}
    if "goal_test" in run.arrays:
        paths = (setup.env.horizon + 1, setup.env.obs_dim)
        last |= {"path_test": paths, "goal_test": (2,), "goal_train": (2,)}
    for name, sizes in last.items():
        found = np.shape(run.arrays.get(name))
        if found[len(found) - len(sizes) :] != sizes:
            raise CheckpointError(
                f"{run.path / ADAPTATION_FILE}: {name} must end with the axes {list(sizes)}, "
                f"not {list(found)}."
            )


def _names(latents: list[str], runs: list[RunFiles], both: str) -> list[str]:
    """Distinct names: the latents, with the folder where several runs have the same."""
    return block_names(
        [
            both.format(latent, run.path.name) if latents.count(latent) > 1 else latent
            for latent, run in zip(latents, runs, strict=True)
        ]
    )


if __name__ == "__main__":
    cli.main(command)
