"""Options that commands share, made from the records that declare them."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from structlat_jax import config as configuration
from structlat_jax.cli import workers
from structlat_jax.cli.errors import flag
from structlat_jax.cli.values import LocalPath, Whole
from structlat_jax.config import OWNERS, PRESETS, Config
from structlat_jax.envs.spec import DEFAULT
from structlat_jax.options import allowed, conditions
from structlat_jax.run.hosts import JOIN_SECONDS
from structlat_jax.run.plan import PLAN_LIMITS

Decorator = Callable[[Callable], Callable]

_SECTIONS = {
    "LatentOptions": "Latent space",
    "TrainOptions": "Tasks and meta-steps",
    "NetworkOptions": "Networks",
    "DataOptions": "Batches, contexts, replay",
    "InferenceOptions": "Inference",
    "ProtocolOptions": "Evaluation",
    "AlgorithmOptions": "Algorithm",
    "OnPolicyOptions": "Learning on policy",
    "AlgorithmHyper": "Update (traced: no recompilation)",
    "DataHyper": "Experience (traced)",
    "InferenceHyper": "Evidence (traced)",
    "OnPolicyHyper": "Learning on policy (traced)",
}


class SectionedCommand(click.Command):
    """A command whose ``--help`` groups the options by what they are about."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Run": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(_section(param.name), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def program_help(doc: str) -> str:
    """A module's docstring as a command's help: the example in it, which begins with the program's
    name on a line of its own, is not wrapped."""
    return re.sub(r"\n\n(?=(python -m|structlat) )", "\n\n\b\n", doc)


def env_options(command: Callable) -> Callable:
    """Adds ``--env``, ``--env-option`` and ``--workers``."""
    options = (
        click.option(
            "--env",
            metavar="NAME",
            help="The environment: a built-in or registered one, package.module:factory, or "
            f"path/to/file.py:factory (which runs that code).  [{DEFAULT}]",
        ),
        click.option(
            "--env-option",
            "env_options",
            multiple=True,
            metavar="NAME=VALUE",
            help="An option of the environment; may be given several times.",
        ),
        workers.option,
    )
    return _all(options)(command)


def config_options(command: Callable, without: Sequence[str] = ()) -> Callable:
    """Adds ``--preset``, ``--config`` and one option per field of the configuration, ``without``
    some."""
    for name, field in reversed(configuration.fields().items()):
        if name not in without:
            command = _option(name, field)(command)
    for option in (
        click.option(
            "--config",
            "config_file",
            type=LocalPath(),
            metavar="FILE",
            help="Start from the config.json of a run, or a TOML file of the same fields; options "
            "on the command line come on top.",
        ),
        click.option(
            "--preset",
            metavar="NAME",
            help="Where the values of all options below come from unless given: "
            f"{', '.join(PRESETS)}, or one of the environment's own.  [its first, else "
            f"{next(iter(PRESETS))}]",
        ),
    ):
        command = option(command)
    return command


def run_options(seeds: int, default_folder: str | None) -> Decorator:
    """Adds the options of a `Plan` but for the configuration, by default with so many ``seeds``,
    and those of the run folder, whose help says which it is by default; none of these for a command
    that writes no run, whose default is None."""
    updates = "; ".join(f"{name}: {preset.updates:,}" for name, preset in PRESETS.items())
    options = (
        _number("seeds", "How many seeds to train, as one program.", default=seeds),
        _number("seed", "The first seed.", default=0),
        _number("updates", f"Updates per seed, rounded up to whole meta-steps.  [{updates}]"),
        _number("evals", "Evaluations; all but the last visit a task once.", default=10),
        click.option(
            "--checkpoint-seconds",
            type=click.FloatRange(0),
            default=60.0,
            show_default=True,
            help="Least time between two checkpoints.",
        ),
    )
    folder = (
        click.option("--out", type=LocalPath(), help=f"Folder of the results.  [{default_folder}]"),
        click.option("--overwrite", is_flag=True, help="Replace what --out holds."),
        click.option("--resume", is_flag=True, help="Continue what --out holds."),
    )
    return _all(options if default_folder is None else (*options, *folder))


def origin_option(command: Callable) -> Callable:
    """Adds ``--from``."""
    return click.option(
        "--from",
        "from_run",
        type=LocalPath(),
        metavar="RUN",
        help="Start from the parameters of a run's last checkpoint, seed by seed, or all from the "
        "only one of a run of one seed; all else is new. Latent, observations, actions and "
        "networks must be as wide as there, for instance by --config RUN/config.json.",
    )(command)


def logger_options(command: Callable) -> Callable:
    """Adds the options that choose loggers."""
    options = (
        click.option(
            "--log",
            "sinks",
            multiple=True,
            type=click.Choice(["tensorboard", "wandb"]),
            help="Send the metrics there too; may be given several times.",
        ),
        click.option(
            "--live",
            is_flag=False,
            flag_value=0,
            type=Whole(0, 65535),
            metavar="[PORT]",
            help="Show the curves meanwhile on a page for browsers of this machine, at "
            "http://127.0.0.1:PORT; without PORT, or with 0, at one that is free.",
        ),
    )
    return _all(options)(command)


def host_options(command: Callable) -> Callable:
    """Adds the options by which a program finds its other processes."""
    return _all(
        (
            click.option("--coordinator", metavar="HOST:PORT", help="Where process 0 listens."),
            click.option("--processes", type=Whole(1), metavar="N", help="How many there are."),
            click.option(
                "--process-id", type=Whole(0), metavar="N", help="Which of them this one is."
            ),
            click.option(
                "--cluster",
                is_flag=True,
                help="Learn all three from the cluster: Slurm, Open MPI, Kubernetes, a TPU pod.",
            ),
            click.option(
                "--join-seconds",
                type=float,
                metavar="X",
                default=JOIN_SECONDS,
                show_default=True,
                help="How long processes wait for each other at the start.",
            ),
        )
    )(command)


HOST_FIELDS = ("coordinator", "processes", "process_id", "cluster", "join_seconds")
"""What `host_options` adds, and `hosts.join` takes."""


def figure_options(command: Callable) -> Callable:
    """Adds what a command that draws takes."""
    options = (
        click.argument("runs", nargs=-1, required=True, type=LocalPath()),
        env_options,
        click.option(
            "--out",
            type=LocalPath(),
            default=Path("figures"),
            show_default=True,
            help="Folder of the figures; those that it holds are replaced.",
        ),
        click.option(
            "--seed",
            type=Whole(0),
            metavar="N",
            default=0,
            show_default=True,
            help="Whose tasks, paths and beliefs are drawn: which seed of each run, from 0.",
        ),
    )
    return _all(options)(command)


def latents_option(shown: str, default: Sequence[str] = ()) -> Decorator:
    """Adds ``--latents``, which `changes.split` reads; ``shown`` says what it is by default."""
    return click.option(
        "--latents",
        multiple=True,
        default=default,
        metavar="SPECS",
        help="Latent specs with semicolons between them (quote them); may be given several times."
        f"  [{shown}]",
    )


def arms_option(default: Sequence[str], note: str) -> Decorator:
    """Adds ``--arms``, which `changes.split` and `changes.arms` read; ``note`` ends its help."""
    shown = ";".join(default)
    text = "Arms with semicolons between them, each FIELD=VALUE or several joined by + (quote them)"
    return click.option(
        "--arms",
        multiple=True,
        default=[shown],
        metavar="CHANGES",
        help=f"{text}; {note}.  [{shown}]",
    )


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Those configuration options that the user gave."""
    names = configuration.fields()
    return {name: value for name, value in options.items() if name in names and value is not None}


def typed(options: dict[str, Any]) -> dict[str, Any]:
    """Those options that stand on the command line."""
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    return {n: v for n, v in options.items() if context.get_parameter_source(n) is source}


def _all(options: Sequence[Decorator]) -> Decorator:
    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _number(name: str, text: str, default: int | None = None) -> Decorator:
    about = {"default": default, "show_default": default is not None, "help": text}
    return click.option(f"--{name}", type=Whole(*PLAN_LIMITS[name][1:]), metavar="N", **about)


def _option(name: str, field: dataclasses.Field) -> Decorator:
    section = configuration.section_of(name)
    default = getattr(getattr(Config(), section), name)
    values = {"": default} | {p: x.changes[name] for p, x in PRESETS.items() if name in x.changes}
    shown = "; ".join(f"{p}: {v}" if p else str(v) for p, v in values.items())
    limits = "" if field.metadata["choices"] else allowed(field)
    text = field.metadata["help"][0].upper() + field.metadata["help"][1:]
    text += f" ({conditions(field)})" if field.metadata["where"] else ""
    text += f"; {limits}. [{shown}]" if limits else f". [{shown}]"
    if field.type is bool:
        return click.option(f"{flag(name)}/--no-{flag(name)[2:]}", name, default=None, help=text)
    if field.metadata["choices"]:
        kind = click.Choice(list(field.metadata["choices"]))
        return click.option(flag(name), name, type=kind, default=None, help=text)
    metavar = {int: "N", float: "X", str: "TEXT"}[field.type]
    kind = Whole() if field.type is int else field.type
    return click.option(flag(name), name, type=kind, default=None, metavar=metavar, help=text)


def _section(name: str) -> str:
    for owner in OWNERS:
        if any(field.name == name for field in dataclasses.fields(owner)):
            return _SECTIONS[owner.__name__]
    return "Latent space" if name == "latent" else "Run"
