"""Seconds of one evaluation, compiled: task by task, several tasks at once, and on another heap.

An untrained agent of one seed goes through all tasks that a run of the environment's first preset
would look at. Task by task is what fits a CPU's caches; at once is what an environment wants whose
step is a call. The third program is the first with a C library that gives every freed mebibyte back
to the system, as it did for the sake of memory before the bounds that `machine` sets.
"""

from collections.abc import Callable
from pathlib import Path

import click
import jax
from rich.console import Console

from benchmarks import harness
from structlat_jax import config as configuration
from structlat_jax.envs import make
from structlat_jax.run.machine import return_freed_arrays
from structlat_jax.shapes import make_key
from structlat_jax.train.evaluate import evaluate
from structlat_jax.train.learn import init
from structlat_jax.train.parallel import evaluated_tasks
from structlat_jax.train.setup import make_setup

_MEBIBYTE = 2**20


@click.command(help=__doc__)
@click.option("--env", "name", default="point_robot", show_default=True, help="Environment.")
@click.option("--tasks", type=click.IntRange(2), default=40, show_default=True,
              help="Tasks at once.")  # fmt: skip
@harness.options(repeats=7)
def command(name: str, tasks: int, repeats: int, quick: bool, out: Path | None) -> None:
    """See the module's docstring."""
    harness.use_all_cores()
    env = make(name)
    config, _ = configuration.preset(None, env)
    config = config.replace(env=env.spec)
    if quick:
        config, tasks, repeats = harness.quick_config(config, test_tasks=2, eval_episodes=6), 2, 1
    one_by_one = evaluation(config.replace(eval_at_once=1))
    calls = {
        "task by task": given_back(False, one_by_one),
        f"{tasks} tasks at once": given_back(False, evaluation(config.replace(eval_at_once=tasks))),
    }
    if return_freed_arrays():
        calls["task by task, every MiB given back"] = given_back(True, one_by_one)
    else:
        Console(stderr=True).print("no glibc: the program on another heap is left out")
    found = harness.interleaved(calls, repeats)
    rows = []
    for program, seconds in found.items():
        ratios = [a / b for a, b in zip(seconds, found["task by task"], strict=True)]
        row = {"environment": name, "program": program}
        row |= {f"seconds {key}": value for key, value in harness.summary(seconds).items()}
        rows.append({**row, "x task by task": harness.summary(ratios)["median"]})
    harness.report("evaluation", out, rows)


def evaluation(config: configuration.Config) -> Callable[[], jax.Array]:
    """The protocol on the tasks of seed 0, by an agent of that seed that has learned nothing."""
    setup = make_setup(config)
    state = init(setup, make_key(0))
    tasks = evaluated_tasks(setup, state.train_tasks, state.test_tasks)

    @jax.jit
    def run(learned, tasks, key):
        return evaluate(setup, config.hyper, learned, tasks, key).returns

    return lambda: run(state.learned, tasks, make_key(1))


def given_back(always: bool, call: Callable[[], jax.Array]) -> Callable[[], jax.Array]:
    """The call with the bounds of `machine`, or with one of a mebibyte."""

    def run() -> jax.Array:
        if always:
            return_freed_arrays(_MEBIBYTE)
        else:
            return_freed_arrays()
        return call()

    return run


if __name__ == "__main__":
    command()
