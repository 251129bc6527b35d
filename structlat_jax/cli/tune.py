"""What ``structlat tune`` does: a search for hyper-parameters, a batch of trials at a time."""

import itertools
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from structlat_jax.cli import changes, figures, request, tables
from structlat_jax.cli.console import make_console
from structlat_jax.cli.errors import EXIT_FAILED, complain
from structlat_jax.cli.folders import interruptible, new_folder
from structlat_jax.cli.options import given, typed
from structlat_jax.cli.searches import Search, read, require_allowed, require_enough
from structlat_jax.errors import InputError
from structlat_jax.options import ConfigError
from structlat_jax.report import trials
from structlat_jax.report.album import Album
from structlat_jax.report.figures_trials import search_history
from structlat_jax.report.results import write_metrics
from structlat_jax.report.trials import Tried
from structlat_jax.run import machine, members, proposals
from structlat_jax.run.plan import Plan
from structlat_jax.run.proposals import Range
from structlat_jax.store.run_folder import (
    TRIALS_FILE,
    CheckpointError,
    read_json,
    write_config,
    write_json,
)

MARKER = "tune_config.json"
TABLE_FILE = "tune.csv"
BEST_FILE = "best.json"

_LASTING = ("latents", "search", "batch", "sampler")
"""Options that the folder keeps and that a resumed search cannot change."""


def tune(out: Path | None, overwrite: bool, resume: bool, **options: Any) -> int:
    """Searches, and says what was best; returns the exit code.

    Raises:
      InputError, ConfigError, EnvError, CheckpointError: on bad input, before anything changes.
      WriteError: if something cannot be written.
    """
    proposals.require()
    options |= {name: changes.split(options[name]) for name in ("latents", "search")}
    before = request.planned(out, resume, MARKER, options)
    machine.configure(before["seeds"] * min(before["batch"], before["trials"]))
    machine.require_devices()
    if resume:
        out = request.require_folder(out, overwrite)
        search, batches = _saved(out, options)
    else:
        out, search = _new(out, overwrite, options)
        batches = []
    console = make_console()
    with interruptible(out, console):
        return _report(search, _run(search, batches, out, console), out, console)


def _new(out: Path | None, overwrite: bool, options: dict[str, Any]) -> tuple[Path, Search]:
    plan, env = request.new_plan(options)
    latents = options["latents"] or [str(plan.config.latent_space())]
    own = {**{name: options[name] for name in (*_LASTING, "trials")}, "latents": latents}
    search = read(plan, env, own)
    if both := given(options).keys() & search.axes.keys():
        name = min(both)
        raise ConfigError(None, f"`{name}` is searched (`search`), so it cannot be given too.")
    try:
        require_allowed(search.plan.config, env, search.axes)
    except ConfigError as error:
        raise ConfigError(None, f"`search`: {error}") from None
    require_enough(search)
    default = Path("runs") / f"tune-{time.strftime('%Y%m%d-%H%M%S')}"
    out = new_folder(out, default, overwrite, MARKER)
    write_config(out, plan.config, MARKER, **own, **plan.records())
    return out, search


def _saved(out: Path, options: dict[str, Any]) -> tuple[Search, list[list[dict[str, Any]]]]:
    """The search that is to be resumed, which may have got more trials, and its batches so far."""

    def check(plan: Plan, data: dict[str, Any]) -> None:
        search = read(plan, None, data)
        require_enough(search)
        batches = _batches(out, search)
        if (more := typed(options).get("trials")) is None:
            return
        if more < (there := sum(map(len, batches))):
            raise InputError(f"--trials must be at least {there}, which {out} has, not {more}.")
        require_enough(read(plan, None, {**data, "trials": more}))

    plan, env, data = request.resumed(out, MARKER, options, _LASTING, check)
    if (more := typed(options).get("trials", data["trials"])) != data["trials"]:
        data["trials"] = more
        own = {name: data[name] for name in (*_LASTING, "trials")}
        write_config(out, plan.config, MARKER, **own, **plan.records())
    search = read(plan, env, data)
    return search, _batches(out, search)


def _batches(out: Path, search: Search) -> list[list[dict[str, Any]]]:
    """The values of every trial that was begun, batch by batch; raises `CheckpointError`."""
    path = out / TRIALS_FILE
    if not path.is_file():
        return []
    batches = read_json(path)
    try:
        if not isinstance(batches, list) or not all(batches):
            raise TypeError
        for params in itertools.chain.from_iterable(batches):
            if params.keys() != search.axes.keys():
                raise ConfigError(None, f"a trial has other fields than {', '.join(search.axes)}.")
            search.plan_of(params)
    except (AttributeError, TypeError):
        raise CheckpointError(f"{path} must hold batches of trials.") from None
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return batches


def _run(
    search: Search, batches: list[list[dict[str, Any]]], out: Path, console: Console
) -> list[Tried]:
    """Trains batch after batch; a batch is on disk before it begins, and every one but the last
    is finished."""
    tried: list[Tried] = []
    for number in itertools.count():
        if number == len(batches):
            if len(tried) >= search.trials:
                return tried
            batches.append(_following(search, tried, out))
            write_json(out / TRIALS_FILE, batches)
        begun = [
            (f"trial {i}", out / f"trial-{i:04d}", search.plan_of(params))
            for i, params in enumerate(batches[number], len(tried))
        ]
        made = members.make(begun, search.env)
        if number == len(batches) - 1:
            members.prepare(made)
            console.print(f"trials {len(tried)} to {len(tried) + len(made) - 1} of {search.trials}")
            tables.train_members(out, made, console)
        for one, params in zip(made, batches[number], strict=True):
            tried.append(trials.read(len(tried), one.folder, params))
        _write(search, tried, out)


def _following(search: Search, tried: list[Tried], out: Path) -> list[dict[str, Any]]:
    try:
        return search.following(tried)
    except ValueError as error:
        raise CheckpointError(f"{out / TRIALS_FILE} is not of this search: {error}") from None


def _write(search: Search, tried: list[Tried], out: Path) -> None:
    """The table of all trials, and the configuration of the best."""
    write_metrics(out / TABLE_FILE, [one.row() for one in tried])
    if best := trials.best(tried):
        plan, said = search.plan_of(best.params), {"trial": best.number, "train_return": best.value}
        write_config(out, plan.config, BEST_FILE, **said, **plan.records())


def _report(search: Search, tried: list[Tried], out: Path, console: Console) -> int:
    best, album = trials.best(tried), Album()
    if best is None:
        complain("no seed of any trial stayed finite; results.json of each says when it failed.")
        return EXIT_FAILED
    logs = [name for name, axis in search.axes.items() if isinstance(axis, Range) and axis.log]
    album.add("tune", search_history, tried, logs)
    figures.show(album, out)
    console.print(trials.table(tried))
    console.print(f"the best again, on new seeds: --config {out / BEST_FILE}", soft_wrap=True)
    console.print(f"everything is in {out}", soft_wrap=True)
    return 0
