"""What commands that train several runs have in common."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from rich.console import Console

from structlat_jax.cli import changes, request
from structlat_jax.cli.errors import EXIT_FAILED, complain, flag
from structlat_jax.cli.folders import interruptible, new_folder
from structlat_jax.envs import AnyEnv
from structlat_jax.errors import InputError
from structlat_jax.options import ConfigError
from structlat_jax.report import table_text
from structlat_jax.report.names import latent_slug
from structlat_jax.run import lanes, members
from structlat_jax.run.loggers.console import Meter
from structlat_jax.run.plan import Plan
from structlat_jax.store.run_folder import write_config, write_json, write_whole


class Several(NamedTuple):
    """What a command trains.

    Attributes:
      name: Of the command, for folders.
      marker: The file of its folder that says what it trains.
      axis: The option that says which runs there are.
      runs: ``(plan, the axis' values, folder)`` to label, folder and plan of each run; raises
        `ConfigError` about the axis.
      records: What that file has to say besides.
    """

    name: str
    marker: str
    axis: str
    runs: Callable[[Plan, Any, Path], list[tuple[str, Path, Plan]]]
    records: Mapping[str, Any] = MappingProxyType({})


def of_latents(plan: Plan, latents: Any, out: Path) -> list[tuple[str, Path, Plan]]:
    """A run per latent spec, for a `Several` whose axis is ``latents``."""
    return [
        (
            spec,
            out / latent_slug(spec),
            dataclasses.replace(plan, config=plan.config.replace(latent=spec)),
        )
        for spec in changes.latent_specs(plan.config, latents)
    ]


LATENTS = Several("table", "table_config.json", "latents", of_latents)
"""Latent specs side by side."""


def settle(
    what: Several,
    values: Sequence[str],
    out: Path | None,
    overwrite: bool,
    resume: bool,
    options: dict[str, Any],
) -> tuple[Path, list[members.Member]]:
    """The folder and the runs, from the options or from the folder that is to be resumed; after
    `machine.configure`.

    Raises:
      InputError, ConfigError, EnvError, CheckpointError: on bad input, before anything changes.
      WriteError: if something cannot be written.
    """
    if resume:
        out = request.require_folder(out, overwrite)
        return out, go_on(what, out, {**options, what.axis: values})
    plan, env = request.new_plan(options)
    require(what, plan, values)
    default = Path("runs") / f"{what.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    out = new_folder(out, default, overwrite, what.marker)
    return out, begin(what, plan, env, values, out)


def begin(
    what: Several, plan: Plan, env: AnyEnv, values: Sequence[str], out: Path
) -> list[members.Member]:
    """The runs of a plan that `require` allows, in a new folder."""
    said = {what.axis: list(values), **what.records, **plan.records()}
    write_config(out, plan.config, what.marker, **said)
    return _prepared(what.runs(plan, values, out), env)


def go_on(what: Several, out: Path, options: dict[str, Any]) -> list[members.Member]:
    """The runs of a folder that is to be resumed, and that the options must not contradict.

    Args:
      what: What the folder holds.
      out: The folder.
      options: Of the command.
    """
    plan, env, data = request.resumed(
        *(out, what.marker, options, [what.axis]),
        lambda plan, data: what.runs(plan, data.get(what.axis), out),
    )
    return _prepared(what.runs(plan, data[what.axis], out), env)


def _prepared(wanted: list[tuple[str, Path, Plan]], env: AnyEnv) -> list[members.Member]:
    made = members.make(wanted, env)
    members.prepare(made)
    return made


def require(what: Several, plan: Plan, values: Sequence[str]) -> None:
    """Raises `InputError`, about the option of the axis, unless its values make runs."""
    try:
        what.runs(plan, values, Path())
    except ConfigError as error:
        own, text = flag(what.axis), error.sentence(flag)
        raise InputError(text if text.startswith(own) else f"{own}: {text}") from None


def train(out: Path, made: list[members.Member], console: Console) -> None:
    """Trains what is not finished; a signal ends it with a sentence."""
    with interruptible(out, console):
        train_members(out, made, console)


def train_members(out: Path, made: list[members.Member], console: Console) -> None:
    """Trains what is not finished, within `interruptible`."""
    finished = {one.folder for one in made if one.finished}
    with Meter(lanes.updates(made), console) as meter:
        for one in made:
            if one.folder in finished:
                meter.message(f"{one.label}: finished before")
        lanes.train_all(made, out, finished, meter.logger)


def report(built: dict[str, Any], out: Path, console: Console) -> int:
    """Writes ``table.md`` and ``table.json``, and prints the table that `table.build` gave.

    Returns:
      The exit code: `EXIT_FAILED` if a seed is not finite, which is said too.
    """
    write_whole(out / "table.md", table_text.markdown(built))
    write_json(out / "table.json", built)
    console.print(table_text.terminal(built))
    console.print(f"everything is in {out}", soft_wrap=True)
    failed = {row["latent"]: row["not_finite_seeds"] for row in built["rows"]}
    if not any(failed.values()):
        return 0
    each = "; ".join(f"{label}: {', '.join(map(str, s))}" for label, s in failed.items() if s)
    complain(f"not all seeds stayed finite ({each}); results.json of each row says when.")
    return EXIT_FAILED
