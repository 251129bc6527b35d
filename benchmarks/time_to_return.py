"""Wall seconds until a test return: ours, and PEARL in eager PyTorch on the same task set.

Ours is trained with the default preset until an evaluation reaches the return; compiling is timed
apart, and evaluations are not counted. The PyTorch baseline makes the same updates on the same
replay (collected by our program, whose time is not counted against it), either measured for the
same number of updates (--train-torch), or extrapolated from its updates per second. A row for
PEARL's published settings extrapolates from the updates per second of the paper preset and from
the budget of updates that is published for them: it has not been trained to that return.
"""

import time
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from benchmarks import harness
from benchmarks.step_throughput import TORCH_MISSING, has_torch
from benchmarks.training import Run
from structlat_jax.config import Config, preset
from structlat_jax.train import parallel
from structlat_jax.train.evaluate import evaluate, last_return


@click.command(help=__doc__)
@click.option("--target", type=float, default=9.0, show_default=True, help="Test return.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--updates", type=click.IntRange(1), default=24_000, show_default=True,
              help="After which to give up.")  # fmt: skip
@click.option("--every", type=click.IntRange(1), default=5, show_default=True,
              help="Meta-steps between evaluations.")  # fmt: skip
@click.option("--train-torch", is_flag=True, help="Train the baseline instead of extrapolating.")
@harness.options(repeats=5)
def command(target, seed, updates, every, train_torch, repeats, quick, out: Path | None) -> None:
    """See the module's docstring."""
    config, (paper, budget) = harness.preset("cpu")[0], preset("paper")
    paper = paper.replace(updates_per_step=20)
    if quick:
        config, paper = harness.quick_config(config), harness.quick_config(paper)
        updates, every, repeats, target = 6, 1, 2, 0.0
    ours = _train(config, seed, target, updates, every)
    rows = [{"program": "ours", "kind": "measured", **ours}]
    if not has_torch():
        Console().print(TORCH_MISSING)
    else:
        rows += _torch_rows(config, (paper, budget), seed, ours, train_torch, repeats, quick)
    harness.report("time_to_return", out, rows)


def _train(config: Config, seed: int, target: float, most: int, every: int) -> dict[str, Any]:
    """Trains until an evaluation reaches the target; what it took."""
    run = Run(config, first=seed)
    judge = _judge(run)
    seconds, done, found = 0.0, 0, -np.inf
    while done < most and found < target:
        start = time.perf_counter()
        for _ in range(every):
            jax.block_until_ready(run.step())
        seconds += time.perf_counter() - start
        done += every * run.updates
        found = judge(run.one_seed())
    return {
        "updates": done,
        "seconds": seconds,
        "test return": found,
        "reached": bool(found >= target),
        "compile_seconds": run.compile_seconds,
    }


def _judge(run: Run):
    """state of one seed to its mean return in the last episode on test tasks."""
    hyper = jax.tree.map(jnp.float32, run.setup.config.hyper)

    def score(state):
        key = parallel.root_keys(jnp.uint32(0))[1]
        return last_return(evaluate(run.setup, hyper, state.learned, state.test_tasks, key))

    program = jax.jit(score)
    return lambda state: float(program(state))


def _torch_rows(config, published, seed, ours, train, repeats, quick) -> list[dict[str, Any]]:
    from benchmarks.torch_pearl.training import Training, updates_per_second

    per_turn = 3 if quick else 50
    rates = updates_per_second(config, per_turn, repeats)
    row = {"program": "PyTorch, same settings", "updates": ours["updates"], **_named(rates)}
    if train:
        trained = Training(config, seed)
        trained.train(ours["updates"])
        found = trained.score()
        row |= {"kind": "measured", "seconds": trained.seconds, "test return": found}
    else:
        row |= {"kind": "extrapolated", "seconds": ours["updates"] / rates["median"]}
    paper, budget = published
    rates = updates_per_second(paper, 2 if quick else 5, repeats)
    rows = [
        row,
        {
            "program": "PyTorch, PEARL's published settings",
            "kind": "extrapolated from its published budget",
            "updates": budget,
            "seconds": budget / rates["median"],
            **_named(rates),
        },
    ]
    return [{**row, "x ours": row["seconds"] / ours["seconds"]} for row in rows]


def _named(rates: dict[str, float]) -> dict[str, float]:
    return {f"updates/s {name}": value for name, value in rates.items()}


if __name__ == "__main__":
    command()
