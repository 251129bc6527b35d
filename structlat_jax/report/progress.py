"""Live output of a run, injected into the host loop; `Silent` is the neutral one."""

import datetime
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from structlat_jax.report.names import block_names

__all__ = ["Bar", "Part", "Silent", "block_names", "describe", "results_table"]


class Silent:
    """Shows nothing."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def message(self, text: str) -> None:
        """Says one line."""

    def advance(self, updates: int, status: dict[str, Any]) -> None:
        """Reports that ``updates`` are done; ``status`` is what `describe` reads."""


class Bar(Silent):
    """A progress bar on a terminal; a line per evaluation elsewhere."""

    def __init__(self, total: int, console: Console):
        self._console = console
        self._total = total
        self._shown = None
        self._progress = Progress(
            TextColumn("{task.completed:>7,}/{task.total:,} updates"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            # The run's own estimate: it knows how much of the total it was spared by resuming.
            TextColumn("left {task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("train", total=total, status="compiling", left="?")

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def message(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def advance(self, updates: int, status: dict[str, Any]) -> None:
        text, left = describe(status), status["seconds_left"]
        shown_left = str(datetime.timedelta(seconds=round(left)))
        self._progress.update(self._task, completed=updates, status=text, left=shown_left)
        evaluated = status.get("evaluated_at")
        if not self._console.is_terminal and evaluated not in (None, self._shown):
            self._shown = evaluated
            self.message(f"{updates:>7,}/{self._total:,} updates  {text}  {left:.0f} s left")


class Part(Silent):
    """One of several runs of equal length that share a meter, which counts on through all.

    Args:
      whole: The meter, whose total is that of all runs.
      name: The run's, shown before its status.
      updates: Of one run.
      before, after: How many of the runs are done, and how many are still to come.
    """

    def __init__(self, whole: Silent, name: str, updates: int, before: int, after: int):
        self._whole, self._name, self._updates = whole, name, updates
        self._offset, self._after = before * updates, after
        self._began = time.perf_counter()

    def message(self, text: str) -> None:
        self._whole.message(f"{self._name}: {text}")

    def advance(self, updates: int, status: dict[str, Any]) -> None:
        # A run to come takes what this one does: to start, and for each update.
        start = time.perf_counter() - self._began - status["seconds_training"]
        one = start + self._updates * status["seconds_per_update"]
        changes = {"name": self._name, "seconds_left": status["seconds_left"] + self._after * one}
        if "evaluated_at" in status:
            changes["evaluated_at"] = self._offset + status["evaluated_at"]
        self._whole.advance(self._offset + updates, {**status, **changes})


def describe(status: dict[str, Any]) -> str:
    """One line: the run's name if it is one of several, rate, last test return, KL per block."""
    parts = [status["name"]] if "name" in status else []
    parts.append(f"{status['updates_per_second']:.0f} updates/s")
    if status.get("test_return") is not None:
        percent = status.get("percent_of_oracle")
        share = "" if percent is None else f" ({percent:.0f} %)"
        parts.append(f"test {status['test_return']:.2f}{share}")
    kl = "  ".join(f"{name} {value:.2f}" for name, value in status["kl"].items())
    return "  ".join([*parts, f"KL {kl} nats"])


def results_table(results: dict[str, Any]) -> Table:
    """The small table at the end of a run; what ``results.json`` does not have is left out."""
    seeds = f"{results['seeds']} seed{'s' if results['seeds'] > 1 else ''}"
    table = Table(title=f"{results['latent']}, {results['updates']:,} updates, {seeds}")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, (text, tell) in _MEASURES.items():
        if name in results:
            table.add_row(text, tell(results, results[name]))
    for name, kl in results["kl_nats"].items():
        table.add_row(f"KL of {name}", f"{kl:.2f} nats")
    table.add_row("updates per second and seed", f"{results['updates_per_second'] or 0:.0f}")
    times = f"{results['wall_seconds']:.0f} s, {results['compile_seconds']:.1f} s"
    table.add_row("wall, compile", times)
    return table


def _spread(results: dict[str, Any], entry: dict[str, Any]) -> str:
    if entry["mean"] is None:
        return "not finite"
    if entry["std"] is None:
        return f"{entry['mean']:.2f} (one seed)"
    low, high = entry["ci95"]
    return f"{entry['mean']:.2f} ± {entry['std']:.2f} (95 % {low:.2f} to {high:.2f})"


def _formatted(form: str, factor: float = 1.0) -> Callable[[dict[str, Any], Any], str]:
    def tell(results, value):
        if value is None:
            return "not finite" if results["test_return"]["mean"] is None else "-"
        return form.format(factor * value)

    return tell


def _of_oracle(results: dict[str, Any], percent: float | None) -> str:
    """Percent of the way from the floor to the oracle, and what these are."""
    text = _formatted("{:.1f}")(results, percent)
    floor, oracle = results.get("floor_return"), results["oracle_return"]
    if floor is None or oracle is None:
        return text
    return f"{text} (untrained {floor:.2f}, oracle {oracle:.2f})"


_MEASURES = {
    "test_return": ("test return, last episode", _spread),
    "percent_of_oracle": ("  % of oracle", _of_oracle),
    "amortised_return": ("  with the encoder's posterior", _spread),
    "train_return": ("train return, last episode", _spread),
    "prior_return": ("prior episodes' return", _formatted("{:.2f}")),
    "first_posterior_return": ("first posterior episode's return", _formatted("{:.2f}")),
    "floor_return": ("return of the untrained policy", _formatted("{:.2f}")),
    "tasks_reached_by_prior": (
        "test tasks reached by a prior episode",
        _formatted("{:.0f} %", factor=100.0),
    ),
    "episodes_to_80_percent": (
        "episodes to 80 % of the last one's gain",
        _formatted("{:.0f}"),
    ),
}
"""Fields of ``results.json`` in the order of the table: what they are called, how they are told."""
