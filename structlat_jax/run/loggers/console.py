"""The terminal: a progress bar, or where there is none a line per evaluation and one a minute."""

import contextlib
import datetime
import io
import re
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from structlat_jax.run.loggers.base import Logger, Metrics

_USUAL = re.compile(
    "kl |(collected|decoder|floor|oracle|test|train|world)_|"
    "(encoder|entropy|kl_weight|not_finite_at|percent_of_oracle|policy|q|q_imagined|q_mean|seconds|v)$"
)
"""Names for which a line has no room, or which it shows in a way of its own; all others, which
somebody has added, are shown as they are."""

QUIET = 60.0
"""Seconds without a line, off a terminal, after which there is one: a log is to show that a run
goes on."""


class Meter:
    """What a program shows of one run or of several, one after the other.

    Args:
      updates: Of each run, in their order.
      console: A `rich.console.Console`.
    """

    def __init__(self, updates: Sequence[int], console: Any):
        self._updates, self._console = list(updates), console
        self._said = time.perf_counter()  # when the last line was
        self._bar = _bar(console)
        fields = {"status": "compiling", "left": "?"}
        self._task = self._bar.add_task("train", total=self.total, **fields)

    def __enter__(self) -> "Meter":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:  # elsewhere rich before 14.3 ends with an empty line
            self._bar.stop()

    def message(self, text: str) -> None:
        """Shows a line."""
        try:
            self._console.print(text, highlight=False, soft_wrap=True, markup=False)
        except (OSError, SystemExit):  # rich ends the program if nobody reads
            self._hang_up()

    def _hang_up(self) -> None:
        """Nobody reads any more, as behind ``| head -1``: ends the run as a signal does, saved."""
        self._console.file = io.StringIO()
        with contextlib.suppress(OSError):
            print("error: the output cannot be written any more; saving.", file=sys.stderr)
        signal.raise_signal(signal.SIGTERM)

    def logger(self, name: str = "", before: int = 0) -> Logger:
        """The logger of one of the runs.

        Args:
          name: Stands before what it says.
          before: How many runs are done.
        """
        made = _Status(self, name, before, time.perf_counter())
        prefix = f"{name}: " if name else ""
        return Logger(made.log, lambda text: self.message(prefix + text), lambda: None)

    def show(self, done: int, status: str, left: float, evaluated: bool) -> None:
        """Shows how far all runs are.

        Args:
          done: Updates of all runs.
          status: A line.
          left: Seconds; NaN if nobody knows yet.
          evaluated: Whether there is a new evaluation.
        """
        known = np.isfinite(left)
        shown = str(datetime.timedelta(seconds=round(left))) if known else "?"
        self._bar.update(self._task, completed=done, status=status, left=shown)
        now = time.perf_counter()
        if not self._console.is_terminal and (evaluated or now - self._said >= QUIET):
            self._said = now
            rest = f"  {left:.0f} s left" if known else ""
            self.message(f"{done:>7,}/{self.total:,} updates  {status}{rest}")

    @property
    def updates(self) -> list[int]:
        """Of each run."""
        return self._updates

    @property
    def total(self) -> int:
        """Updates of all runs."""
        return sum(self._updates)


def _bar(console: Any) -> Any:
    from rich import progress  # which acting and training from Python do not need

    return progress.Progress(
        progress.TextColumn("{task.completed:>7,}/{task.total:,} updates"),
        progress.BarColumn(bar_width=24),
        progress.TextColumn("{task.fields[status]}", markup=False),  # it has names of metrics in it
        progress.TimeElapsedColumn(),
        # The runs' own estimate: it knows how much of the total they were spared by resuming.
        progress.TextColumn("left {task.fields[left]}"),
        console=console,
        disable=not console.is_terminal,
    )


class _Status:
    """The status line of one run."""

    def __init__(self, meter: Meter, name: str, before: int, began: float):
        self._meter, self._name, self._before, self._began = meter, name, before, began
        self._first: tuple[int, float] | None = None
        self._evaluated: dict[str, float] = {}

    def log(self, updates: int, metrics: Metrics) -> None:
        now = time.perf_counter()
        means = {name: _mean(values) for name, values in metrics.items()}
        new = "test_return" in means
        if new:
            self._evaluated = means
        if self._first is None:  # what came before it was compiling, or another session's
            self._first = (updates, now)
        done, since = updates - self._first[0], now - self._first[1]
        per_update = since / done if done else float("nan")
        start = self._first[1] - self._began
        own, later = self._meter.updates[self._before], self._meter.updates[self._before + 1 :]
        left = per_update * (own - updates + sum(later)) + len(later) * start
        whole = sum(self._meter.updates[: self._before]) + updates
        rate = 1.0 / per_update if done else None
        self._meter.show(whole, self._describe(rate, means), left, new)

    def _describe(self, rate: float | None, means: dict[str, float]) -> str:
        parts = [self._name] if self._name else []
        parts += [] if rate is None else [f"{rate:.0f} updates/s"]
        if self._evaluated:
            percent = self._evaluated.get("percent_of_oracle")
            share = "" if percent is None or np.isnan(percent) else f" ({percent:.0f} %)"
            parts.append(f"test {self._evaluated['test_return']:.2f}{share}")
        kl = [f"{n.removeprefix('kl ')} {x:.2f}" for n, x in means.items() if n.startswith("kl ")]
        parts += ["KL " + "  ".join(kl) + " nats"] if kl else []
        parts += [f"{name} {x:.3g}" for name, x in means.items() if not _USUAL.match(name)]
        return "  ".join(parts)


def _mean(values: Any) -> float:
    values = np.asarray(values, dtype=float)
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
