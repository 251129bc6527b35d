"""What ``structlat sweep`` does: every combination of seeds, latents and hyper-parameters."""

import dataclasses
import functools
import itertools
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
from rich.console import Console
from rich.table import Table

from structlat_jax.cli import changes, request
from structlat_jax.cli.console import make_console
from structlat_jax.cli.errors import EXIT_FAILED, complain
from structlat_jax.cli.folders import interruptible, new_folder
from structlat_jax.cli.options import HOST_FIELDS
from structlat_jax.config import Config
from structlat_jax.envs import Env
from structlat_jax.errors import InputError
from structlat_jax.options import ConfigError
from structlat_jax.report import tidy
from structlat_jax.report.names import latent_slug, slug
from structlat_jax.report.results import write_metrics
from structlat_jax.report.run_files import read_run
from structlat_jax.run import hosts, lanes, machine, members
from structlat_jax.run.loggers.console import Meter
from structlat_jax.run.plan import Plan, saved_plan, settings
from structlat_jax.store.run_folder import write_config

SWEEP_CONFIG_FILE = "sweep_config.json"
SWEEP_FILE = "sweep.csv"


class Grid(NamedTuple):
    """What a sweep spans: latent specs, and the values of every other axis by its field."""

    latents: list[str]
    axes: dict[str, list[Any]]

    def runs(self, out: Path, plan: Plan) -> list[tuple[str, Path, Plan]]:
        """Label, folder and plan of each run, for `members.make`; raises `ConfigError`."""
        made = []
        for latent, point in itertools.product(self.latents, changes.points(self.axes)):
            config = plan.config.replace(latent=latent, **point)
            values = [f"{name}={value}" for name, value in point.items()]
            folder = slug("_".join([latent_slug(str(config.latent_space())), *values]))
            label = " ".join([latent, *values])
            made.append((label, out / folder, dataclasses.replace(plan, config=config)))
        return made


def sweep(out: Path | None, overwrite: bool, resume: bool, **options: Any) -> int:
    """Trains a sweep, or this process's portion of it; returns the exit code.

    Raises:
      InputError, ConfigError, EnvError, CheckpointError: on bad input, before anything changes.
      LostProcessError: if another process has ended.
      WriteError: if something cannot be written.
    """
    options["latents"] = changes.split(options["latents"])
    options["grid"] = changes.split(options["grid"])
    if resume:
        request.require_folder(out, overwrite)
    machine.configure(_lanes(request.planned(out, resume, SWEEP_CONFIG_FILE, options)))
    hosts.join(**{name: options[name] for name in HOST_FIELDS})
    machine.require_devices()
    said = hosts.agreed(functools.partial(_settle, out, overwrite, resume, options))
    out, config = Path(said["out"]), Config.from_dict(said["sweep"])
    plan = saved_plan(config, said["sweep"])
    env = request.saved_env(config, options)
    grid = _grid(plan, said["sweep"])
    made = members.make(grid.runs(out, plan), env)
    console = make_console(quiet=not hosts.is_first())
    with interruptible(out, console), hosts.leaving_together():
        _train(made, said["finished"], out, console)
        return _report(made, list(grid.axes), out, console) if hosts.is_first() else 0


def _lanes(options: dict[str, Any]) -> int:
    """How many devices may be of use: one per seed of each run, as far as the options tell."""
    axes = [len(one.split(",")) for one in options["grid"]]
    return options["seeds"] * max(1, len(options["latents"])) * math.prod(axes)


def _grid(plan: Plan, given: dict[str, Any]) -> Grid:
    """The grid of the options or of a file; raises `ConfigError` unless every run is allowed."""
    latents = changes.latent_specs(plan.config, given.get("latents"))
    try:
        grid = Grid(latents, changes.axes(given.get("grid")))
        grid.runs(Path(), plan)
    except ConfigError as error:
        raise ConfigError(None, f"`grid`: {error}") from None
    return grid


def _settle(
    out: Path | None, overwrite: bool, resume: bool, options: dict[str, Any]
) -> dict[str, Any]:
    """The folder, what its ``sweep_config.json`` says, and which runs are finished; for process 0.

    Raises:
      ConfigError, EnvError, InputError, CheckpointError, FileNotFoundError: on bad input, before
        anything changes.
      WriteError: if something cannot be written.
    """
    if resume:
        plan, env, data = _saved(out, options)
    else:
        plan, env = request.new_plan(options)
        latents = options["latents"] or [str(plan.config.latent_space())]
        own = {"latents": latents, "grid": options["grid"], "processes": jax.process_count()}
        _grid(plan, own)
        default = Path("runs") / f"sweep-{time.strftime('%Y%m%d-%H%M%S')}"
        out = new_folder(out, default, overwrite, SWEEP_CONFIG_FILE)
        write_config(out, plan.config, SWEEP_CONFIG_FILE, **own, **plan.records())
        data = {**own, **plan.identity()}
    made = members.make(_grid(plan, data).runs(out, plan), env)
    members.prepare(made)
    return {"out": str(out), "sweep": data, "finished": [one.finished for one in made]}


def _saved(out: Path, options: dict[str, Any]) -> tuple[Plan, Env, dict[str, Any]]:
    """What the folder to be resumed says; options that contradict it are refused."""

    def check(plan: Plan, data: dict[str, Any]) -> None:
        _grid(plan, data)
        if data.get("processes") != jax.process_count():
            raise InputError(
                f"--resume {out} needs as many processes as it was started with "
                f"({data.get('processes')}), not {jax.process_count()}."
            )

    return request.resumed(out, SWEEP_CONFIG_FILE, options, ("latents", "grid"), check)


def _train(made: list[members.Member], finished: list[bool], out: Path, console: Console) -> None:
    done = {one.folder for one, there in zip(made, finished, strict=True) if there}
    with Meter(lanes.updates(made), console) as meter:
        lanes.train_all(made, out, done, meter.logger)


def _report(made: list[members.Member], axes: list[str], out: Path, console: Console) -> int:
    """Writes ``sweep.csv`` and prints the last return of each run.

    Returns:
      The exit code: `cli.EXIT_FAILED` if a seed is not finite, which is said too.
    """
    table = Table("run", "test return, last episode", "std over seeds")
    table_rows, failed = [], []
    for member in made:
        run = read_run(member.folder)
        found = run.results["test_return"]
        table.add_row(
            member.label, *("" if found[x] is None else f"{found[x]:.2f}" for x in ("mean", "std"))
        )
        failed += [f"{member.label}: seed {one['seed']}" for one in run.results["failed_seeds"]]
        own = settings(member.plan)
        about = {"run": member.folder.name, "latent": run.latent}
        about |= {name: own[name] for name in axes}
        table_rows += tidy.rows(run, about)
    write_metrics(out / SWEEP_FILE, table_rows)
    console.print(table)
    console.print(f"everything is in {out}", soft_wrap=True)
    if not failed:
        return 0
    complain(
        f"not all seeds stayed finite ({'; '.join(failed)}); results.json of each run says when."
    )
    return EXIT_FAILED
