"""Trees of arrays on disk, by orbax: stored under their names, without a trace of Python types."""

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from structlat_jax.run_folder import CheckpointError, reason

FOLDER = "arrays"


def write(folder: Path, **trees: Any) -> None:
    """Writes trees of arrays on the host, each under its name, into ``folder/arrays``."""
    items = {name: ocp.args.StandardSave(named(tree)) for name, tree in trees.items()}
    with _quiet(), _checkpointer() as writer:
        writer.save((folder / FOLDER).absolute(), args=ocp.args.Composite(**items))


def read(folder: Path, name: str, like: Any) -> Any:
    """Reads one of the trees that `write` has written.

    Args:
      folder: As for `write`.
      name: Of the tree.
      like: A tree that gives the structure; shapes and types are not looked at.

    Returns:
      The tree, of NumPy arrays.

    Raises:
      CheckpointError: if it cannot be read, or holds arrays of other names.
    """
    item = ocp.args.Composite(**{name: ocp.args.StandardRestore()})
    try:
        with _quiet(), _checkpointer() as reader:
            found = reader.restore((folder / FOLDER).absolute(), args=item)[name]
        found = {key: np.asarray(leaf) for key, leaf in found.items()}
    except Exception as error:  # orbax and what lies below it raise what they like
        raise CheckpointError(f"{folder} cannot be read: {reason(error)}.") from None
    wanted = named(like)
    if not any(key.startswith("world.") for key in wanted):  # as the inference's were once called
        found = {re.sub(r"^world\.", "inference.", key): array for key, array in found.items()}
    for what, keys in (("no", wanted.keys() - found.keys()), ("an", found.keys() - wanted.keys())):
        if keys:
            raise CheckpointError(
                f"{folder} cannot be used: it has {what} array {min(keys)!r}, so another version "
                "of the program wrote it."
            )
    return jax.tree.unflatten(jax.tree.structure(like), [found[key] for key in wanted])


def named(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by the names on their paths, for instance ``key`` or ``params.q.w``."""
    leaves, _ = jax.tree.flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a NumPy archive by name, without executing anything in it.

    Raises:
      CheckpointError: if it cannot be read, or is a single array without a name.
    """
    try:
        with path.open("rb") as file:  # which np.load would leave open if it fails
            found = np.load(file, allow_pickle=False)
            if not isinstance(found, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array without a name")
            return {name: found[name] for name in found.files}
    except Exception as error:  # a damaged byte may lead zipfile, zlib and numpy to any of theirs
        raise CheckpointError(f"{path} cannot be read: {reason(error)}.") from None


def _checkpointer() -> ocp.Checkpointer:
    """Where there are several processes the first one alone writes run folders, and waits for no
    other."""
    alone = ocp.options.MultiprocessingOptions()
    if jax.process_count() > 1:
        alone = ocp.options.MultiprocessingOptions(
            primary_host=0, active_processes={0}, barrier_sync_key_prefix="first"
        )
    options = ocp.CompositeOptions(multiprocessing_options=alone)
    handler = ocp.CompositeCheckpointHandler(composite_options=options)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without orbax's own lines on standard error: what goes wrong is said in one sentence."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
