"""One of several processes that train at the same time, each on a core of its own.

Prints a line when it is ready, trains for one round per line that it reads, so that no process runs
alone, and ends with its updates per second, round by round, as JSON."""

import json
import os
import sys
import time

import jax

from structlat_jax.run import machine


def main(name: str, updates: str, repeats: str, quick: str, address: str, count: str, index: str):
    """Trains one seed."""
    mine = sorted(os.sched_getaffinity(0))[int(index)]
    os.sched_setaffinity(0, {mine})
    machine.configure(1)
    jax.distributed.initialize(address, int(count), int(index))

    from benchmarks import harness
    from benchmarks.training import Run

    config = harness.preset(name)[0].replace(updates_per_step=int(updates))
    run = Run(harness.quick_config(config) if int(quick) else config)
    jax.block_until_ready(run.step())
    rates = []
    for _ in range(int(repeats)):
        print(flush=True)
        sys.stdin.readline()
        start = time.perf_counter()
        jax.block_until_ready(run.step())
        rates.append(run.updates / (time.perf_counter() - start))
    found = {"rates": rates, "compile_seconds": run.compile_seconds, "bytes": run.bytes}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
