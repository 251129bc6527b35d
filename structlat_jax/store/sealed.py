"""Folders that are whole or not there, and that know when a bit of them has changed.

A sealed folder holds ``seal.json``: what it is, and size and SHA-256 of each of its files. It is
written under another name and renamed when the seal is on it. Reading checks the seal before
anything else looks at the files, so that no reader ever meets damaged ones.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from structlat_jax.store.run_folder import PARTIAL, WriteError, read_json, reason, remove

SEAL_FILE = "seal.json"
SEAL_SCHEMA = 1


class DamagedError(Exception):
    """A folder that is not as it was sealed; the message says why, as part of a sentence."""


def write(folder: Path, about: dict[str, Any], fill: Callable[[Path], None]) -> None:
    """Makes a sealed folder, all of it or nothing.

    Args:
      folder: Its path; what is there is replaced.
      about: Ready for JSON; `read` gives it back.
      fill: Called with an empty folder, to write the files.

    Raises:
      WriteError: if it cannot be written; nothing else has changed then.
    """
    partial = folder.with_name(folder.name + ".new" + PARTIAL)
    try:
        if partial.exists():
            remove(partial)
        partial.mkdir(parents=True)
        fill(partial)
        body = {"about": about, "files": _digests(partial)}
        seal = {"schema_version": SEAL_SCHEMA, "body": body, "sha256": _digest(_canonical(body))}
        (partial / SEAL_FILE).write_text(json.dumps(seal, indent=1) + "\n")
        if folder.exists():
            remove(folder)
        partial.rename(folder)
        _read_seal(folder)  # whoever looks for it by its name finds it
    except Exception as error:  # writers of other libraries raise what they like on a full disk
        with contextlib.suppress(OSError):
            remove(partial)
        raise WriteError(f"{folder} cannot be written: {reason(error)}.") from None


def read(folder: Path, *parts: str) -> dict[str, Any]:
    """What a sealed folder says about itself, once its files are checked.

    Args:
      folder: Its path.
      parts: Check only these files and those below these subfolders; by default all.

    Raises:
      DamagedError: if a file is missing or is not as it was, or if there is no seal.
    """
    try:
        body = _read_seal(folder)
        expected = {name: v for name, v in body["files"].items() if _inside(name, parts)}
        found = {name: v for name, v in _digests(folder, parts).items() if name in expected}
    except (OSError, AttributeError, TypeError) as error:
        raise DamagedError(f"it cannot be read ({reason(error)})") from None
    for name, value in expected.items():
        if found.get(name) != value:
            how = "is missing" if name not in found else "is not as it was written"
            raise DamagedError(f"its file {name} {how}")
    return body["about"]


def _read_seal(folder: Path) -> dict[str, Any]:
    path = folder / SEAL_FILE
    if folder.is_symlink() or path.is_symlink():
        raise DamagedError("it is a symbolic link, or its seal is")
    if not path.is_file():
        raise DamagedError(f"it has no {SEAL_FILE}, so it is torn or of an earlier version")
    try:
        seal = read_json(path)
        version, body = seal["schema_version"], seal["body"]
        intact = seal["sha256"] == _digest(_canonical(body)) and set(body) == {"about", "files"}
    except (ValueError, TypeError, KeyError):
        raise DamagedError(f"its {SEAL_FILE} cannot be understood") from None
    if version != SEAL_SCHEMA:
        raise DamagedError(f"its schema_version is {str(version)[:20]}, not {SEAL_SCHEMA}")
    if not intact:
        raise DamagedError(f"its {SEAL_FILE} is not as it was written")
    return body


def _digests(folder: Path, parts: tuple[str, ...] = ()) -> dict[str, list]:
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: [path.stat().st_size, _digest(path)]
        for name, path in sorted(paths.items())
        if name != SEAL_FILE and _inside(name, parts) and path.is_file() and not path.is_symlink()
    }


def _inside(name: str, parts: tuple[str, ...]) -> bool:
    return not parts or any(name == part or name.startswith(part + "/") for part in parts)


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


def _digest(what: Path | bytes) -> str:
    if isinstance(what, bytes):
        return hashlib.sha256(what).hexdigest()
    with what.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
