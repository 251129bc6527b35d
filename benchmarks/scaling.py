"""Time and memory of an update as context, tasks, width and seeds grow, with fitted exponents.

One size is varied at a time, from the preset's; cost = a * size ** b, by least squares on
logarithms. Time is that of updates alone, draws from the replay included and nothing collected, on
one device, one seed after the other. Memory is what the compiler says of the same program: the
states that go in, and scratch.
"""

from pathlib import Path

import click

from benchmarks import harness
from benchmarks.training import compile_updates, experienced
from structlat_jax.config import PRESETS, Config
from structlat_jax.train.setup import make_setup

AXES = {
    "context length": ("context_episodes", (4, 8, 16, 32, 64)),
    "tasks per update": ("meta_batch", (4, 8, 16, 30)),
    "width": ("width", (32, 64, 128, 256)),
    "seeds": (None, (1, 2, 4, 8)),
}
_UPDATES = 25


@click.command(help=__doc__)
@click.option(
    "--preset", "name", type=click.Choice(list(PRESETS)), default="cpu", show_default=True
)
@click.option("--axis", "axes", type=click.Choice(list(AXES)), multiple=True)
@harness.options(repeats=5)
def command(name, axes, repeats: int, quick: bool, out: Path | None) -> None:
    """See the module's docstring."""
    rows = []
    for axis in axes or AXES:
        field, sizes = AXES[axis]
        base, _ = harness.preset(name)
        count = _UPDATES
        if quick:
            base, sizes, repeats, count = harness.quick_config(base), sizes[:2], 2, 2
        found = [_measure(base, field, size, repeats, count) for size in sizes]
        fits = {
            f"exponent of {what}": harness.exponent(sizes, [one[key] for one in found])
            for what, key in (("time", "ms per update median"), ("memory", "MiB"))
        }
        rows += [
            {"axis": axis, "size": size, **one, **fits}
            for size, one in zip(sizes, found, strict=True)
        ]
    harness.report("scaling", out, rows)


def _measure(base: Config, field: str | None, size: int, repeats: int, count: int) -> dict:
    seeds = size if field is None else 1
    changes = {} if field is None else {field: size}
    if field == "context_episodes":  # whole contexts, so that all of a longer one counts
        changes["context_episodes_min"] = size
    if field == "width":
        changes["encoder_width"] = size
    setup = make_setup(base.replace(**changes))
    call, program, seconds = compile_updates(setup, experienced(setup, seeds), count)
    memory = program.memory_analysis()
    found = harness.timings(call, repeats)
    each = harness.summary([1e3 * one / count for one in found])
    return {
        **{f"ms per update {name}": value for name, value in each.items()},
        "MiB": (memory.argument_size_in_bytes + memory.temp_size_in_bytes) / 2**20,
        "compile_seconds": seconds,
    }


if __name__ == "__main__":
    command()
