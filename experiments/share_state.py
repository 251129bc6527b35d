"""The state of a share on disk, while it trains.

Orbax lets only the first of several processes write arrays of the host, and makes the others wait
for it. A share is a process's own business, so it is kept in one plain file that is replaced as a
whole; opening it executes no code. Finished runs are saved by `structlat_jax.checkpoint`.
"""

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from structlat_jax.checkpoint import CheckpointError, data_to_keys, keys_to_data

_FILE = "share.npz"


class ShareState:
    """The last saved state of one share: `checkpoint.Checkpoints` for a folder of one process."""

    def __init__(self, folder: Path):
        self._path = folder / _FILE

    def __enter__(self) -> "ShareState":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def latest(self) -> int | None:
        """The meta-step that was saved, or None.

        Raises:
          CheckpointError: if the file cannot be read.
        """
        return self._read(())["step"] if self._path.is_file() else None

    def save(self, step: int, state: Any, history: list[dict[str, Any]]) -> None:
        """Replaces what was saved by the state after a meta-step."""
        leaves = jax.tree.leaves(jax.device_get(keys_to_data(state)))
        arrays = {f"leaf{i}": leaf for i, leaf in enumerate(leaves)}
        partial = self._path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(file, text=np.array(json.dumps({"step": step, "history": history})), **arrays)
        partial.replace(self._path)

    def restore(self, like: Any) -> tuple[Any, list[dict[str, Any]]]:
        """The state and its history, on the host; ``like`` gives the structure and shapes.

        Raises:
          CheckpointError: if it does not fit.
        """
        expected = jax.eval_shape(keys_to_data, like)
        shapes = [leaf.shape for leaf in jax.tree.leaves(expected)]
        found = self._read(range(len(shapes)))
        if [leaf.shape for leaf in found["leaves"]] != shapes:
            raise CheckpointError(f"{self._path} has other arrays than the configuration asks for.")
        state = jax.tree.unflatten(jax.tree.structure(expected), found["leaves"])
        return data_to_keys(state, like), found["history"]

    def _read(self, leaves: Iterable[int]) -> dict[str, Any]:
        try:
            with self._path.open("rb") as file:  # which np.load would leave open if it fails
                found = np.load(file, allow_pickle=False)
                said = json.loads(str(found["text"]))
                arrays = [found[f"leaf{i}"] for i in leaves]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise CheckpointError(f"{self._path} cannot be read: {error}.") from None
        return {**said, "leaves": arrays}
