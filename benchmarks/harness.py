"""What the benchmarks share: options, timing apart from compilation, tables, the machine."""

import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from structlat_jax import config as configuration
from structlat_jax.config import Config
from structlat_jax.envs import point_robot
from structlat_jax.run.machine import configure, cores

QUICK = {
    "width": 8,
    "depth": 1,
    "encoder_width": 8,
    "encoder_depth": 1,
    "updates_per_step": 3,
    "prior_episodes": 2,
    "explore_episodes": 1,
    "posterior_episodes": 1,
    "context_episodes": 2,
    "context_episodes_min": 1,
    "replay_steps": 400,
    "hypotheses": 16,
    "world_width": 8,
    "world_updates": 2,
    "eval_repeats": 1,
}
"""Sizes at which a program is made for ``--quick``: the numbers mean nothing then."""


def options(repeats: int) -> Callable[[Callable], Callable]:
    """Adds ``--repeats``, ``--quick`` and ``--out``."""
    added = (
        click.option("--repeats", type=click.IntRange(1), default=repeats, show_default=True),
        click.option("--quick", is_flag=True, help="Small sizes and few repeats: does it run?"),
        click.option("--out", type=click.Path(path_type=Path), help="Folder for the JSON."),
    )

    def decorate(command: Callable) -> Callable:
        for option in reversed(added):
            command = option(command)
        return command

    return decorate


def use_all_cores() -> None:
    """One virtual device per core on a CPU, unless jax has started already."""
    try:
        configure(cores())
    except RuntimeError:
        Console(stderr=True).print("jax has started; its devices stay as they are")


def preset(name: str) -> tuple[Config, int]:
    """A preset of the point robot, on which all is timed, and its updates; see `config.preset`."""
    return configuration.preset(name, point_robot.make())


def quick_config(config: Config, **changes: Any) -> Config:
    """A configuration at the sizes of ``--quick``."""
    return config.replace(**{**QUICK, **changes})


def timings(call: Callable[[], Any], repeats: int) -> list[float]:
    """Seconds of each of ``repeats`` calls, after one that is not counted."""
    return interleaved({"only": call}, repeats)["only"]


def interleaved(
    calls: dict[str, Callable[[], Any]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each call by a clock, taken in turns after a round that is not counted.

    What slows the machine down for a while slows all of them down, so that ratios of one round
    can be compared.
    """
    for call in calls.values():
        jax.block_until_ready(call())
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = clock()
            jax.block_until_ready(call())
            seconds[name].append(clock() - start)
    return seconds


def compiled(lowered: Any) -> tuple[Any, float]:
    """A program from what ``lower`` gave, and the seconds that compiling took."""
    start = time.perf_counter()
    return lowered.compile(), time.perf_counter() - start


def summary(values: list[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def exponent(sizes: list[float], costs: list[float]) -> float:
    """b of the least-squares fit ``cost = a * size ** b``."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def machine() -> dict[str, Any]:
    """Where and when a benchmark ran."""
    return {
        "date": datetime.date.today().isoformat(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "architecture": platform.machine(),
        "device": jax.devices()[0].device_kind,
        "jax_version": jax.__version__,
        "python_version": platform.python_version(),
    }


def report(name: str, out: Path | None, rows: list[dict[str, Any]]) -> None:
    """Prints a table, one column per field of the rows, and writes ``NAME.json`` into a folder, if
    there is one."""
    columns = list(dict.fromkeys(field for row in rows for field in row))
    table = Table(*columns, title=name)
    for row in rows:
        table.add_row(*(_cell(row.get(field, "")) for field in columns))
    Console(width=max(80, 18 * len(columns))).print(table)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        data = {"benchmark": name, "machine": machine(), "rows": rows}
        (out / f"{name}.json").write_text(json.dumps(data, indent=2) + "\n")


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
