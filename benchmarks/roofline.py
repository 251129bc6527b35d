"""How near an update comes to the machine's peak.

Floating-point operations of an update, counted from the shapes and by XLA's cost analysis, times
the updates per second of a scan of them, draws from the replay included, against the matrix
products that the same process reaches in the same round: large square ones, and those of the
preset's own hidden layer.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp

from benchmarks import flops, harness
from benchmarks.training import compile_updates, experienced, one_update
from structlat_jax.config import PRESETS
from structlat_jax.train.learn import init
from structlat_jax.train.setup import Setup, make_setup

_UPDATES = {"cpu": 300, "paper": 20}


@click.command(help=__doc__)
@click.option("--preset", "presets", type=click.Choice(list(PRESETS)), multiple=True)
@harness.options(repeats=7)
def command(presets, repeats: int, quick: bool, out: Path | None) -> None:
    """See the module's docstring."""
    rows = []
    for name in presets or list(PRESETS)[: 1 if quick else None]:
        config = harness.preset(name)[0].replace(updates_per_step=_UPDATES[name])
        rows.append(_row(name, harness.quick_config(config) if quick else config,
                         2 if quick else repeats, 64 if quick else 2048))  # fmt: skip
    harness.report("roofline", out, rows)


def _row(name: str, config: Any, repeats: int, size: int) -> dict[str, Any]:
    setup, s, count = make_setup(config), config.structure, config.structure.updates_per_step
    updates, _, compile_seconds = compile_updates(setup, experienced(setup, 1), count)
    square, square_flops = product(size, size, size, 4)
    own, own_flops = product(s.meta_batch * s.batch_size, s.width, s.width, 64)
    calls = {"update": updates, "square": square, "own": own}
    seconds = harness.interleaved(calls, repeats)
    counted = flops.per_update(setup)
    rates = [count * counted / t for t in seconds["update"]]
    peaks = [square_flops / t for t in seconds["square"]]
    owns = [own_flops / t for t in seconds["own"]]
    shares = harness.summary([a / b for a, b in zip(rates, peaks, strict=True)])
    own_shares = harness.summary([a / b for a, b in zip(rates, owns, strict=True)])
    return {
        "preset": name,
        "MFLOP per update": counted / 1e6,
        "MFLOP by XLA": xla_flops(setup) / 1e6,
        **{f"update GFLOP/s {k}": v / 1e9 for k, v in harness.summary(rates).items()},
        "peak GFLOP/s": harness.summary(peaks)["median"] / 1e9,
        "hidden layer GFLOP/s": harness.summary(owns)["median"] / 1e9,
        **{f"share of peak {k}": v for k, v in shares.items()},
        "share of hidden layer": own_shares["median"],
        "compile_seconds": compile_seconds,
    }


def xla_flops(setup: Setup) -> float:
    """XLA's count for one update, the draw from the replay and all that is no product included."""
    shapes = jax.eval_shape(lambda: init(setup, jax.random.key(0)))
    hyper = jax.tree.map(jnp.float32, setup.config.hyper)
    return jax.jit(one_update(setup)).lower(hyper, shapes).cost_analysis()["flops"]


def product(rows: int, inner: int, width: int, times: int) -> tuple[Callable[[], Any], int]:
    """A program that multiplies ``[rows, inner]`` by ``[inner, width]`` some times over, and its
    operations."""
    key_left, key_right = jax.random.split(jax.random.key(0))
    left = jax.random.normal(key_left, (rows, inner))
    right = jax.random.normal(key_right, (times, inner, width))

    @jax.jit
    def many(left, right):
        # The carry makes every product depend on the one before, so that none can be left out.
        def body(carry, factor):
            found = (left + carry) @ factor
            return found[0, 0] * 1e-9, None

        return jax.lax.scan(body, jnp.zeros(()), right)[0]

    return lambda: many(left, right), 2 * rows * inner * width * times


if __name__ == "__main__":
    command()
