"""One agent in one file: named arrays, and what they are, in the safetensors format.

The file is a header in JSON and the numbers behind it, so that other programs and languages read it
too. Reading executes nothing, and takes no more memory than the file is long.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from structlat_jax.store.array_files import named
from structlat_jax.store.run_folder import CheckpointError, WriteError, reason, write_in_one_piece

AGENT_SCHEMA = 1
_ENTRY = "structlat_jax"  # of the header's metadata; a second one would be in any order
_MOST_HEADER, _MOST_BYTES = 2**20, 2**30  # an agent has a few kilobytes and megabytes


def write(path: Path, tree: Any, about: dict[str, Any]) -> None:
    """Writes a tree of arrays in one piece; equal arguments give equal files.

    Args:
      path: The file; what is there is replaced.
      tree: Arrays of numbers; they are stored under the names that `array_files.named` gives.
      about: Ready for JSON, with finite numbers; `read` gives it back.

    Raises:
      WriteError: if it cannot be written; an earlier file of that name is as it was.
    """
    path = Path(path)
    try:
        text = json.dumps({"schema_version": AGENT_SCHEMA, "about": about}, allow_nan=False)
        # Not ascontiguousarray, which gives scalars an axis.
        arrays = {key: np.asarray(leaf, order="C") for key, leaf in named(tree).items()}
        data = safetensors.numpy.save(arrays, {_ENTRY: text})
        length = _header_length(data[:8])
        if length > _MOST_HEADER or len(data) > _MOST_BYTES:
            raise ValueError("it is larger than an agent may be")
    except Exception as error:  # what no such file can hold leads to errors of many kinds
        raise WriteError(f"{path} cannot be written: {reason(error)}.") from None
    write_in_one_piece(path, lambda file: file.write(data))


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays by name, and what was said about them.

    Raises:
      CheckpointError: if it cannot be read, or is no file of `write`.
    """
    path = Path(path)
    try:
        _require_small(path)
        with safetensors.safe_open(path, "numpy") as file:
            about = _about((file.metadata() or {}).get(_ENTRY))
            return {key: file.get_tensor(key) for key in file.keys()}, about  # noqa: SIM118
    except Exception as error:  # the library raises what it likes on a file that lies
        raise CheckpointError(f"{path} cannot be read: {reason(error)}.") from None


def _require_small(path: Path) -> None:
    with path.open("rb") as file:
        length = _header_length(file.read(8))
    if path.stat().st_size > _MOST_BYTES or length > _MOST_HEADER:
        raise ValueError("it is no agent, or larger than one may be")


def _header_length(start: bytes) -> int:
    """A safetensors file begins with it, in eight bytes."""
    return int.from_bytes(start, "little") if len(start) == 8 else sys.maxsize


def _about(text: str | None) -> dict[str, Any]:
    if text is None:
        raise ValueError("it is no agent of this program")
    said = json.loads(text, parse_constant=_finite, parse_float=_finite)
    version = said.get("schema_version") if isinstance(said, dict) else None
    if version != AGENT_SCHEMA:
        raise ValueError(f"its schema_version is {str(version)[:20]}, not {AGENT_SCHEMA}")
    if not isinstance(said.get("about"), dict):
        raise ValueError("it does not say what it is")
    return said["about"]


def _finite(word: str) -> float:
    if not math.isfinite(number := float(word)):
        raise ValueError(f"{word[:20]} is not a finite number")
    return number
