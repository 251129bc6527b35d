"""How a signal ends a run: soon, but not in the middle of anything."""

import contextlib
import signal
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Within it, SIGINT and SIGTERM only set a flag, which is read after each meta-step.

    Attributes:
      asked: Whether one has come.
    """

    def __init__(self):
        self.asked = False
        self._raises = False

    def __enter__(self) -> "Stop":
        self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
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
