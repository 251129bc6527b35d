"""Cold and warm start: seconds from process start to the end of the first meta-step.

Each start is a process of its own, with the default preset of the main job. A cold start has an
empty compilation cache; the warm one after it finds what the cold one left.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks import harness

_STARTED = "STRUCTLAT_PROCESS_STARTED"


@click.command(help=__doc__)
@click.option("--seeds", type=click.IntRange(1), default=2, show_default=True)
@harness.options(repeats=3)
def command(seeds: int, repeats: int, quick: bool, out: Path | None) -> None:
    """See the module's docstring."""
    rows = {"cold": [], "warm": []}
    for _ in range(1 if quick else repeats):
        with tempfile.TemporaryDirectory() as cache:
            for kind in rows:
                rows[kind].append(_child(cache, seeds, quick))
    data = []
    for kind, seconds in rows.items():
        found = harness.summary(seconds)
        data.append({"start": kind, "seeds": seeds, **found})
    harness.report("compile", out, data)


def _child(cache: str, seeds: int, quick: bool) -> float:
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache, _STARTED: str(time.time())}
    arguments = [sys.executable, "-m", "benchmarks.compile_child", str(seeds), str(int(quick))]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    command()
