"""What ``structlat train`` does: one run from its options to its files."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from structlat_jax.cli import request
from structlat_jax.cli.console import make_console
from structlat_jax.cli.errors import EXIT_FAILED, complain
from structlat_jax.cli.folders import claim, interruptible, new_folder
from structlat_jax.errors import InputError
from structlat_jax.report import results_table
from structlat_jax.report.names import latent_slug, slug
from structlat_jax.report.parts import title
from structlat_jax.run import failures, finish, longer, machine, origins
from structlat_jax.run.loggers import Logger, combine, to_tensorboard, to_wandb
from structlat_jax.run.loggers.console import Meter
from structlat_jax.run.loggers.to_page import Page
from structlat_jax.run.loop import Job, run
from structlat_jax.run.members import RESULTS_FILE
from structlat_jax.run.plan import Plan
from structlat_jax.store.run_folder import locked
from structlat_jax.train.setup import make_setup


def train(
    out: Path | None,
    overwrite: bool,
    resume: bool,
    sinks: Sequence[str] = (),
    live: int | None = None,
    **options: Any,
) -> int:
    """One run from its options to its files; returns the exit code.

    Raises:
      InputError, ConfigError, EnvError, CheckpointError: on bad input, before anything changes.
      WriteError: if something cannot be written.
    """
    if resume:
        out = request.require_folder(out, overwrite)
        before, data = request.read_plan(out)
        _require_same(out, before, data, options)
        machine.configure(before.seeds)
        plan = longer.to(before, options["updates"])
        if (out / RESULTS_FILE).is_file() and plan is before:
            more = f"--updates with more than {plan.whole_updates} trains it on"
            click.echo(f"{out} is finished; there is nothing to resume ({more})")
            return 0
        machine.require_devices()
        _require(sinks)
        page = _page(live)
        env = request.saved_env(plan.config, options)
        claim(out)
        origin = origins.kept(out, make_setup(plan.config, env), plan.seeds)
        if told := longer.begin(out, before, plan):
            click.echo(told)
    else:
        _require(sinks)
        page = _page(live)
        machine.configure(_seeds(options))
        machine.require_devices()
        plan, env = request.new_plan(options)
        for sentence in request.unread(plan.config, options):
            click.echo(f"note: {sentence}", err=True)
        # Whatever is wrong with them is said before anything is made.
        origin = origins.read(options["from_run"], make_setup(plan.config, env), plan.seeds)
        made = f"{slug(env.name) or 'env'}-{latent_slug(title(plan.config))}"
        name = f"{made}-{time.strftime('%Y%m%d-%H%M%S')}"
        out = new_folder(out, Path("runs") / name, overwrite)
        origins.write_start(out, plan, origin)
    job = Job(plan, make_setup(plan.config, env), out, origin=origin)
    return _go(job, resume, sinks, page)


def _require_same(out: Path, plan: Plan, data: dict[str, Any], options: dict[str, Any]) -> None:
    """Checks the options against the run to be resumed, whose updates may be other ones."""
    known = {**options, "updates": plan.updates}
    if options["from_run"] is not None:
        known["from_run"] = str(options["from_run"])
    request.require_same(out, plan, known, from_run=origins.named(data))


def _go(job: Job, resume: bool, sinks: Sequence[str], page: Page | None) -> int:
    console, plan, setup, out = make_console(), job.plan, job.setup, job.out
    others = loggers(sinks, out, plan)
    if page is not None:
        others.append(page.logger(_numbers(plan), out, setup.env, click.echo))
    with interruptible(out, console), Meter([plan.whole_updates], console) as meter:
        logger = combine([meter.logger(), *others])
        try:
            with locked(out):
                outcome = run(job, resume, logger)
                if outcome.interrupted:
                    raise KeyboardInterrupt
                finish.write(out, setup, outcome, logger.message)
        finally:
            logger.close()
    console.print(results_table.results_table(outcome.results))
    console.print(f"everything is in {out}", soft_wrap=True)
    if outcome.results["failed_seeds"]:
        complain(failures.sentence(outcome.results["failed_seeds"]))
        return EXIT_FAILED
    return 0


def _require(sinks: Sequence[str]) -> None:
    """Raises `InputError` if a logger's library is missing."""
    for sink in sinks:
        {"tensorboard": to_tensorboard, "wandb": to_wandb}[sink].require()


def _page(port: int | None) -> Page | None:
    """The page of ``--live``, which has its port from here on, before anything is made."""
    if port is None:
        return None
    try:
        page = Page(port)
    except InputError as error:
        raise InputError(f"--live: {error}") from None
    return click.get_current_context().with_resource(contextlib.closing(page))


def _numbers(plan: Plan) -> range:
    return range(plan.seed, plan.seed + plan.seeds)


def loggers(sinks: Sequence[str], out: Path, plan: Plan) -> list[Logger]:
    """The loggers that ``--log`` names."""
    seeds, made = _numbers(plan), []
    for sink in dict.fromkeys(sinks):
        if sink == "tensorboard":
            made.append(to_tensorboard.make(out / "tensorboard", seeds))
        else:
            made.append(to_wandb.make(out / "wandb", seeds, plan.config.to_dict()))
    return made


def _seeds(options: dict[str, Any]) -> int:
    """How many devices may be of use; before an environment's code can touch any."""
    file = options["config_file"]
    from_file = request.read_config_file(file).get("seeds") if file is not None else None
    known = isinstance(from_file, int) and not isinstance(from_file, bool) and from_file > 0
    return max(options["seeds"], from_file if known else 1)
