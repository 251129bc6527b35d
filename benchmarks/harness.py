"""What the benchmarks share: timing apart from compilation, and the record of the machine."""

import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax


def timings(call: Callable[[], Any], repeats: int) -> list[float]:
    """Seconds of each of ``repeats`` calls, after one that is not counted."""
    jax.block_until_ready(call())
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - start)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, fastest and slowest."""
    return {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds)}


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


def write(name: str, out: Path | None, rows: list[dict[str, Any]]) -> None:
    """Writes ``NAME.json`` into a folder, if there is one."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        data = {"benchmark": name, "machine": machine(), "rows": rows}
        (out / f"{name}.json").write_text(json.dumps(data, indent=2) + "\n")
