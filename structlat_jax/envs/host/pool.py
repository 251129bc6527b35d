"""Workers of a host environment, and episodes shared out among them."""

import collections
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from structlat_jax.envs.host.base import Simulator
from structlat_jax.envs.host.policy import Policy
from structlat_jax.envs.host.runner import HostError, Jobs, Seen, blank

MOST = 64
"""Episodes in a message, at most: what is done again when a worker dies."""

TRIES = 3
"""How often episodes are begun before they are held to be what kills workers."""


class Worker(Protocol):
    """One worker: it is given one message at a time, and answers each."""

    def send(self, policies: dict[int, Policy], jobs: Jobs) -> None:
        """Gives it episodes; raises `OSError` if it is dead."""

    def receive(self) -> tuple[bool, Any]:
        """Its answer, whether it could do it and what came of it; raises `EOFError` or `OSError` if
        it is dead. The first answer says whether it has begun."""

    def end(self) -> str:
        """Ends it at once; returns what is known of how it ended."""


@dataclasses.dataclass(frozen=True)
class Crew:
    """How workers come about.

    Attributes:
      start: ``(simulator, template)`` to a worker that begins.
      wait: Workers to those of them that have an answer or are dead, at least one.
      count: How many there are to be.
    """

    start: Callable[[Simulator, Any], Worker]
    wait: Callable[[Sequence[Worker]], list[Worker]]
    count: int


class Pool:
    """Workers that hold an environment each; those that die are replaced.

    Attributes:
      replaced: How many have been.
    """

    def __init__(self, simulator: Simulator, template: Any, crew: Crew):
        """Starts the workers, without waiting for them; `template` is that of `Runner`."""
        self._simulator, self._template, self._crew = simulator, template, crew
        self._busy: dict[Worker, tuple[int, int] | None] = {}  # None: it begins
        self._idle: list[Worker] = []
        self._tries: collections.Counter = collections.Counter()
        self.replaced = 0
        self._fill()

    def run(self, policies: Sequence[Policy], jobs: Jobs) -> Seen:
        """Runs episodes; what comes of them does not depend on the workers.

        Args:
          policies: All that the jobs' numbers name.
          jobs: The episodes.

        Raises:
          HostError: if the environment does what it must not, or ends its workers again and again.
        """
        count = len(jobs.seed)
        seen, left = blank(self._simulator, jobs.kind, count), [(0, count)] if count else []
        self._tries.clear()
        try:
            while left or any(self._busy.values()):
                self._fill()
                self._give(policies, jobs, left)
                for worker in self._crew.wait(list(self._busy)) if self._busy else ():
                    self._take(worker, seen, left)
        except BaseException:
            # Their answers would be taken for those of the next call.
            for worker in self._busy:
                worker.end()
            self._busy = {}
            raise
        return seen

    def close(self) -> None:
        """Ends all workers."""
        for worker in [*self._idle, *self._busy]:
            worker.end()
        self._idle, self._busy = [], {}

    def _fill(self) -> None:
        while len(self._idle) + len(self._busy) < self._crew.count:
            self._busy[self._crew.start(self._simulator, self._template)] = None

    def _give(self, policies: Sequence[Policy], jobs: Jobs, left: list[tuple[int, int]]) -> None:
        """One message to every idle worker, smaller and smaller ones, so that all end together."""
        while left and self._idle:
            worker, (begin, end) = self._idle.pop(), left.pop()
            rest = sum(stop - start for start, stop in left) + end - begin
            size = max(1, min(MOST, rest // (4 * self._crew.count), end - begin))
            if self._tries[begin]:
                size = 1  # so that what kills workers is found alone
            if begin + size < end:
                left.append((begin + size, end))
            part = jobs.part(begin, begin + size)
            needed = {int(i): policies[i] for i in np.unique(part.policy)} if policies else {}
            self._busy[worker] = (begin, begin + size)
            try:
                worker.send(needed, part)
            except OSError:
                self._bury(worker, left)

    def _take(self, worker: Worker, seen: Seen, left: list[tuple[int, int]]) -> None:
        try:
            well, found = worker.receive()
        except (EOFError, OSError):
            self._bury(worker, left)
            return
        task = self._busy.pop(worker)
        if not well:
            worker.end()
            raise HostError(found)
        self._idle.append(worker)
        if task is None:
            self._tries["begin"] = 0
            return
        for whole, part in zip(seen, found, strict=True):
            whole[slice(*task)] = part

    def _bury(self, worker: Worker, left: list[tuple[int, int]]) -> None:
        """Puts back what a dead worker had; another one will come in its place."""
        task, how = self._busy.pop(worker), worker.end()
        self.replaced += 1
        place = "begin" if task is None else task[0]
        self._tries[place] += 1
        if self._tries[place] >= TRIES:
            what = "be made" if task is None else "go through an episode"
            raise HostError(
                f"{self._simulator.name} cannot {what}: its worker ended {TRIES} times ({how})."
            )
        if task is not None:
            left.append(task)
