"""The command line of every program: options made from the configuration, errors in one sentence.

Bad input ends with one sentence on standard error and exit code 2, before anything is written.
Exit code 1 says, with a sentence, that something failed on the way: a disk is full, or a seed's
numbers stopped being finite. 130 is an interruption; it can be resumed.
"""

import dataclasses
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import jax

from structlat_jax import config as configuration
from structlat_jax import run_folder
from structlat_jax.checkpoint import CONFIG_FILE, CheckpointError
from structlat_jax.config import PRESETS, Config, ConfigError
from structlat_jax.latents import LatentOptions

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

_LATENT_FIELDS = {"latent", *(field.name for field in dataclasses.fields(LatentOptions))}


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


def config_options(command: Callable, without: tuple[str, ...] = ()) -> Callable:
    """Adds ``--preset`` and one option per field of the configuration, ``without`` some."""
    for name, field in reversed(configuration.fields().items()):
        if name not in without:
            command = _option(name, field)(command)
    names = list(PRESETS)
    return click.option(
        "--preset",
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        help="Where the values of all options below come from unless given.",
    )(command)


def arms_option(default: Sequence[str], note: str) -> Callable[[Callable], Callable]:
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


def build_config(preset: str, options: dict[str, Any]) -> Config:
    """The preset with the user's changes.

    Raises:
      click.UsageError: naming the flag, what was given and what is allowed.
    """
    try:
        return PRESETS[preset].replace(**given(options))
    except ConfigError as error:
        raise click.UsageError(_as_flag(str(error))) from None


def prepare_folder(out: Path, overwrite: bool, marker: str = CONFIG_FILE) -> None:
    """Makes a run folder, empty but for its lock, and claims it.

    Only a folder that holds the file ``marker`` is overwritten.

    Raises:
      click.UsageError: if it cannot be written or is in use; nothing was changed then.
      CheckpointError: if another process has it.
    """
    require_writable(out)
    if _contents(out):
        if not overwrite:
            raise click.UsageError(
                f"--out must be a new or an empty folder, but {out} is not empty; "
                "--overwrite replaces an earlier run, --resume continues it."
            )
        if not (out / marker).is_file():
            raise click.UsageError(
                f"--overwrite replaces folders of earlier runs only, and {out} has no {marker}."
            )
    make_folder(out)
    claim(out)
    try:
        # The marker goes last: if this is interrupted, --overwrite still knows the folder.
        for path in sorted(_contents(out), key=lambda path: path.name == marker):
            run_folder.remove(path)
    except OSError as error:
        raise click.UsageError(f"--out {out} cannot be emptied: {error.strerror}.") from None


def make_folder(out: Path) -> None:
    """Makes a folder if it is not there; raises `click.UsageError` if it cannot be made."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"--out {out} cannot be made: {error.strerror}.") from None


def claim(out: Path) -> None:
    """Keeps every other process from writing to a folder until the command ends.

    Raises:
      click.UsageError: if it cannot be written.
      CheckpointError: if another process has it.
    """
    require_writable(out)
    click.get_current_context().with_resource(run_folder.locked(out))


def _contents(out: Path) -> list[Path]:
    inside = out.iterdir() if out.is_dir() else ()
    return [path for path in inside if path.name != run_folder.LOCK_FILE]


def require_writable(out: Path) -> None:
    """Checks that files can be written to a folder, which need not exist.

    Raises:
      click.UsageError: if they cannot; nothing was changed.
    """
    if _looked_at(out, lambda path: path.exists() and not path.is_dir()):
        raise click.UsageError(f"--out must be a folder, but {out} is a file.")
    folder = next(folder for folder in (out, *out.parents) if folder.exists())
    try:
        # Root may write where no permission bit allows it; a folder so marked is meant to be kept.
        if not folder.is_dir() or not folder.stat().st_mode & (
            stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
        ):
            raise OSError
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        raise click.UsageError(
            f"--out must lie in a folder that can be written, but {out} does not."
        ) from None


def require_writable_file(out: Path) -> None:
    """The same for a file, which may be replaced; its folder need not exist."""
    if _looked_at(out, Path.is_dir):
        raise click.UsageError(f"--out must be a file, but {out} is a folder.")
    require_writable(out.parent)


def _looked_at(out: Path, look: Callable[[Path], bool]) -> bool:
    try:
        return look(out)
    except OSError as error:  # for instance a name that is too long
        raise click.UsageError(f"--out cannot be {str(out)!r}: {error.strerror}.") from None


def main(command: click.Command) -> None:
    """Runs a command; every expected failure is one sentence on standard error."""
    try:
        code = command.main(standalone_mode=False)
    except click.ClickException as error:
        unclear = isinstance(error, click.NoSuchOption) or "extra argument" in error.message
        hint = "; --help lists what is allowed." if unclear else ""
        _fail(error.format_message() + hint, error.exit_code)
    except run_folder.WriteError as error:
        _fail(str(error), EXIT_FAILED)
    except (CheckpointError, ConfigError, FileNotFoundError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {run_folder.reason(error)}.", EXIT_FAILED)
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        _fail("there is not enough memory for these sizes; smaller ones may do.", EXIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    if code == EXIT_INTERRUPTED:
        leave_at_once(code)
    sys.exit(code if isinstance(code, int) else 0)


def leave_at_once(code: int) -> None:
    """Ends the process without waiting for threads that compile, which may take half a minute; the
    command has written and closed whatever it wanted to keep."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def complain(message: str) -> None:
    """One sentence on standard error."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)


def _fail(message: str, code: int = EXIT_BAD_INPUT) -> None:
    complain(message)
    sys.exit(code)


def _option(name: str, field: dataclasses.Field) -> Callable:
    flag = "--" + name.replace("_", "-")
    section = configuration.section_of(name)
    values = [getattr(getattr(preset, section), name) for preset in PRESETS.values()]
    shown = str(values[0])
    if len(set(values)) > 1:
        shown = "; ".join(f"{p}: {v}" for p, v in zip(PRESETS, values, strict=True))
    limits = configuration.allowed(field)
    text = field.metadata["help"][0].upper() + field.metadata["help"][1:]
    text += f"; {limits}. [{shown}]" if limits else f". [{shown}]"
    if field.type is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text)
    metavar = {int: "N", float: "X", str: "TEXT"}[field.type]
    return click.option(flag, name, type=field.type, default=None, metavar=metavar, help=text)


def _section(name: str) -> str:
    if name not in configuration.fields():
        return "Run"
    if name in _LATENT_FIELDS:
        return "Latent space"
    if configuration.section_of(name) == "hyper":
        return "Hyper-parameters (traced: no recompilation)"
    return "Sizes and protocol (each value is its own program)"


def _as_flag(message: str) -> str:
    """A configuration error with its field names, the first word among them, written as flags."""
    names = configuration.fields()

    def flag(word, first):
        is_field = word.rstrip(":") in names and (first or "_" in word)
        return "--" + word.replace("_", "-") if is_field else word

    return " ".join(flag(word, i == 0) for i, word in enumerate(message.split(" ")))
