"""What the posteriors of training tasks say of their ground truth, before anything is inferred.

python -m experiments.known_tasks runs/suite/triangle/dir1x3 --out known_tasks.json

A run's pictures and `recovery` in results.json are of beliefs that its agents have come to by
acting. This reads what they were trained with, the posterior that every training task has by its
number: what is not in there no inference can find, and what is there and not in beliefs is lost on
the way. A factor is read off a block in three ways, each on tasks that it was not fitted to, as
R^2: by a linear map, by the mean of the nearest tasks in the block (which knows what is said in a
crooked way, too), and, of a mixture, by the block's own weights after matching classes. For the
last it also says where each base task's own place is: the mean weights of tasks that are nearly it.
Several runs, of other seeds or of other settings of training, are one list.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table
from scipy.spatial import cKDTree

from structlat_jax.cli import request
from structlat_jax.cli.console import make_console
from structlat_jax.cli.errors import main
from structlat_jax.cli.values import LocalPath
from structlat_jax.envs.base import readable
from structlat_jax.errors import InputError
from structlat_jax.latents import LatentSpace, block_names
from structlat_jax.report import recovery
from structlat_jax.report.run_files import read_run
from structlat_jax.run.folders import make_folder, require_writable_file
from structlat_jax.store import checkpoint
from structlat_jax.store.run_folder import write_json
from structlat_jax.train import parallel
from structlat_jax.train.setup import make_setup

NEIGHBOURS = 5
NEARLY = 0.9
"""Weight of a base task from which on a task counts as being it."""


@click.command(help=__doc__.replace("\n\npython", "\n\n\b\npython"))
@click.argument("runs", nargs=-1, required=True, type=LocalPath())
@click.option("--env", "named", metavar="NAME", help="Its environment, if that is your own file.")
@click.option("--out", type=LocalPath(), help="JSON file to write.")
def command(runs: Sequence[Path], named: str | None, out: Path | None) -> int:
    """See the module's docstring."""
    if out is not None:
        require_writable_file(out)
    found = [of_run(run, named) for run in runs]
    kinds = [(str(space), beliefs.shape[1]) for space, beliefs, *_ in found]
    for run, kind in zip(runs, kinds, strict=True):
        if kind != kinds[0]:
            raise InputError(
                f"{run} has {kind[0]} and {kind[1]} training tasks, but {runs[0]} has "
                f"{kinds[0][0]} and {kinds[0][1]}."
            )
    rows = [row for one in found for row in _rows(*one)]
    _show(rows)
    if out is not None:
        make_folder(out.parent)
        write_json(out, {"latent": kinds[0][0], "tasks": kinds[0][1], "seeds": rows})
    return 0


def _rows(
    space: LatentSpace, beliefs: np.ndarray, factors: Mapping[str, np.ndarray], first: int
) -> list[dict[str, Any]]:
    """A row per seed of what `of_run` gave."""
    return [
        {
            "seed": first + i,
            "blocks": read(space, beliefs[i], {n: x[i] for n, x in factors.items()}),
        }
        for i in range(len(beliefs))
    ]


def of_run(
    run: Path, named: str | None = None
) -> tuple[LatentSpace, np.ndarray, dict[str, np.ndarray], int]:
    """The space, the posterior means of training tasks ``[S, T, D]``, their factors by name
    ``[S, T, ...]``, and the number of the first seed.

    Raises:
      InputError: if training tasks have no posteriors of their own, or no factors.
      CheckpointError, FileNotFoundError: if the folder does not hold a run that can be read.
    """
    files = read_run(run)
    env = request.saved_env(files.config, {"env": named, "env_options": ()})
    setup = make_setup(files.config, env)
    if setup.algorithm.own_posterior is None:
        raise InputError(f"training tasks have no posteriors of their own in {run}.")
    if env.factors is None and env.derived is None:
        raise InputError(f"{env.name} has no factors to be read.")
    if (count := files.config.structure.train_tasks) < recovery.LEAST_TASKS:
        raise InputError(
            f"{run} has {count} training tasks; at least {recovery.LEAST_TASKS} can be read."
        )
    programs = parallel.make_programs(setup, files.seeds)
    first = files.results["first_seed"]
    # Compiled for the tasks alone, so that no replay is made beside them.
    draw = jax.jit(lambda numbers: programs.init(numbers).train_tasks)
    tasks = parallel.trim(programs, draw(parallel.seed_numbers(programs, first)))
    numbers = jnp.arange(files.config.structure.train_tasks)
    each = []
    for seed in range(files.seeds):
        learned = checkpoint.load_learned(run, seed, setup)
        own = setup.algorithm.own_posterior(learned.agent, numbers)
        each.append(np.asarray(setup.space.mean(own)))
    truth = jax.vmap(jax.vmap(partial(readable, env)))(tasks)
    return setup.space, np.stack(each), {n: np.asarray(x) for n, x in truth.items()}, first


def read(
    space: LatentSpace, beliefs: np.ndarray, factors: Mapping[str, np.ndarray]
) -> dict[str, dict[str, dict[str, Any]]]:
    """By block, then by factor: ``linear`` and ``nearest`` R^2, and of a mixture with as many
    classes as the block ``matched`` and ``places``.

    Args:
      space: The latent space.
      beliefs: Posterior means of one seed, ``[T, D]``.
      factors: Of the same tasks, ``[T, ...]`` each.
    """
    given = {name: x[None] for name, x in factors.items()}
    found = recovery.recover(space, beliefs[None, :, None], given)
    blocks: dict[str, dict[str, dict[str, Any]]] = {}
    at = 0
    for block, name in zip(space.blocks, block_names(space), strict=True):
        own = beliefs[:, at : at + block.dim]
        at += block.dim
        blocks[name] = {}
        for factor, value in factors.items():
            one, truth = found[factor][name], value.reshape(len(value), -1)
            said: dict[str, Any] = {
                "linear": _known(one.linear[0]),
                "nearest": nearest(own, truth),
            }
            if one.matched is not None and one.weights is not None:
                said |= {"matched": _known(one.matched[0])}
                said |= {"places": places(one.weights[0, :, 0], truth)}
            blocks[name][factor] = said
    return blocks


def _known(value: float) -> float | None:
    """None for what nobody can say: of a factor that all tasks have alike."""
    return float(value) if np.isfinite(value) else None


def nearest(x: np.ndarray, y: np.ndarray) -> float | None:
    """R^2 of ``y [T, m]`` from the mean of the `NEIGHBOURS` tasks nearest in ``x [T, d]``, the task
    itself left out; None if all tasks are alike."""
    count = min(NEIGHBOURS, len(x) - 1)
    # Itself is among them, unless so many tasks share its place; then none is nearer than these.
    around = cKDTree(x).query(x, k=count + 1)[1]
    own = around == np.arange(len(x))[:, None]
    own[~own.any(axis=1), -1] = True
    others = around[~own].reshape(len(x), count)
    missed = np.sum((y[others].mean(axis=1) - y) ** 2)
    spread = np.sum((y - y.mean(axis=0)) ** 2)
    return _known(1.0 - missed / spread) if spread > 0 else None


def places(weights: np.ndarray, truth: np.ndarray) -> list[list[float] | None]:
    """Mean weights ``[K, K]`` of the tasks that are nearly each base task, None where there is no
    such task, from the block's ``weights [T, K]`` in the order of ``truth [T, K]``."""
    nearly = [truth[:, k] > NEARLY for k in range(truth.shape[1])]
    return [weights[one].mean(axis=0).tolist() if one.any() else None for one in nearly]


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="R^2 of factors in the posteriors of training tasks")
    for name in ("seed", "block", "factor", "linear", "nearest", "matched"):
        table.add_column(name, justify="left" if name in ("block", "factor") else "right")
    for row in rows:
        for block, factors in row["blocks"].items():
            for factor, said in factors.items():
                numbers = (said.get(name) for name in ("linear", "nearest", "matched"))
                cells = ("" if x is None else f"{x:.2f}" for x in numbers)
                table.add_row(str(row["seed"]), block, factor, *cells)
    make_console().print(table)


if __name__ == "__main__":
    main(command)
