"""How a signal ends a run: soon, but not in the middle of anything."""

import contextlib
import signal
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heeded() -> tuple[signal.Signals, ...]:
    """Those of `SIGNALS` that end a run: a closed terminal does not where ``nohup`` was asked."""
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(one for one in SIGNALS if one is not signal.SIGHUP or not nohup)


class Stop:
    """Within it, SIGINT, SIGTERM and SIGHUP only set a flag, which is read after each meta-step.

    Attributes:
      asked: Whether one has come.
    """

    def __init__(self):
        self.asked = False
        self._raises = False

    def __enter__(self) -> "Stop":
        self._before = {number: signal.signal(number, self._ask) for number in heeded()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def abandoning(self) -> Iterator[None]:
        """Within it, a signal abandons what is under way, which must be safe to do again later;
        whoever cares looks at `asked` behind it."""
        self._raises = True
        try:
            yield
        except KeyboardInterrupt:
            self.asked = True
        finally:
            self._raises = False

    def _ask(self, *_: object) -> None:
        self.asked = True
        if self._raises:
            raise KeyboardInterrupt
