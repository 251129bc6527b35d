"""Several starts of every seed: its first updates are done more than once, each time from other
networks and with other draws, and the start whose training episodes return most goes on.

How the tasks are arranged in z is settled by the first thousands of updates, and may not change
any more: a softmax near an edge of the simplex has next to no gradient towards the corner across.
An arrangement that fits badly is learned slowly, so that it is soon known for what it is. Neither a
test task nor the ground truth has a part in the choice. Tasks are a seed's own, whatever the start.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from structlat_jax.config import Hyper
from structlat_jax.run import failures, machine
from structlat_jax.run.loggers.base import Logger
from structlat_jax.run.loggers.console import QUIET
from structlat_jax.run.measures import step_rows
from structlat_jax.run.plan import Plan
from structlat_jax.run.stop import Stop
from structlat_jax.shapes import data_to_keys, keys_to_data
from structlat_jax.store.checkpoint import Checkpoints
from structlat_jax.store.run_folder import remove
from structlat_jax.train import parallel
from structlat_jax.train.parallel import Programs
from structlat_jax.train.state import COLLECTED, TrainState

FOLDER = "starts"
"""Of a run folder, while its starts are tried: their checkpoints."""

Rows = list[dict[str, Any]]


class Race(NamedTuple):
    """What the starts have come to, ``[S]``, on the host; keys are their data.

    Attributes:
      now: The state of the start that is under way.
      best: Of the best start so far.
      returned: What that one's training episodes return; -inf if it is not finite.
      chosen: Which one it is, counted from 0.
    """

    now: TrainState
    best: TrainState
    returned: np.ndarray
    chosen: np.ndarray

    @property
    def learned(self) -> Any:
        """What acting needs, of the start that is under way."""
        return self.now.learned


class Chosen(NamedTuple):
    """The best start of each seed.

    Attributes:
      state: Theirs, on the devices.
      rows: Of their meta-steps, one per seed and meta-step.
      earlier: Seconds that other sessions have spent on starts.
    """

    state: TrainState
    rows: Rows
    earlier: float


class Given(NamedTuple):
    """What starts are made of.

    Attributes:
      plan: Of the run.
      programs, hyper: Compiled, and of all seeds.
      seeds: Their numbers.
      again: The number of a start, from 1 up, to the state that it begins with, on the devices.
    """

    plan: Plan
    programs: Programs
    hyper: Hyper
    seeds: list[int]
    again: Callable[[int], TrainState]


def steps(plan: Plan) -> int:
    """Meta-steps of each start; 0 where there is nothing to choose from, or where the run is over
    before there was a choice."""
    s = plan.config.structure
    each = -(-s.start_updates // s.updates_per_step)
    return each if s.starts > 1 and each < plan.steps else 0


def extra_steps(plan: Plan) -> int:
    """Meta-steps of a seed that nothing goes on from."""
    return steps(plan) * (plan.config.structure.starts - 1)


def choose(
    given: Given, state: TrainState, saved: Checkpoints | None, logger: Logger, stop: Stop
) -> Chosen | None:
    """Tries all starts, or what is left of them.

    Args:
      given: What they are made of.
      state: What the first begins with, which is lost.
      saved: What keeps them, and may hold some; None to keep nothing.
      logger: Is told how far they are.
      stop: Ends it behind a meta-step, which is saved.

    Returns:
      The best ones; None if it was stopped.

    Raises:
      CheckpointError: if what is kept cannot be used.
      WriteError: if it cannot be written.
    """
    plan, programs = given.plan, given.programs
    each, begin = steps(plan), time.perf_counter()
    like = jax.eval_shape(lambda s: jax.tree.map(lambda x: x[: plan.seeds], s), state)
    race, rows, first = _unbegun(_on_host(programs, state)), [], 0
    if saved is not None and saved.latest is not None:
        race, rows = saved.restore(jax.eval_shape(lambda: race), logger.message)
        first = saved.latest
        state = parallel.pad(programs, data_to_keys(race.now, like))
    earlier = rows[-1]["seconds"] if rows else 0.0
    last_save = last_word = time.perf_counter()
    for index in range(first, each * plan.config.structure.starts):
        start, done = divmod(index, each)
        if done == 0 and start:
            state = given.again(start)
        state, metrics = programs.step(given.hyper, state)
        metrics = {name: np.asarray(x)[: plan.seeds] for name, x in metrics.items()}
        now = time.perf_counter()
        own = rows[start * each * plan.seeds :]
        new = _noted(given, own, metrics, done, earlier + now - begin)
        rows += new
        if done == each - 1:
            returned = _returned(own + new, plan.seeds)
            race = _better(race, _on_host(programs, state), returned, start)
            logger.message(_said(returned, start, plan))
        elif now - last_word >= QUIET:
            last_word = now
            updates = (done + 1) * plan.config.structure.updates_per_step
            logger.message(f"start {start + 1}: {updates:,} of {_updates(plan):,} updates")
        late = now - last_save >= plan.checkpoint_seconds
        if saved is not None and (stop.asked or late):
            machine.return_freed_pieces()
            saved.save(index + 1, race._replace(now=_on_host(programs, state)), rows)
            last_save = time.perf_counter()
        if stop.asked:
            return None
    return _chosen(given, race, rows, like, earlier, earlier + time.perf_counter() - begin, logger)


def kept(
    out: Path | None, store: type[Checkpoints], identity: dict[str, Any]
) -> contextlib.AbstractContextManager[Checkpoints | None]:
    """What keeps the starts of a run in its folder; None where it has none."""
    if out is None:
        return contextlib.nullcontext()
    (out / FOLDER).mkdir(exist_ok=True)
    return store(out / FOLDER, identity=identity)


def clear(out: Path | None) -> None:
    """Removes what `kept` has kept, once the run's own checkpoint is there."""
    if out is not None and (out / FOLDER).is_dir():
        remove(out / FOLDER)


def _unbegun(state: TrainState) -> Race:
    seeds = len(state.updates)
    return Race(state, state, np.full(seeds, -np.inf, np.float32), np.zeros(seeds, np.int32))


def _on_host(programs: Programs, state: TrainState) -> TrainState:
    return parallel.trim(programs, keys_to_data(state))


def _updates(plan: Plan) -> int:
    return steps(plan) * plan.config.structure.updates_per_step


def _noted(given: Given, own: Rows, metrics: dict, done: int, seconds: float) -> Rows:
    """The rows of one meta-step, behind a start's ``own`` ones."""
    not_finite_at = metrics.pop(failures.COLUMN)
    updates = (done + 1) * given.plan.config.structure.updates_per_step
    rows = step_rows(updates, given.seeds, seconds, metrics)
    failures.mark(rows, not_finite_at, failures.found(own, given.plan.seeds))
    return rows


def _returned(own: Rows, seeds: int) -> np.ndarray:
    """What training episodes return in the last third of a start, ``[S]``; -inf of those that are
    not finite."""
    name = next(name for name in COLLECTED if name in own[0])
    table = np.array([row[name] for row in own]).reshape(-1, seeds)
    found = table[-max(1, len(table) // 3) :].mean(axis=0)
    found[list(failures.found(own, seeds))] = -np.inf
    return np.where(np.isfinite(found), found, -np.inf).astype(np.float32)


def _better(race: Race, state: TrainState, returned: np.ndarray, start: int) -> Race:
    """The race after the end of a start, by what its training episodes return, ``[S]``."""
    is_new = (returned > race.returned) | (start == 0)

    def pick(new, old):
        return np.where(is_new.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return race._replace(
        best=jax.tree.map(pick, state, race.best),
        returned=np.where(is_new, returned, race.returned),
        chosen=np.where(is_new, np.int32(start), race.chosen),
    )


def _said(returned: np.ndarray, start: int, plan: Plan) -> str:
    finite = returned[np.isfinite(returned)]
    mean = f"{finite.mean():.2f}" if len(finite) else "nothing finite"
    return f"start {start + 1} of {plan.config.structure.starts}: training episodes return {mean}"


def _chosen(
    given: Given,
    race: Race,
    rows: Rows,
    like: TrainState,
    earlier: float,
    seconds: float,
    logger: Logger,
) -> Chosen:
    plan, each = given.plan, steps(given.plan)
    names = ", ".join(str(start + 1) for start in race.chosen)
    logger.message(f"what goes on from update {_updates(plan):,} is start {names}")
    best = [
        dict(rows[(int(race.chosen[seed]) * each + step) * plan.seeds + seed])
        for step in range(each)
        for seed in range(plan.seeds)
    ]
    for row in best[-plan.seeds :]:  # what follows counts on from here
        row["seconds"] = round(seconds, 3)
    state = parallel.pad(given.programs, data_to_keys(race.best, like))
    return Chosen(state, best, earlier)
