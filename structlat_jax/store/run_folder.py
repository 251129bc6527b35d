"""A run folder as a place: its ``config.json``, files written in one piece, and who may write.

Nothing is pickled anywhere in a run folder: opening a stranger's executes no code.
"""

import contextlib
import errno
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from structlat_jax.config import SCHEMA_VERSION, Config, ConfigError

CONFIG_FILE = "config.json"
LOCK_FILE = ".lock"
TRIALS_FILE = "trials.json"
PARTIAL = ".part"
"""Ends the name of what is being written and was not finished, if it is still there later."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


MOST_JSON = 2**26
"""Bytes of a JSON file that is read: parsing takes some thirty times as many."""

_OWN = (
    LOCK_FILE,
    TRIALS_FILE,
    "results.json",
    "metrics.csv",
    "adaptation.npz",
    "checkpoint",
    "best",
    "origin",
    "portions",
)
"""What a program reads and writes in a run folder, beside its configuration."""


class CheckpointError(ValueError):
    """A run folder that cannot be read or used; the message says which and why."""


class WriteError(CheckpointError):
    """A run folder that cannot be written; what was there before is as it was."""


def write_in_one_piece(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Writes a file so that whoever looks sees the old file or the new one, whole.

    Args:
      path: The file.
      write: Called with the open file.

    Raises:
      WriteError: if it cannot be written; an earlier file of that name is as it was.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        partial.unlink(missing_ok=True)  # a link that somebody has left there would be followed
        with partial.open("xb") as file:
            write(file)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise WriteError(f"{path} cannot be written: {reason(error)}.") from None


def write_whole(path: Path, text: str) -> None:
    """`write_in_one_piece` of a text."""
    write_in_one_piece(path, lambda file: file.write(text.encode()))


def write_json(path: Path, data: Any) -> None:
    """`write_in_one_piece` of a JSON object, whose numbers must be finite."""
    write_whole(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def reason(error: Exception) -> str:
    """Why something failed, in a few words without line breaks or a full stop."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    words = " ".join(str(error).split()) or type(error).__name__
    for known in ("No space left on device", "Read-only file system", "File too large"):
        if known in words:
            return known
    return words[:200].rstrip(".")


def write_config(run: Path, config: Config, name: str = CONFIG_FILE, **extra: Any) -> None:
    """Writes ``config.json``: the configuration and whatever else identifies the run."""
    data = {"schema_version": SCHEMA_VERSION, **extra, **config.to_dict()}
    write_json(run / name, data)


def read_config(run: Path, name: str = CONFIG_FILE) -> tuple[Config, dict[str, Any]]:
    """The configuration of a run folder, and the file as a dictionary.

    Raises:
      FileNotFoundError: if the folder holds no run.
      CheckpointError: if the file cannot be understood.
    """
    path = run / name
    try:
        _refuse_links(run, name)
        if not path.is_file():
            raise FileNotFoundError(f"{run} is not a run folder: it has no {name}.")
        data = read_json(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {reason(error)}.") from None
    if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
        raise CheckpointError(f"{path} does not have schema_version {SCHEMA_VERSION}.")
    try:
        return Config.from_dict(data), data
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _refuse_links(run: Path, name: str) -> None:
    """A link in a stranger's folder may lead anywhere; the folder itself may be one."""
    for one in (run / own for own in (name, *_OWN)):
        if one.is_symlink():
            raise CheckpointError(f"{one} is a symbolic link, which is not followed in a run.")


def read_json(path: Path, most: int = MOST_JSON) -> Any:
    """What a JSON file holds; raises `CheckpointError` if it is none, or has more bytes than
    ``most``."""
    require_small(path, most)
    try:
        return json.loads(path.read_bytes())
    # RecursionError: brackets in brackets; ValueError: no UTF-8, no JSON, or a number too long.
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {reason(error)}.") from None


def require_small(path: Path, most: int) -> None:
    """Raises `CheckpointError` if a file has more bytes than it may have."""
    if (size := path.stat().st_size) > most:
        raise CheckpointError(f"{path} has {size:,} bytes, and {most:,} are allowed.")


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Within it, no other process may write to the folder; the same process may lock it again.

    The lock is the operating system's: it ends with the process, however that ends.

    Raises:
      CheckpointError: if another process has it.
      WriteError: if the folder cannot be written.
    """
    import filelock  # which reading, and so whoever only loads an agent, does without

    lock = filelock.FileLock((run / LOCK_FILE).absolute(), timeout=0, is_singleton=True)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise CheckpointError(
            f"{run} is in use by another process; wait for it to end, or choose another --out."
        ) from None
    except NotImplementedError:  # so filelock calls ENOSYS
        _say_unlocked(run)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise WriteError(f"{run} cannot be written: {reason(error)}.") from None
        _say_unlocked(run)
    try:
        yield
    finally:
        lock.release()


def _say_unlocked(run: Path) -> None:
    text = "make sure that no other process writes to it."
    print(f"{run} is on a file system without locks: {text}", file=sys.stderr)


def tidy(folder: Path) -> None:
    """Removes what a killed process left half-written; call it within `locked`."""
    for path in folder.glob(f"*{PARTIAL}"):
        remove(path)


def remove(path: Path) -> None:
    """Removes a file or a folder. A folder first takes a name by which `tidy` finds the rest of it
    if the process ends halfway."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    if path.suffix != PARTIAL:
        path = path.rename(path.with_name(path.name + PARTIAL))
    shutil.rmtree(path)
