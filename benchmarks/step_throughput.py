"""Updates per second of one seed, and where the speed comes from.

The same update, on the same replay: dispatched operation by operation, jitted alone with its
batch drawn in the same program, and inside the scanned meta-step, collection included.
"""

import time
from pathlib import Path

import click
import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from benchmarks import harness
from structlat_jax import sac
from structlat_jax.config import PRESETS
from structlat_jax.meta_train import (
    Setup,
    coefficients_at,
    draw_batch,
    init,
    meta_step,
    task_log_weights,
)
from structlat_jax.setup import make_setup

_LATENTS = ("dir:2x4,gau:2", "gau:5", "cat:2x4,gau:2")


@click.command(help=__doc__)
@click.option("--preset", type=click.Choice(list(PRESETS)), default="cpu", show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True)
@click.option("--quick", is_flag=True, help="One latent, small sizes, two repeats.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the JSON.")
def command(preset: str, repeats: int, quick: bool, out: Path | None) -> None:
    """See the module's docstring."""
    rows = []
    for latent in _LATENTS[:1] if quick else _LATENTS:
        config = PRESETS[preset].replace(latent=latent)
        if quick:
            config = config.replace(
                width=8,
                depth=1,
                encoder_width=8,
                updates_per_step=5,
                world_width=8,
                world_updates=5,
            )
        rows.extend(_rows(make_setup(config), 2 if quick else repeats))
    table = Table("latent", "program", "updates/s (median)", "min", "max", "compile s")
    for row in rows:
        numbers = (f"{row[name]:.1f}" for name in ("median", "min", "max", "compile_seconds"))
        table.add_row(row["latent"], row["program"], *numbers)
    Console().print(table)
    harness.write("step_throughput", out, rows)


def _rows(setup: Setup, repeats: int) -> list[dict]:
    hyper = jax.tree.map(jnp.float32, setup.config.hyper)
    state = jax.jit(lambda key: init(setup, key))(jax.random.key(0))
    step = jax.jit(lambda h, s: meta_step(setup, h, s)).lower(hyper, state)
    step, compile_step = _compiled(step)
    state, _ = step(hyper, state)  # so that the replay holds something

    def one_update(h, s):
        weights = task_log_weights(setup, h, s.replay)
        batch = draw_batch(setup, h, s.replay, weights, s.key)
        coefficients = coefficients_at(h, s.updates)
        return sac.update(setup.networks, setup.space, s.params, s.optimisers, batch, coefficients)

    jitted, compile_one = _compiled(jax.jit(one_update).lower(hyper, state))
    per_step = setup.config.structure.updates_per_step
    programs = (
        ("op by op", lambda: one_update(hyper, state), 1, 0.0),
        ("jitted update", lambda: jitted(hyper, state), 1, compile_one),
        (
            "scanned meta-step",
            lambda: step(hyper, state),
            per_step,
            compile_step,
        ),
    )
    rows = []
    for name, call, updates, compile_seconds in programs:
        rates = [updates / seconds for seconds in harness.timings(call, repeats)]
        rows.append(
            {
                "latent": str(setup.space),
                "program": name,
                **harness.summary(rates),
                "compile_seconds": compile_seconds,
            }
        )
    return rows


def _compiled(lowered):
    start = time.perf_counter()
    return lowered.compile(), time.perf_counter() - start


if __name__ == "__main__":
    command()
