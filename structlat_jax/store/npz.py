"""The arrays of NumPy archives, read in no more memory than was agreed on, whatever a file says
about itself; nothing is unpickled."""

import contextlib
import io
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from structlat_jax.store.run_folder import CheckpointError, reason

MOST = 2**33
"""Bytes of all arrays of an archive that `read` takes: 8 GiB, thirty times the paths of 64 seeds on
200 tasks, four repeats of 20 episodes of 20 steps in space."""

_PIECE = 2**20  # bytes that are read at once; the list of members is far shorter


class Header(NamedTuple):
    """What an array says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype
    by_columns: bool

    @property
    def size(self) -> int:
        """In bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class _InPieces(io.BufferedReader):
    """A file that gives at most a piece at a time: `zipfile` would read a list of members of any
    length."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(_PIECE if size is None or size < 0 else min(size, _PIECE))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """An archive and its members by the names of their arrays; raises whatever `zipfile` does."""
    with _InPieces(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        yield archive, {i.filename.removesuffix(".npy"): i for i in archive.infolist()}


def header(member: io.BufferedIOBase) -> Header:
    """Of an open member, which then stands where its numbers begin; raises `ValueError`."""
    np.lib.format.read_magic(member)
    # Headers of this version are at most 64 KiB long; those of later ones, gigabytes.
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(member)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if min(shape, default=0) < 0:
        raise ValueError("one of its arrays has a length below 0")
    return Header(shape, dtype, by_columns)


def numbers(member: io.BufferedIOBase, said: Header) -> np.ndarray:
    """The array whose header was read from an open member; raises `ValueError` unless there are as
    many numbers as it says."""
    flat = np.empty(math.prod(said.shape), said.dtype)
    view, done = memoryview(flat.view(np.uint8)), 0
    while done < len(view) and (count := member.readinto(view[done : done + _PIECE])):
        done += count
    if done < len(view) or member.read(1):  # the attempt to read more also checks the checksum
        raise ValueError("one of its arrays has another length than it says")
    return flat.reshape(said.shape, order="F" if said.by_columns else "C")


def read(
    path: Path, check: Callable[[Mapping[str, Header]], None] = lambda found: None
) -> dict[str, np.ndarray]:
    """All arrays of an archive by name, compressed or not.

    Args:
      path: The file.
      check: Is given the headers of all arrays before any of them is read, and raises
        `CheckpointError` if it expects others.

    Raises:
      CheckpointError: if it cannot be read, or if its arrays take more than `MOST` bytes.
    """
    try:
        with opened(path) as (archive, members):
            said = {}
            for name, info in members.items():
                with archive.open(info) as member:
                    said[name] = header(member)
            if (size := sum(one.size for one in said.values())) > MOST:
                raise ValueError(f"its arrays take {size:,} bytes, and {MOST:,} are allowed")
            check(said)
            return {name: _read(archive, info) for name, info in members.items()}
    except CheckpointError:
        raise
    except Exception as error:  # a damaged byte may lead zipfile, zlib and numpy to any of theirs
        raise CheckpointError(f"{path} cannot be read: {reason(error)}.") from None


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as member:
        return numbers(member, header(member))
