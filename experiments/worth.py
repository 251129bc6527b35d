"""What it is worth to know each factor of a task: the return of a controller that is not told it.

python -m experiments.worth --out docs/results/worth.json

A controller by hand that acts on what it takes a task to be, with feedback from where it is. Told
everything it returns what the oracle does; of a factor that it is not told it takes the mean over
tasks. What that loses bounds what any inference of the factor can gain, and so what a latent has to
say of it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
from rich.table import Table

from experiments.controllers import CONTROLLERS, episode
from structlat_jax.cli.console import make_console
from structlat_jax.cli.errors import main
from structlat_jax.cli.values import LocalPath, Whole
from structlat_jax.envs import Env
from structlat_jax.envs.families import KNOWN, named
from structlat_jax.envs.registry import make
from structlat_jax.envs.spec import parse_options
from structlat_jax.run.folders import make_folder, require_writable_file
from structlat_jax.shapes import Array, Task, make_key
from structlat_jax.store.run_folder import write_json

FAMILIES = [name for name in KNOWN if named(name)[0] in CONTROLLERS]


@click.command(help=__doc__.replace("\n\npython", "\n\n\b\npython"))
@click.option("--tasks", type=Whole(2), default=4000, show_default=True)
@click.option("--seed", type=Whole(0), default=0, show_default=True)
@click.option("--out", type=LocalPath(), help="JSON file to write.")
def command(tasks: int, seed: int, out: Path | None) -> int:
    """See the module's docstring."""
    if out is not None:
        require_writable_file(out)
    found = {"tasks": tasks, "seed": seed, "families": [worth(x, tasks, seed) for x in FAMILIES]}
    _show(found)
    if out is not None:
        make_folder(out.parent)
        write_json(out, found)
    return 0


def worth(family: str, count: int, seed: int) -> dict[str, Any]:
    """Mean returns over tasks of a family: the oracle's, and a controller's by what it is told."""
    name, texts = named(family)
    options = parse_options(texts)
    env = make(name, **options)
    act = CONTROLLERS[name](**options)
    tasks = env.sample_tasks(make_key(seed), count)
    factors = list(jax.vmap(env.factors)(tasks))

    def returned(hidden: Sequence[str]) -> float:
        return float(jnp.mean(returns(env, act, tasks, without(tasks, hidden))))

    return {
        "family": family,
        "oracle": float(jnp.mean(jax.vmap(env.oracle_return)(tasks))),
        "told": returned([]),
        "not_told": {factor: returned([factor]) for factor in factors},
        "told_nothing": returned(factors),
    }


def without(tasks: Task, factors: Sequence[str]) -> Task:
    """Tasks ``[T]`` as who is not told some factors takes them to be: their mean over all tasks.

    A field of the record is a factor's if it has its name; the mixture's are the weights, and the
    goal that follows from them.
    """
    fields = {"mixture": ("weights", "goal")}
    hidden = [x for factor in factors for x in fields.get(factor, (factor,)) if hasattr(tasks, x)]

    def mean(x: Array) -> Array:
        return jnp.broadcast_to(jnp.mean(x, axis=0), x.shape)

    return tasks._replace(**{x: mean(getattr(tasks, x)) for x in hidden})


def returns(env: Env, act: Callable[..., Array], tasks: Task, taken: Task) -> Array:
    """Returns ``[T]`` of acting by ``act(obs, step, task)`` on what tasks are taken to be."""

    def of_one(task, assumed):
        return jnp.sum(episode(env, task, lambda obs, step: act(obs, step, assumed))[0])

    return jax.vmap(of_one)(tasks, taken)


def _show(found: dict[str, Any]) -> None:
    table = Table(title=f"{found['tasks']} tasks: return of a controller by what it is told")
    table.add_column("family")
    for name in ("oracle", "all", "nothing"):
        table.add_column(name, justify="right")
    table.add_column("all but one (share of what can be lost)")
    for row in found["families"]:
        lost = row["told"] - row["told_nothing"]
        parts = [
            f"{factor} {value:.2f} ({100 * (row['told'] - value) / lost:.0f} %)"
            for factor, value in row["not_told"].items()
        ]
        cells = (f"{row[key]:.2f}" for key in ("oracle", "told", "told_nothing"))
        table.add_row(row["family"], *cells, ", ".join(parts))
    make_console().print(table)


if __name__ == "__main__":
    main(command)
