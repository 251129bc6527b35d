"""What ``structlat suite`` does: latents on families of known structure."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from rich.console import Console

from structlat_jax.cli import changes, figures, options, request, tables
from structlat_jax.cli.console import make_console
from structlat_jax.cli.errors import EXIT_FAILED
from structlat_jax.cli.folders import claim, interruptible, new_folder
from structlat_jax.envs import AnyEnv, EnvSpec
from structlat_jax.envs.base import Plane
from structlat_jax.envs.families import named
from structlat_jax.envs.spec import canonical
from structlat_jax.errors import InputError
from structlat_jax.report import suite_pictures, suite_text, table
from structlat_jax.report.album import Album
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.names import slug
from structlat_jax.report.run_files import read_run
from structlat_jax.run import machine
from structlat_jax.run.members import Member
from structlat_jax.run.plan import Plan
from structlat_jax.shapes import make_key
from structlat_jax.store.run_folder import (
    CheckpointError,
    read_json,
    reason,
    write_json,
    write_whole,
)

MARKER = "suite_config.json"


class Wanted(NamedTuple):
    """A family that is to be trained: its plan, whose latent is not looked at, its environment,
    and its latent specs."""

    plan: Plan
    env: AnyEnv
    latents: list[str]


def compare(
    families: Sequence[str],
    latents: Sequence[str],
    out: Path | None,
    overwrite: bool,
    resume: bool,
    **given: Any,
) -> int:
    """Trains, compares and draws all families; returns the exit code.

    Raises:
      InputError, ConfigError, EnvError, CheckpointError: on bad input, before anything changes.
      WriteError: if something cannot be written.
    """
    machine.configure(_seeds(out, resume, given))
    machine.require_devices()
    names, latents = changes.split(families), changes.split(latents)
    if resume:
        out = request.require_folder(out, overwrite)
        made = _resumed(out, names, latents, given)
    else:
        wanted = _wanted(names, latents, given)
        default = Path("runs") / f"suite-{time.strftime('%Y%m%d-%H%M%S')}"
        out = new_folder(out, default, overwrite, MARKER)
        write_json(out / MARKER, {"families": names, "latents": latents})
        made = {name: _begun(out, name, one) for name, one in wanted.items()}
    console, built, drawn = make_console(), {}, {}
    again = f" --families '{';'.join(made)}'" if any(map(is_code, made)) else ""
    with interruptible(out, console, again):
        for name, members in made.items():
            runs = _trained(name, members, folder(out, name), console)
            built[name] = build(runs, members[0].env.plane)
            drawn[name] = draw(name, runs, out)
    return report(built, drawn, out, console)


def build(runs: dict[str, RunFiles], plane: Plane | None) -> dict[str, Any]:
    """The table of a family, from its runs by label and its environment's plane."""
    return suite_text.with_structure(table.build_arms(runs, plane), runs)


def report(
    built: dict[str, Any], drawn: dict[str, dict[str, str]], out: Path, console: Console
) -> int:
    """Writes ``suite.md`` and ``suite.json``, and prints the tables.

    Args:
      built: Tables from `build` by family.
      drawn: What `draw` gave, by family.
      out: The suite's folder.
      console: Where to print.

    Returns:
      The exit code: `EXIT_FAILED` if a seed is not finite.
    """
    write_whole(out / "suite.md", suite_text.markdown(built, drawn))
    write_json(out / "suite.json", built)
    console.print(suite_text.terminal(built))
    console.print(f"everything is in {out}", soft_wrap=True)
    failed = any(row["not_finite_seeds"] for one in built.values() for row in one["rows"])
    return EXIT_FAILED if failed else 0


def natural_latents(env: AnyEnv) -> list[str]:
    """A Gaussian, and two latents of its width that are shaped like the ground truth: a Dirichlet
    or a categorical variable for a mixture, and Gaussians for everything else.

    Raises:
      InputError: if the environment knows no mixture, so that nothing says what shape is natural.
    """

    def of_one_task(key):
        return env.factors(jax.tree.map(lambda x: x[0], env.sample_tasks(key, 1)))

    found = {} if env.factors is None else jax.eval_shape(of_one_task, make_key(0))
    if "mixture" not in found:
        raise InputError(
            f"{env.name} has no factor called mixture; say which --latents to compare."
        )
    classes = found["mixture"].size
    styles = sum(value.size for name, value in found.items() if name != "mixture")
    beside = f",gau:{styles}" if styles else ""
    return [f"gau:{classes + styles}", f"dir:1x{classes}{beside}", f"cat:1x{classes}{beside}"]


def _wanted(
    names: Sequence[str], latents: Sequence[str], given: dict[str, Any]
) -> dict[str, Wanted]:
    """What is to be trained by family; raises on what cannot be, before anything is made."""
    if len({slug(name) for name in names}) < len(names):
        raise InputError("--families must differ from each other.")
    wanted = {}
    for name in names:
        plan, env = request.new_plan({**given, **_as_options(name)})
        own = list(latents) or natural_latents(env)
        tables.require(tables.LATENTS, plan, own)
        wanted[name] = Wanted(plan, env, own)
    return wanted


def _as_options(name: str) -> dict[str, Any]:
    """A family as the options that name an environment."""
    env, own = named(name)
    return {"env": env, "env_options": own}


def folder(out: Path, name: str) -> Path:
    """That of a family in a suite's."""
    return out / slug(name)


def _begun(out: Path, name: str, wanted: Wanted) -> list[Member]:
    own = folder(out, name)
    new_folder(own, own, overwrite=False)
    return tables.begin(tables.LATENTS, wanted.plan, wanted.env, wanted.latents, own)


def read(out: Path, who: str) -> dict[str, list[str]]:
    """The ``families`` and ``latents`` of a suite's folder; no latents if each family has its own.

    Args:
      out: The folder.
      who: Needs it, for the sentence.

    Raises:
      InputError: if it is no suite's.
      CheckpointError: if it does not say what it compares.
    """
    try:
        data = read_json(out / MARKER)
    except OSError as error:
        raise InputError(
            f"{who} needs the folder of a suite: {out / MARKER} cannot be read, {reason(error)}."
        ) from None
    try:
        return {name: list(data[name]) for name in ("families", "latents")}
    except (KeyError, TypeError):
        raise CheckpointError(f"{out / MARKER} does not say which families it compares.") from None


def _seeds(out: Path | None, resume: bool, given: dict[str, Any]) -> int:
    """How many each run has, as far as anybody can say before jax starts."""
    if not resume or out is None:
        return given["seeds"]
    families = read(out, "--resume")["families"]
    own = folder(out, families[0]) if families else out
    return request.planned(own, resume, tables.LATENTS.marker, given)["seeds"]


def is_code(family: str) -> bool:
    """Whether a family's environment is code of the user's own."""
    return EnvSpec(canonical(named(family)[0])).is_code


def _resumed(
    out: Path, names: list[str], latents: list[str], given: dict[str, Any]
) -> dict[str, list[Member]]:
    """The members of each family of the folder to be resumed.

    Raises:
      InputError, CheckpointError, FileNotFoundError: if the command line has other families,
        latents or settings, if a family was never begun, or if one is code that the command line
        does not name.
    """
    saved = read(out, "--resume")
    typed = options.typed({"families": names, "latents": latents})
    for option, value in typed.items():
        if value != saved[option]:
            raise InputError(f"--resume {out} has other --{option}: {';'.join(saved[option])}.")
    code = [name for name in saved["families"] if is_code(name)]
    if code and "families" not in typed:
        raise InputError(
            f"{', '.join(code)} is code of its own, which is not run unasked: give --families "
            "again if you trust it."
        )
    claim(out)
    made = {}
    for name in saved["families"]:
        own = {**given, **_as_options(name), "latents": saved["latents"]}
        made[name] = tables.go_on(tables.LATENTS, folder(out, name), own)
    return made


def _trained(name: str, members: list[Member], own: Path, console: Console) -> dict[str, RunFiles]:
    """Trains what is left of a family; its runs by label."""
    latents = ", ".join(one.label for one in members)
    console.print(f"{name}: {latents}")
    tables.train_members(own, members, console)
    return {one.label: read_run(one.folder) for one in members}


def draw(name: str, runs: dict[str, RunFiles], out: Path) -> dict[str, str]:
    """Draws the pictures of a family; what each shows, by its path from ``out``."""
    album, own = Album(), folder(out, name)
    shown = suite_pictures.draw(name, runs, album)
    figures.show(album, own)
    return {f"{own.name}/{picture}.png": text for picture, text in shown.items()}
