"""What programs that train have in common: their options, resuming, interruptions, one run."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from experiments import cli
from experiments.plan import PLAN_LIMITS, Plan
from experiments.record import write_run
from experiments.runner import run
from structlat_jax.config import DEFAULT_UPDATES, Config
from structlat_jax.report import progress
from structlat_jax.run_folder import locked

_PLAN_FIELDS = ("preset", "seeds", "seed", "updates", "evals", "checkpoint_seconds")


def run_options(seeds: int, default_folder: str) -> Callable[[Callable], Callable]:
    """Adds the options of a `Plan` but for the configuration, and those of the run folder.

    Args:
      seeds: The default number of seeds.
      default_folder: What the help says about ``--out``.
    """
    updates = "; ".join(f"{name}: {count:,}" for name, count in DEFAULT_UPDATES.items())
    options = (
        _number("seeds", "How many seeds to train, as one program.", default=seeds),
        _number("seed", "The first seed.", default=0),
        _number("updates", f"Updates per seed, rounded up to whole meta-steps.  [{updates}]"),
        _number("evals", "Evaluations along the learning curve.", default=10),
        click.option(
            "--checkpoint-seconds",
            type=click.FloatRange(0),
            default=60.0,
            show_default=True,
            help="Least time between two checkpoints.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            help=f"Folder of the results.  [{default_folder}]",
        ),
        click.option("--overwrite", is_flag=True, help="Replace what --out holds."),
        click.option("--resume", is_flag=True, help="Continue what --out holds."),
    )

    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def make_plan(options: dict[str, Any]) -> Plan:
    """The plan that the options describe.

    Raises:
      click.UsageError: if the configuration is not allowed.
    """
    given = {name: options[name] for name in _PLAN_FIELDS}
    given["updates"] = given["updates"] or DEFAULT_UPDATES[options["preset"]]
    return Plan(config=cli.build_config(options["preset"], options), **given)


def require_folder(out: Path | None, overwrite: bool) -> Path:
    """The folder to resume.

    Raises:
      click.UsageError: if there is none, or if it is to be replaced at the same time.
    """
    if out is None or overwrite:
        raise click.UsageError("--resume needs --out with the run folder, and no --overwrite.")
    return out


def saved_plan(config: Config, data: dict[str, Any]) -> Plan:
    """The plan in what `checkpoint.read_config` read.

    Raises:
      ConfigError: if a field is missing or not allowed.
    """
    return Plan(config=config, **{name: data.get(name) for name in _PLAN_FIELDS})


def settings(config: Config, data: dict[str, Any]) -> dict[str, Any]:
    """Every setting by its name; ``data`` has those of a `Plan` but for the configuration."""
    sections = config.to_dict()
    own = {name: data.get(name) for name in _PLAN_FIELDS}
    return {**own, **sections["structure"], **sections["hyper"]}


def differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Which settings of ``here`` differ from those ``there``, in words; empty if none does."""
    return "; ".join(
        f"--{name.replace('_', '-')} is {there[name]!r} there and {value!r} here"
        for name, value in here.items()
        if value != there[name]
    )


def refuse_differences(out: Path, saved: dict[str, Any], options: dict[str, Any]) -> None:
    """Compares the options that the user typed with those of the folder to be resumed.

    Raises:
      click.UsageError: if they contradict each other, with the difference.
    """
    context = click.get_current_context()
    typed = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    different = differences(saved, typed)
    if different:
        raise click.UsageError(f"--resume {out} has another configuration: {different}.")


def train(plan: Plan, out: Path, resume: bool, meter: progress.Silent) -> dict[str, Any]:
    """One run from its plan to its files.

    Args:
      plan: What to do.
      out: The run folder, which holds its ``config.json``.
      resume: Continue from the last checkpoint, if there is one.
      meter: Live output.

    Returns:
      The fields of ``results.json``.

    Raises:
      KeyboardInterrupt: if a signal ended it; a checkpoint was written then.
      CheckpointError: if another process has the folder, or its checkpoints cannot be used.
      WriteError: if something cannot be written; what was there before is intact.
    """
    with locked(out):
        outcome = run(plan, out, resume, meter)
        if outcome.interrupted:
            raise KeyboardInterrupt
        write_run(out, plan.config, outcome)
    return outcome.results


@contextlib.contextmanager
def interruptible(out: Path, console: Console) -> Iterator[None]:
    """Within it, SIGINT and SIGTERM end the program with a sentence that says how to go on."""
    both = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in both}
    try:
        yield
    except KeyboardInterrupt:
        console.print(f"interrupted; continue with --resume --out {out}", highlight=False)
        raise click.exceptions.Exit(cli.EXIT_INTERRUPTED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def slug(config: Config) -> str:
    """The latent spec as part of a file name: ``dir:2x4,gau:2`` is ``dir2x4-gau2``."""
    return str(config.latent_space()).replace(":", "").replace(",", "-")


def _number(name: str, text: str, default: int | None = None) -> Callable:
    allowed = click.IntRange(*PLAN_LIMITS[name][1:])
    shown = default is not None
    return click.option(f"--{name}", type=allowed, default=default, show_default=shown, help=text)
