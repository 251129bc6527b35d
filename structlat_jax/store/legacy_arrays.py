"""Arrays of run folders from before ``.npz``: orbax wrote them, and reads them while it is there.

Only the parameters of agents are still read; what trains now has another state.
"""

import contextlib
import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from structlat_jax.store.run_folder import CheckpointError, reason

_BEFORE, _NOW = "world", "inference"


def read(folder: Path, place: str, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """The arrays below ``folder/place`` by name, as they are called now.

    Args:
      folder: A checkpoint.
      place: The item in it, for instance ``arrays/params``.
      wanted: The names that are expected.

    Raises:
      CheckpointError: if they cannot be read, or if orbax is not installed.
    """
    if place.endswith("/state"):
        raise CheckpointError(
            f"{folder} was written by an earlier version of the program: its agents can be used, "
            "but its training cannot go on."
        )
    try:
        import orbax.checkpoint as ocp
    except ImportError:
        raise CheckpointError(
            f"{folder} was written by an earlier version of the program: install "
            "orbax-checkpoint to read it."
        ) from None
    try:
        with _quiet(), _reader(ocp) as reader:
            found = reader.restore((folder / place).absolute(), args=ocp.args.StandardRestore())
        return _renamed({key: np.asarray(leaf) for key, leaf in found.items()}, wanted)
    except Exception as error:  # orbax and what lies below it raise what they like
        raise CheckpointError(f"{folder} cannot be read: {reason(error)}.") from None


def _renamed(found: dict[str, np.ndarray], wanted: Collection[str]) -> dict[str, np.ndarray]:
    """The world model was a part of its own, before inference had parameters: it was written even
    for who now asks for the other networks only."""
    parts = {key.partition(".")[0] for key in wanted}
    if _BEFORE in parts:
        return found
    renamed = {}
    for key, array in found.items():
        part, dot, rest = key.partition(".")
        if part != _BEFORE:
            renamed[key] = array
        elif _NOW in parts:
            renamed[_NOW + dot + rest] = array
    return renamed


def _reader(ocp: Any) -> Any:
    """It waits for no other process."""
    me, alone = jax.process_index(), ocp.options.MultiprocessingOptions()
    if jax.process_count() > 1:
        alone = ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
        )
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=alone)
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
