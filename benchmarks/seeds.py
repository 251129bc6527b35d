"""Seed-updates per second as seeds grow: on one device and on all, in a loop and vmapped.

On a CPU also: two processes under jax.distributed, one pinned to each of two cores, against one on
one core. On an accelerator seeds are vmapped only, since a loop over n of them takes n times as
long; PyTorch, one seed, stands beside them where it is installed.
"""

import contextlib
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import jax
from rich.console import Console

from benchmarks import harness
from benchmarks.step_throughput import has_torch
from benchmarks.training import Run
from structlat_jax.config import PRESETS, Config
from structlat_jax.run.machine import cores


@click.command(help=__doc__)
@click.option(
    "--preset", "name", type=click.Choice(list(PRESETS)), default="cpu", show_default=True
)
@click.option("--seeds", "counts", type=click.IntRange(1), multiple=True, default=(1, 2, 4, 8),
              show_default=True, help="May be given several times.")  # fmt: skip
@click.option("--updates", type=click.IntRange(1),
              help="Updates of a meta-step, instead of the preset's own.")  # fmt: skip
@harness.options(repeats=5)
def command(name, counts, updates, repeats: int, quick: bool, out: Path | None) -> None:
    """See the module's docstring."""
    harness.use_all_cores()
    config, _ = harness.preset(name)
    updates = updates or config.structure.updates_per_step
    config = config.replace(updates_per_step=updates)
    if quick:
        config, counts, repeats = harness.quick_config(config), (1, 2), 2
    rows = []
    for seeds in counts:
        rows += _rows(config, seeds, repeats)
    if _on_cpu():
        rows += _processes(name, updates, repeats, quick)
    elif has_torch():
        rows.append(_torch_row(config, 3 if quick else 50, repeats))
    harness.report("seeds", out, rows)


def _on_cpu() -> bool:
    return jax.devices()[0].platform == "cpu"


def _rows(config: Config, seeds: int, repeats: int) -> list[dict[str, Any]]:
    devices = jax.devices()
    layouts = {"one device": devices[:1]}
    if min(len(devices), seeds) > 1:
        layouts["all devices"] = devices
    mappings = ("loop", "vmap") if _on_cpu() else ("vmap",)
    if seeds == 1:  # the same program either way
        mappings = mappings[:1]
    runs = {
        (place, mapping): Run(config, seeds, where, mapping)
        for place, where in layouts.items()
        for mapping in mappings
    }
    found = harness.interleaved({key: run.step for key, run in runs.items()}, repeats)
    return [
        _row(seeds, *key, [run.updates / s for s in found[key]], run.compile_seconds, run.bytes)
        for key, run in runs.items()
    ]


def _torch_row(config: Config, count: int, repeats: int) -> dict[str, Any]:
    from benchmarks.torch_pearl.training import updates_per_second

    rates = updates_per_second(config, count, repeats)
    return {"seeds": 1, "where": "PyTorch, eager: updates alone", "mapping": "", **_named(rates)}


def _named(rates: dict[str, float]) -> dict[str, float]:
    return {f"seed-updates/s {name}": value for name, value in rates.items()}


def _row(seeds, place, mapping, rates, compile_seconds, size) -> dict[str, Any]:
    return {
        "seeds": seeds,
        "where": place,
        "mapping": mapping,
        **_named(harness.summary(rates)),
        "compile_seconds": compile_seconds,
        "MiB per device": size / 2**20,
    }


def _processes(preset_name: str, updates: int, repeats: int, quick: bool) -> list[dict[str, Any]]:
    if cores() < 2:
        Console().print("one core only: two processes are left out")
        return []
    rows = []
    for count in (1, 2):
        found = _start(count, [preset_name, updates, repeats, int(quick)], repeats)
        # All processes train at the same time, so that their rates add up, round by round.
        rates = [sum(pair) for pair in zip(*(one["rates"] for one in found), strict=True)]
        seconds = max(one["compile_seconds"] for one in found)
        name = f"{count} process(es), one core each"
        rows.append(_row(count, name, "loop", rates, seconds, found[0]["bytes"]))
    return rows


def _start(count: int, arguments: list[Any], repeats: int) -> list[dict[str, Any]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    child = [sys.executable, "-m", "benchmarks.seeds_child", *map(str, arguments), address]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([*child, str(count), str(i)], **pipes) for i in range(count)]
    for _ in range(repeats):
        for process in started:
            process.stdout.readline()
        for process in started:
            with contextlib.suppress(BrokenPipeError):  # it has ended early, as its code will say
                process.stdin.write("\n")
                process.stdin.flush()
    ended = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise click.ClickException("a process of the benchmark ended early; see above.")
    return [json.loads(text.splitlines()[-1]) for text in ended]


if __name__ == "__main__":
    command()
