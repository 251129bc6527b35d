"""What a live page is told: a list in memory that only grows, and its news as JSON."""

import json
import math
import secrets
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from structlat_jax.run.loggers.base import Metrics

MOST = 20_000
"""Numbers in one answer, but for the last point of it: what takes some 20 ms to write as text, in
which no other thread of the process gets on."""


class Point(NamedTuple):
    """The metrics of one meta-step.

    Attributes:
      updates: Updates done.
      names: Of the metrics.
      values: ``[metrics, S]``.
    """

    updates: int
    names: tuple[str, ...]
    values: np.ndarray

    def told(self) -> dict[str, Any]:
        """As JSON has it; what is not finite is None."""
        rows = [[x if math.isfinite(x) else None for x in row] for row in self.values.tolist()]
        return {"updates": self.updates, "metrics": dict(zip(self.names, rows, strict=True))}


class History:
    """All that a run has told; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: list[Point | dict[str, Any]] = []
        self._name = secrets.token_hex(8)  # by which a page knows another history at its port

    def log(self, updates: int, metrics: Metrics, seeds: int) -> None:
        """Adds the metrics of one meta-step, each ``[seeds]`` or one number for all."""
        # Broadcasting costs more than all else here, between two meta-steps, and is seldom needed.
        rows = [
            x if np.shape(x) == (seeds,) else np.broadcast_to(x, seeds) for x in metrics.values()
        ]
        values = np.array(rows, float).reshape(len(rows), seeds)
        self._add(Point(updates, tuple(metrics), values))

    def say(self, **what: Any) -> None:
        """Adds something else than metrics, which JSON can hold."""
        self._add(what)

    def is_long(self, since: int) -> bool:
        """Whether one answer does not hold what there is from an item on."""
        with self._lock:
            waiting = self._items[since:]
        return len(_some(waiting)) < len(waiting)

    def news(self, since: int) -> bytes:
        """What there is from an item on, as far as one answer goes.

        Args:
          since: The item's place in the list; 0 is the first.

        Returns:
          JSON: ``history``, a name of this list; ``items``; and ``next``, since when to ask next.
          An item is ``updates`` and ``metrics`` by name, a number per seed or null where it is not
          finite, or what `say` was given.
        """
        with self._lock:
            waiting = self._items[since:]
        found = _some(waiting)
        items = [one.told() if isinstance(one, Point) else one for one in found]
        answer = {"history": self._name, "items": items, "next": since + len(items)}
        return json.dumps(answer, separators=(",", ":"), allow_nan=False).encode()

    def _add(self, item: Point | dict[str, Any]) -> None:
        with self._lock:
            self._items.append(item)


def _some(items: Sequence[Point | dict[str, Any]]) -> Sequence[Point | dict[str, Any]]:
    """The first ones, until there are `MOST` numbers."""
    numbers = 0
    for end, item in enumerate(items, 1):
        numbers += item.values.size if isinstance(item, Point) else 1
        if numbers >= MOST:
            return items[:end]
    return items
