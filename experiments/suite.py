"""Does structure in the latent pay? Families of tasks with known structure, latent by latent.

python -m experiments.suite --posterior task --seeds 4 --out runs/suite

A family is an environment and its options, ``triangle+rotation=0.7+gain=0.3`` for instance; by
default those whose tasks are mixtures. In each, a Gaussian latent stands beside one of equal width
that is shaped like the ground truth, and beside its categorical baseline; --latents compares
others. Every family has a folder like those of table1, whose rows are compared with the first, seed
by seed. At the end: DIR/suite.md and DIR/suite.json. --resume continues, family by family.
"""

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import jax
from rich.console import Console

from experiments.table1 import runs
from structlat_jax.cli import changes, options, request, tables
from structlat_jax.cli.errors import EXIT_FAILED, main
from structlat_jax.cli.folders import claim, new_folder
from structlat_jax.envs import Env, registry
from structlat_jax.envs.spec import parse_options
from structlat_jax.errors import InputError
from structlat_jax.report import suite_text, table
from structlat_jax.report.run_files import read_run
from structlat_jax.run import machine
from structlat_jax.store.run_folder import CheckpointError, read_json, write_json, write_whole

FAMILIES = (
    "point_robot",
    "triangle",
    "triangle+drift=0.025",
    "triangle+gain=0.3",
    "triangle+rotation=0.7+gain=0.3",
    "tetrahedron",
    "speed_mix",
    "drive_mix",
)

MARKER = "suite_config.json"
FAMILY = tables.Several("suite", "table_config.json", "latents", runs)


def family(text: str) -> tuple[str, tuple[str, ...]]:
    """``NAME+OPTION=VALUE+...`` to the environment's name and its options."""
    name, *own = (part.strip() for part in text.split("+"))
    return name, tuple(own)


def made(text: str) -> Env:
    """The environment of a family; raises `EnvError`."""
    name, own = family(text)
    return registry.make(name, **parse_options(own))


def natural_latents(env: Env) -> list[str]:
    """A Gaussian, and two latents of its width that are shaped like the ground truth: a Dirichlet
    or a categorical variable for a mixture, and Gaussians for everything else.

    Raises:
      InputError: if the environment knows no mixture, so that nothing says what shape is natural.
    """

    def of_one_task(key):
        return env.factors(jax.tree.map(lambda x: x[0], env.sample_tasks(key, 1)))

    found = {} if env.factors is None else jax.eval_shape(of_one_task, jax.random.key(0))
    if "mixture" not in found:
        raise InputError(
            f"{env.name} has no factor called mixture; say which --latents to compare."
        )
    classes = found["mixture"].size
    styles = sum(value.size for name, value in found.items() if name != "mixture")
    beside = f",gau:{styles}" if styles else ""
    return [f"gau:{classes + styles}", f"dir:1x{classes}{beside}", f"cat:1x{classes}{beside}"]


@click.command(cls=options.SectionedCommand, help=options.program_help(__doc__))
@click.option(
    "--families",
    multiple=True,
    default=[";".join(FAMILIES)],
    metavar="SPECS",
    help="Environments with semicolons between them (quote them), each NAME+OPTION=VALUE+...; may "
    f"be given several times.  [{';'.join(FAMILIES)}]",
)
@click.option(
    "--latents",
    multiple=True,
    metavar="SPECS",
    help="Latent specs with semicolons between them, the same for all families.  [as the ground "
    "truth of each suggests]",
)
@options.run_options(seeds=20, default_folder="runs/suite-DATE-TIME")
@functools.partial(options.config_options, without=("latent",))
def command(
    families: Sequence[str],
    latents: Sequence[str],
    out: Path | None,
    overwrite: bool,
    resume: bool,
    **given: Any,
) -> int:
    """See the module's docstring."""
    machine.configure(given["seeds"])
    names, specs = changes.split(families), changes.split(latents)
    if resume:
        out = request.require_folder(out, overwrite)
        names, specs = _saved(out, names, specs)
        claim(out)
    wanted = _settled(names, specs, given)
    if not resume:
        default = Path("runs") / f"suite-{time.strftime('%Y%m%d-%H%M%S')}"
        out = new_folder(out, default, overwrite, MARKER)
        write_json(out / MARKER, {"families": names, "latents": specs})
    console, built = Console(), {}
    for text, own in wanted.items():
        built[text] = _family(text, own, out, given, console)
    write_whole(out / "suite.md", suite_text.markdown(built))
    write_json(out / "suite.json", built)
    console.print(suite_text.terminal(built))
    console.print(f"everything is in {out}", highlight=False, markup=False, soft_wrap=True)
    failed = any(row["not_finite_seeds"] for one in built.values() for row in one["rows"])
    return EXIT_FAILED if failed else 0


def _settled(
    names: Sequence[str], specs: Sequence[str], given: dict[str, Any]
) -> dict[str, list[str]]:
    """The latents of each family; raises on what cannot be trained, before anything is."""
    if len(set(names)) < len(names):
        raise InputError("--families must differ from each other.")
    wanted = {}
    for text in names:
        wanted[text] = list(specs) or natural_latents(made(text))
        plan, _ = request.new_plan({**given, **_named(text)})
        tables.require(FAMILY, plan, wanted[text])
    return wanted


def _named(text: str) -> dict[str, Any]:
    """A family as the options that name an environment."""
    name, own = family(text)
    return {"env": name, "env_options": own}


def _family(
    text: str, latents: list[str], out: Path, given: dict[str, Any], console: Console
) -> dict[str, Any]:
    """Trains what is left of a family, and builds its table."""
    folder = out / changes.slug(text)
    console.print(f"{text}: {', '.join(latents)}", highlight=False, markup=False)
    begun = (folder / FAMILY.marker).exists()
    both = {**given, **_named(text)}
    folder, made = tables.settle(FAMILY, latents, folder, False, begun, both)
    tables.train(folder, made, console)
    found = {one.label: read_run(one.folder) for one in made}
    return suite_text.with_structure(table.build_arms(found, made[0].env.plane), found)


def _saved(out: Path, names: list[str], specs: list[str]) -> tuple[list[str], list[str]]:
    """What the folder to be resumed compares; raises `InputError` if the command line differs."""
    data = read_json(out / MARKER)
    try:
        saved = {"families": list(data["families"]), "latents": list(data["latents"])}
    except (KeyError, TypeError):
        raise CheckpointError(f"{out / MARKER} does not say which families it compares.") from None
    typed = options.typed({"families": names, "latents": specs})
    for name, value in typed.items():
        if value != saved[name]:
            raise InputError(f"--resume {out} has other --{name}: {';'.join(saved[name])}.")
    return saved["families"], saved["latents"]


if __name__ == "__main__":
    main(command)
