"""The state of a share, while it trains."""

from structlat_jax.inference.base import Learned
from structlat_jax.store.checkpoint import Checkpoints


class ShareState(Checkpoints):
    """`Checkpoints` of one process's share. A share holds lanes of several runs, and other lanes of
    these runs may be elsewhere, so that no best agent is known here."""

    def save_best(self, step: int, learned: Learned, value: float) -> None:
        """Does nothing."""
