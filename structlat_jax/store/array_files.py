"""Trees of arrays on disk: one ``arrays/NAME.npz`` each, without a trace of Python types.

Writing streams one array after the other. Reading takes the memory of what is expected, whatever a
file says about itself, and executes nothing: nothing is pickled.
"""

import contextlib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from structlat_jax.store import legacy_arrays, npz
from structlat_jax.store.run_folder import CheckpointError, reason

FOLDER = "arrays"


def places(name: str) -> tuple[str, str]:
    """Where the tree of a name may be in a folder: now, and as earlier versions had it."""
    return f"{FOLDER}/{name}.npz", f"{FOLDER}/{name}"


def write(folder: Path, **trees: Any) -> None:
    """Writes trees of arrays on the host, each under its name, into ``folder``; reads them back.

    Raises:
      ValueError: if two arrays of a tree have one name, one holds Python objects, or what stands in
        the file is not what was written.
    """
    (folder / FOLDER).mkdir(exist_ok=True)
    for name, tree in trees.items():
        with zipfile.ZipFile(folder / places(name)[0], "w") as archive:
            for key, leaf in named(tree).items():
                # The date of a ZipInfo is fixed, so that equal trees are equal files.
                with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w", force_zip64=True) as member:
                    array = np.asarray(leaf, order="C")
                    array = array.view(_stored(array.dtype))
                    np.lib.format.write_array(member, array, (1, 0), allow_pickle=False)
        _read_back(folder / places(name)[0])


def _read_back(path: Path) -> None:
    """By the path that a reader will take; the checksums are those of the arrays in memory."""
    try:
        with npz.opened(path) as (archive, _):
            torn = archive.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"it cannot be read back: {reason(error)}") from None
    if torn is not None:
        raise ValueError(f"its array {torn} does not read as it was written")


def read(folder: Path, name: str, like: Any, shapes: bool = True, parts: bool = False) -> Any:
    """Reads one of the trees that `write` has written, or that an earlier version has.

    Args:
      folder: As for `write`.
      name: Of the tree.
      like: A tree with the structure, shapes and types that are expected; arrays or
        `jax.ShapeDtypeStruct`.
      shapes: Whether shapes are looked at.
      parts: Pass over whole parts of the file (the first words of names) that ``like`` lacks.

    Returns:
      The tree, of NumPy arrays.

    Raises:
      CheckpointError: if it cannot be read, or holds other arrays.
    """
    now, before = places(name)
    if not (folder / now).exists() and (folder / before).is_dir():
        found = legacy_arrays.read(folder, before, named(like))
    else:
        found = _read_members(folder, now, named(like), shapes, parts)
    return fitted(folder, found, like, shapes, parts)


def parts(folder: Path, name: str) -> set[str]:
    """The parts of one of the trees that `write` has written: the first words of the names of its
    arrays; raises `CheckpointError` if it cannot be read."""
    place = places(name)[0]
    with _readable(folder, place), npz.opened(folder / place) as (_, members):
        return {_part(key) for key in members}


def fitted(
    path: Path, found: dict[str, Any], like: Any, shapes: bool = True, parts: bool = False
) -> Any:
    """Arrays by name as the tree that they are expected to be.

    Args:
      path: Where they are from.
      found: The arrays.
      like, shapes, parts: As for `read`.

    Raises:
      CheckpointError: if they are others.
    """
    wanted = named(like)
    _require_names(path, wanted, found, parts)
    for key, one in wanted.items():
        _require(path, key, found[key].shape, found[key].dtype, one, shapes)
    return jax.tree.unflatten(jax.tree.structure(like), [found[key] for key in wanted])


def named(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by the names on their paths, for instance ``key`` or ``params.q.w``.

    Raises:
      ValueError: if two have one name.
    """
    leaves, _ = jax.tree.flatten_with_path(tree)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]
    if len(set(names)) < len(names):
        raise ValueError(f"two arrays have the name {max(names, key=names.count)!r}")
    return {name: leaf for name, (_, leaf) in zip(names, leaves, strict=True)}


def _read_members(folder, place, wanted, shapes, parts):
    with _readable(folder, place), npz.opened(folder / place) as (archive, members):
        _require_names(folder, wanted, members, parts)
        mine = [members[key] for key in wanted]
        if any(i.compress_type != zipfile.ZIP_STORED for i in mine):
            raise ValueError("its arrays are compressed")
        if sum(i.file_size for i in mine) > (folder / place).stat().st_size:
            raise ValueError("its arrays are larger than it is")
        return {
            key: _read_member(folder, archive, key, members[key], like, shapes)
            for key, like in wanted.items()
        }


@contextlib.contextmanager
def _readable(folder, place):
    """Within it, whatever is wrong with a file is a `CheckpointError`."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # a damaged byte may lead zipfile, zlib and numpy to any of theirs
        raise CheckpointError(f"{folder} cannot be read: {place}: {reason(error)}.") from None


def _read_member(folder, archive, key, info, like, shapes):
    with archive.open(info) as member:
        said = npz.header(member)
        stored = jax.ShapeDtypeStruct(like.shape, _stored(like.dtype))
        _require(folder, key, said.shape, said.dtype, stored, shapes)
        if said.by_columns or said.size > info.file_size:
            raise ValueError(f"its array {key!r} is not as this program writes it")
        return npz.numbers(member, said).view(like.dtype)


def _require_names(folder: Path, wanted: dict, found: Iterable[str], parts: bool) -> None:
    known = {_part(key) for key in wanted}
    found = {key for key in found if not parts or _part(key) in known}
    for what, keys in (("no", wanted.keys() - found), ("an", found - wanted.keys())):
        if keys:
            raise CheckpointError(
                f"{folder} cannot be used: it has {what} array {min(keys)[:80]!r}, so another "
                "version of the program wrote it."
            )


def _require(folder, key, shape, dtype, like, shapes) -> None:
    shape = tuple(shape) if shapes else like.shape
    if (shape, dtype) != (like.shape, like.dtype):
        raise CheckpointError(
            f"{folder} cannot be used: its arrays have other shapes than the configuration asks "
            f"for ({key[:80]!r} is {_text(shape, dtype)}, not {_text(like.shape, like.dtype)})."
        )


def _part(key: str) -> str:
    return key.partition(".")[0]


def _text(shape: tuple[int, ...], dtype: np.dtype) -> str:
    return f"{dtype}{list(shape)}"[:80]


def _stored(dtype: np.dtype) -> np.dtype:
    """The type as which NumPy's format keeps another: it knows nothing of ``bfloat16`` and such."""
    return np.dtype(f"u{dtype.itemsize}") if dtype.kind == "V" else np.dtype(dtype)
