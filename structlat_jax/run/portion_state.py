"""The state of a portion, while it trains."""

from structlat_jax.inference.base import Learned
from structlat_jax.store.checkpoint import Checkpoints


class PortionState(Checkpoints):
    """`Checkpoints` of one process's portion. It holds lanes of several runs, and other lanes of
    these runs may be elsewhere, so that no best agent is known here."""

    def save_best(self, step: int, learned: Learned, value: float) -> None:
        """Does nothing."""
