"""The folder that a command writes to, and how a signal ends it."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from structlat_jax.cli.errors import EXIT_INTERRUPTED
from structlat_jax.envs.spec import EnvSpec
from structlat_jax.run import folders
from structlat_jax.run.stop import heeded
from structlat_jax.store import run_folder
from structlat_jax.store.run_folder import CONFIG_FILE


def new_folder(out: Path | None, default: Path, overwrite: bool, marker: str = CONFIG_FILE) -> Path:
    """Makes the folder of a new run, empty but for its lock, and claims it.

    Args:
      out: What the user asked for; an existing one is refused unless it is empty or, with
        ``overwrite``, holds the file ``marker``.
      default: What to call it otherwise; a number is added if that is there.
      overwrite: Whether an earlier run may be replaced.
      marker: By which a folder is known to be an earlier run's.

    Raises:
      InputError: if it cannot be written; nothing was changed then.
      CheckpointError: if another process has it.
    """
    if out is None:
        out = folders.unused(default)
        claim(out)
        return out
    folders.require_empty(out, overwrite, marker)
    folders.make_folder(out)
    claim(out)
    folders.empty(out, marker)
    return out


def claim(out: Path) -> None:
    """Keeps every other process from writing to a folder until the command ends.

    Raises:
      InputError: if it cannot be written.
      CheckpointError: if another process has it.
    """
    folders.require_writable(out)
    click.get_current_context().with_resource(run_folder.locked(out))


@contextlib.contextmanager
def interruptible(out: Path, console: Console, again: str = "") -> Iterator[None]:
    """Within it, each of `heeded` ends the program with a sentence that says how to go on; options
    that have to be given ``again`` end it."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in heeded()}
    try:
        yield
    except KeyboardInterrupt:
        named = EnvSpec(click.get_current_context().params.get("env") or "")
        text = f"interrupted; continue with --resume --out {out}{named.flag_again}{again}"
        with contextlib.suppress(OSError, SystemExit):  # nobody may be there any more
            console.print(text, soft_wrap=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
