"""What a logger is."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

Metrics = Mapping[str, np.ndarray]
"""By name, one number per seed, ``[S]``; NaN where a seed has none."""


class Logger(NamedTuple):
    """A record of three functions, called by the loop on the host; whatever they raise ends it.

    Attributes:
      log: ``(updates done, metrics)``, after every meta-step: what the algorithm, the inference and
        the collection report, ``seconds`` of training, and, after an evaluation, its returns.
      message: A sentence for whoever watches.
      close: Called once, at the end, however the run ends.
    """

    log: Callable[[int, Metrics], None]
    message: Callable[[str], None]
    close: Callable[[], None]


def silent() -> Logger:
    """Does nothing."""
    return Logger(lambda updates, metrics: None, lambda text: None, lambda: None)


def combine(loggers: Iterable[Logger]) -> Logger:
    """All of them, in turn."""
    every = tuple(loggers)

    def log(updates, metrics):
        for one in every:
            one.log(updates, metrics)

    def message(text):
        for one in every:
            one.message(text)

    def close():
        for one in every:
            one.close()

    return Logger(log, message, close)
