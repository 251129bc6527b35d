"""How a command ends.

Bad input ends with one sentence on standard error and exit code 2, before anything is written.
Exit code 1 says, with a sentence, that something failed on the way: a disk is full, or a seed's
numbers stopped being finite. 130 is an interruption; it can be resumed.
"""

import io
import os
import sys

import click
import jax

from structlat_jax.envs import EnvError
from structlat_jax.errors import InputError, LostProcessError
from structlat_jax.options import ConfigError
from structlat_jax.store.run_folder import CheckpointError, WriteError, reason

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def main(command: click.Command) -> None:
    """Runs a command; every expected failure is one sentence on standard error."""
    _show_anything()
    try:
        code = command.main(standalone_mode=False)
    except click.ClickException as error:
        unclear = isinstance(error, click.NoSuchOption) or "extra argument" in error.message
        hint = "; --help lists what is allowed." if unclear else ""
        message = error.format_message()
        _fail((message.rstrip(".") if hint else message) + hint, error.exit_code)
    except (LostProcessError, WriteError) as error:
        _fail(str(error), EXIT_FAILED)
    except ConfigError as error:
        _fail(error.sentence(flag))
    except FileNotFoundError as error:  # the system's own says it in its own way
        _fail(str(error) if error.filename is None else f"{error.filename} does not exist.")
    except (CheckpointError, EnvError, InputError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {reason(error)}.", EXIT_FAILED)
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        _fail("there is not enough memory for these sizes; smaller ones may do.", EXIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    if code == EXIT_INTERRUPTED:
        leave_at_once(code)
    sys.exit(code if isinstance(code, int) else 0)


def _show_anything() -> None:
    """A console that lacks a sign shows a question mark; after hours of work it must not fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def flag(field: str) -> str:
    """A field of the configuration as its option."""
    return "--" + field.replace("_", "-")


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
