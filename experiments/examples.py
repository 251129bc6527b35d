"""Writes the agents that come with the library from finished runs.

python -m experiments.examples runs/first runs/mine

Of each run it takes the seed that returned most on its training tasks, so that what is said of its
return on test tasks is not flattered by the choice. Agents that are there and not made again stay.
"""

import json
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

import structlat_jax as sl
from structlat_jax import examples
from structlat_jax.cli.errors import main
from structlat_jax.cli.values import LocalPath
from structlat_jax.errors import InputError
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.names import latent_slug, slug
from structlat_jax.report.results import percent_of_way
from structlat_jax.report.run_files import find_runs, read_run
from structlat_jax.run.folders import make_folder
from structlat_jax.store.run_folder import write_json


@click.command(help=__doc__.replace("\n\npython", "\n\n\b\npython"))
@click.argument("runs", nargs=-1, required=True, type=LocalPath())
@click.option(
    "--out", type=LocalPath(), default=examples.FOLDER, help="Folder to write.  [the library's]"
)
def command(runs: tuple[Path, ...], out: Path) -> None:
    """See the module's docstring."""
    files = [read_run(path) for path in find_runs(runs)]
    chosen = [(run, best_seed(run)) for run in files]
    agents = [sl.load(run.path, seed) for run, seed in chosen]
    make_folder(out)
    known = out / examples.AGENTS_FILE
    found = json.loads(known.read_text()) if known.is_file() else {}
    for (run, seed), agent in zip(chosen, agents, strict=True):
        name = f"{slug(run.config.env.name)}-{latent_slug(str(run.config.latent_space()))}"
        agent.save(examples.file_of(name, out))
        found[name] = describe(run, seed)
        click.echo(f"{name}: {found[name]['test_return']} on test tasks")
    write_json(known, dict(sorted(found.items())))


def best_seed(run: RunFiles) -> int:
    """The finite seed, counted from 0, of the highest return on training tasks.

    Raises:
      InputError: if none is finite.
    """
    returns = run.results["train_return"]["per_seed"]
    usual = [-np.inf if x is None else x for x in returns]
    if not np.isfinite(usual).any():
        raise InputError(f"{run.path} has no seed that is finite.")
    return int(np.argmax(usual))


def describe(run: RunFiles, seed: int) -> dict[str, Any]:
    """What `examples.about` gives."""
    returned = run.results["test_return"]["per_seed"][seed]
    oracle = None if run.oracle() is None else float(np.mean(run.oracle()[seed]))
    floor = float(np.mean(run.floor()[seed]))
    share = None if oracle is None else percent_of_way(returned, floor, oracle)
    return {
        "env": run.config.env.name,
        "env_options": dict(run.config.env.options),
        "latent": run.latent,
        "seed": run.results["first_seed"] + seed,
        "updates": run.results["updates"],
        "test_return": round(returned, 2),
        "percent_of_oracle": None if share is None else round(share, 1),
        "date": time.strftime("%Y-%m-%d"),
    }


if __name__ == "__main__":
    main(command)
