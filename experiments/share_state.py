"""The state of a share on disk, while it trains.

Orbax lets only the first of several processes write arrays of the host, and makes the others wait
for it. A share is a process's own business, so its arrays are in plain files; opening them executes
no code. Finished runs are saved by `structlat_jax.checkpoint`.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from structlat_jax.array_files import named, read_npz
from structlat_jax.checkpoint import Checkpoints
from structlat_jax.nets.networks import AgentParams
from structlat_jax.run_folder import CheckpointError


class PlainFiles:
    """Trees of arrays as ``.npz``, by any process: stands for `structlat_jax.array_files`."""

    @staticmethod
    def write(folder: Path, **trees: Any) -> None:
        """Writes trees of arrays on the host, each under its name, into ``folder``."""
        for name, tree in trees.items():
            with (folder / f"{name}.npz").open("wb") as file:
                np.savez(file, **named(tree))

    @staticmethod
    def read(folder: Path, name: str, like: Any) -> Any:
        """Reads one of the trees that `write` has written; ``like`` gives the structure.

        Raises:
          CheckpointError: if it cannot be read, or holds arrays of other names.
        """
        path, names = folder / f"{name}.npz", list(named(like))
        found = read_npz(path)
        if set(found) != set(names):
            raise CheckpointError(f"{path} has other arrays than the configuration asks for.")
        return jax.tree.unflatten(jax.tree.structure(like), [found[one] for one in names])


class ShareState(Checkpoints):
    """`Checkpoints` of one process's share, sealed like all others. A share holds lanes of several
    runs, and some of a run's lanes may be elsewhere, so that no best agent is known here."""

    arrays = PlainFiles

    def save_best(self, step: int, params: AgentParams, value: float) -> None:
        """Does nothing."""
