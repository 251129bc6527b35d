"""The paper's algorithm and those that it cites, under one protocol.

python -m experiments.compare --env point_robot --algorithms pearl,rl2,varibad,oracle --seeds 4

Every algorithm has the settings and the budget of the preset of its name, on top of the
environment's first; what else is given on the command line is given to all. Those whose belief is
about z are trained with each of --latents, the others once. Every run is a folder of its own,
DIR/ALGORITHM or DIR/ALGORITHM-LATENT; all have the same seeds, and so the same tasks, and each is
compared with the first, seed by seed. At the end: DIR/compare.md, DIR/compare.json, and returns by
episode, by environment steps and by time as pictures. --resume continues.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from structlat_jax import config as configuration
from structlat_jax.algos.options import ALGORITHMS, WITHOUT_LATENT
from structlat_jax.cli import changes, options, request
from structlat_jax.cli.console import make_console
from structlat_jax.cli.errors import main
from structlat_jax.errors import InputError
from structlat_jax.options import ConfigError
from structlat_jax.report.names import slug
from structlat_jax.run.members import Member
from structlat_jax.run.plan import Plan
from structlat_jax.store.run_folder import CheckpointError, read_json

_BETWEEN = " with "
_MARKER = "compare_config.json"
_ASKED = "asked"


def arms(algorithms: Sequence[str], latents: Sequence[str]) -> list[str]:
    """What is trained: ``ALGORITHM``, or ``ALGORITHM with LATENT``."""
    names = [name.strip() for text in algorithms for name in text.split(",")]
    unknown = [name for name in names if name not in ALGORITHMS]
    if unknown:
        known = ", ".join(ALGORITHMS)
        raise InputError(f"--algorithms must be some of {known}, not {', '.join(unknown)}.")
    if len(set(names)) < len(names):
        raise InputError("--algorithms must differ from each other.")
    made = []
    for name in names:
        own = [] if name in WITHOUT_LATENT else latents
        made += [f"{name}{_BETWEEN}{latent}" for latent in own] or [name]
    return made


def runs(
    given: dict[str, Any], asked: Sequence[str], plan: Plan, wanted: Any, out: Path
) -> list[tuple[str, Path, Plan]]:
    """Label, folder and plan of each arm; raises `ConfigError` about ``algorithms``.

    Args:
      given: Options of the command, which name the environment again if it is code.
      asked: Which fields stood on the command line, ``updates`` among them.
      plan: With the environment's first preset and what the command line changed in it.
      wanted: From `arms`.
      out: The folder of all.
    """
    if not isinstance(wanted, list) or not all(isinstance(arm, str) for arm in wanted):
        raise ConfigError("algorithms", "names", wanted)
    env = request.saved_env(plan.config, given)
    first, budget = configuration.preset(None, env)
    # A value that is the first preset's may be asked of all, too.
    names = [*changes.between(first, plan.config), *asked]
    own = {n: _value(plan, n) for n in names if n not in ("algorithm", "updates")}
    made = []
    for arm in wanted:
        name, _, latent = arm.partition(_BETWEEN)
        config, updates = configuration.preset(None if name == "pearl" else name, env)
        config = config.replace(
            env=plan.config.env, **own, **({"latent": latent} if latent else {})
        )
        updates = plan.updates if "updates" in asked or plan.updates != budget else updates
        preset = plan.preset if name == "pearl" else name
        whole = dataclasses.replace(plan, config=config, preset=preset, updates=updates)
        made.append((arm.replace(_BETWEEN, " "), out / slug(arm.replace(_BETWEEN, "-")), whole))
    return made


def _require_latents(given: Sequence[str], out: Path, made: Sequence[Member]) -> None:
    """Raises `InputError` unless those are the latents of the comparison that is resumed."""
    kept = {one.label.partition(" ")[2] for one in made} - {""}
    if set(changes.latent_specs(made[0].plan.config, list(given))) != kept:
        shown = "; ".join(sorted(kept)) or "none"
        raise InputError(f"--latents: --resume continues {out} as it is, with {shown}.")


def _asked(given: dict[str, Any]) -> list[str]:
    """The fields that stand on the command line."""
    return _fields(options.typed(given))


def _kept(out: Path | None) -> list[str]:
    """The same of the comparison in a folder; none of one that does not say so or is not there,
    about which there will be a sentence."""
    try:
        found = read_json(out / _MARKER)[_ASKED]
    except (OSError, TypeError, KeyError, CheckpointError):
        return []
    return _fields(found) if isinstance(found, list) else []


def _fields(names: Iterable[str]) -> list[str]:
    """Those that are of a configuration, or the number of updates."""
    return [name for name in names if name in (*configuration.fields(), "updates")]


def _value(plan: Plan, name: str) -> Any:
    return getattr(getattr(plan.config, configuration.section_of(name)), name)


@click.command(cls=options.SectionedCommand, help=options.program_help(__doc__))
@click.option(
    "--algorithms",
    multiple=True,
    default=[",".join(ALGORITHMS)],
    metavar="NAMES",
    help=f"Algorithms with commas between them.  [{','.join(ALGORITHMS)}]",
)
@options.latents_option("the preset's")
@options.env_options
@options.run_options(seeds=4, default_folder="runs/compare-DATE-TIME")
@functools.partial(options.config_options, without=("latent", "algorithm"))
def command(
    algorithms: Sequence[str],
    latents: Sequence[str],
    out: Path | None,
    overwrite: bool,
    resume: bool,
    **given: Any,
) -> int:
    """See the module's docstring."""
    from structlat_jax.cli import figures, tables  # which, as the others, --help need not wait for
    from structlat_jax.cli.errors import EXIT_FAILED
    from structlat_jax.report import comparison
    from structlat_jax.report.album import Album
    from structlat_jax.report.run_files import read_run
    from structlat_jax.run import machine
    from structlat_jax.store.run_folder import write_json, write_whole

    asked = _kept(out) if resume else _asked(given)
    own = functools.partial(runs, given, asked)
    what = tables.Several("compare", _MARKER, "algorithms", own, {_ASKED: asked})
    machine.configure(request.planned(out, resume, what.marker, given)["seeds"])
    machine.require_devices()
    wanted = arms(algorithms, changes.split(latents))
    out, made = tables.settle(what, wanted, out, overwrite, resume, given)
    if resume and latents:
        _require_latents(changes.split(latents), out, made)
    console = make_console()
    tables.train(out, made, console)
    finished = {one.label: read_run(one.folder) for one in made}
    built, album = comparison.build(finished, made[0].env.plane), Album()
    shown = comparison.draw(made[0].env.name, finished, album)
    figures.show(album, out)
    write_whole(
        out / "compare.md", comparison.markdown(built, {f"{n}.png": t for n, t in shown.items()})
    )
    write_json(out / "compare.json", built)
    for one in comparison.sections(built):
        console.print(one.grid)
    console.print(f"everything is in {out}", soft_wrap=True)
    return EXIT_FAILED if any(row["not_finite_seeds"] for row in built["rows"]) else 0


if __name__ == "__main__":
    main(command)
