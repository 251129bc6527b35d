"""One start, as the main job does it; prints the seconds since the parent started the process."""

import os
import sys
import time

from structlat_jax.run import machine


def main(seeds: int, quick: bool) -> None:
    """Runs one meta-step."""
    machine.configure(seeds)

    import jax

    from benchmarks import harness
    from structlat_jax.train import parallel
    from structlat_jax.train.setup import make_setup

    config, _ = harness.preset("cpu")
    if quick:
        config = harness.quick_config(config)
    programs = parallel.make_programs(make_setup(config), seeds)
    hyper = parallel.spread(programs, config.hyper)
    programs, _ = parallel.compile_programs(programs, hyper)
    state = programs.init(parallel.seed_numbers(programs, 0))
    jax.block_until_ready(programs.step(hyper, state))
    print(time.time() - float(os.environ["STRUCTLAT_PROCESS_STARTED"]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), bool(int(sys.argv[2])))
