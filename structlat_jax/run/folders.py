"""Folders and files that a program is to write, looked at before it starts."""

import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from structlat_jax.errors import InputError
from structlat_jax.store import run_folder
from structlat_jax.store.run_folder import CONFIG_FILE


def require_empty(out: Path, overwrite: bool, marker: str = CONFIG_FILE) -> None:
    """Checks that a folder may be filled: it is new, empty, or of an earlier run to be replaced.

    Raises:
      InputError: if not, or if it cannot be written; nothing was changed.
    """
    require_writable(out)
    if not _contents(out):
        return
    if not overwrite:
        raise InputError(
            f"--out must be a new or an empty folder, but {out} is not empty; "
            "--overwrite replaces an earlier run, --resume continues it."
        )
    if not (out / marker).is_file():
        raise InputError(
            f"--overwrite replaces folders of earlier runs only, and {out} has no {marker}."
        )


def empty(out: Path, marker: str = CONFIG_FILE) -> None:
    """Removes what a folder holds but for its lock; raises `InputError` if that cannot be."""
    try:
        # The marker goes last: if this is interrupted, --overwrite still knows the folder.
        for path in sorted(_contents(out), key=lambda path: path.name == marker):
            run_folder.remove(path)
    except OSError as error:
        raise InputError(f"--out {out} cannot be emptied: {error.strerror}.") from None


def make_folder(out: Path) -> None:
    """Makes a folder if it is not there; raises `InputError` if it cannot be made."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out} cannot be made: {error.strerror}.") from None


def unused(folder: Path) -> Path:
    """A folder that was not there before, made by this call: the path, or one with a number behind
    it, so that jobs started in the same second do not meet; raises `InputError`."""
    number = 1
    while True:
        path = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        require_writable(path)
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            number += 1
        except OSError as error:
            raise InputError(f"--out {path} cannot be made: {error.strerror}.") from None


def require_writable(out: Path) -> None:
    """Checks that files can be written to a folder, which need not exist.

    Raises:
      InputError: if they cannot; nothing was changed.
    """
    if _looked_at(out, lambda path: path.exists() and not path.is_dir()):
        raise InputError(f"--out must be a folder, but {out} is a file.")
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
        raise InputError(
            f"--out must lie in a folder that can be written, but {out} does not."
        ) from None


def require_writable_file(out: Path) -> None:
    """The same for a file, which may be replaced; its folder need not exist."""
    if _looked_at(out, Path.is_dir):
        raise InputError(f"--out must be a file, but {out} is a folder.")
    require_writable(out.parent)


def _contents(out: Path) -> list[Path]:
    inside = out.iterdir() if out.is_dir() else ()
    return [path for path in inside if path.name != run_folder.LOCK_FILE]


def _looked_at(out: Path, look: Callable[[Path], bool]) -> bool:
    try:
        return look(out)
    except OSError as error:  # for instance a name that is too long
        raise InputError(f"--out cannot be {str(out)!r}: {error.strerror}.") from None
