"""The host loop of one run: compile, meta-steps, evaluations, checkpoints, files."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from structlat_jax import settings
from structlat_jax.inference import chosen
from structlat_jax.report import results
from structlat_jax.run import failures, machine, origins, starts
from structlat_jax.run.loggers.base import Logger
from structlat_jax.run.measures import evaluation_metrics, step_rows
from structlat_jax.run.outcome import Lanes, Outcome, summary
from structlat_jax.run.plan import Plan
from structlat_jax.run.stop import Stop
from structlat_jax.store import checkpoint
from structlat_jax.store.run_folder import CheckpointError
from structlat_jax.train import parallel, repeats
from structlat_jax.train.setup import Setup


@dataclasses.dataclass(frozen=True)
class Job:
    """One run as its loop sees it.

    Attributes:
      plan: What to do.
      setup: Of its configuration and environment.
      out: An existing run folder, or None to keep everything in memory.
      lanes: What to train in place of the plan's seeds and hyper-parameters, ``[plan.seeds]``.
      store: What keeps the state in ``out``.
      origin: What to start from in place of fresh parameters.
    """

    plan: Plan
    setup: Setup
    out: Path | None
    lanes: Lanes | None = None
    store: type[checkpoint.Checkpoints] = checkpoint.Checkpoints
    origin: origins.Origin | None = None


def run(job: Job, resume: bool, logger: Logger) -> Outcome:
    """Trains, evaluates and checkpoints; the pictures and tables are the caller's.

    Args:
      job: The run.
      resume: Continue from its last checkpoint, if there is one.
      logger: Is told what happens; not closed.

    Raises:
      CheckpointError: if its checkpoints cannot be used.
      WriteError: if something cannot be written.
    """
    plan, setup = job.plan, job.setup
    if settings.interpreted():
        logger.message(settings.SLOWLY)
    lanes = job.lanes or Lanes(plan.seed + np.arange(plan.seeds), plan.config.hyper)
    start = time.perf_counter()
    programs = parallel.make_programs(setup, plan.seeds)
    hyper = parallel.spread(programs, lanes.hyper)
    programs, compile_seconds = parallel.compile_programs(programs, hyper)
    devices = len(programs.mesh.devices)
    logger.message(f"compiled in {compile_seconds:.1f} s for {devices} device(s)")
    numbers = parallel.seed_numbers(programs, lanes.seeds)

    def begun(state):
        if job.origin is None:
            return state
        return origins.begin(setup, state, parallel.pad(programs, job.origin.networks))

    def again(attempt):
        return begun(programs.restart(numbers, attempt))

    state = programs.init(numbers)
    tasks = (state.train_tasks, state.test_tasks)
    references = parallel.trim(programs, programs.references(state.params, *tasks, numbers))
    state = begun(state)

    with _store(job) as saved, Stop() as stop:
        rows, first, earlier = [], 0, 0.0
        if resume and saved is not None and saved.latest is not None:
            like = jax.eval_shape(lambda s: jax.tree.map(lambda x: x[: plan.seeds], s), state)
            state, rows = saved.restore(like, logger.message)
            state = parallel.pad(programs, state)
            first = saved.latest
            if first > plan.steps:
                raise CheckpointError(
                    f"{job.out} has done more updates than its configuration says."
                )
            earlier = rows[-1]["seconds"]
        elif starts.steps(plan):
            with starts.kept(job.out, job.store, plan.identity()) as tried:
                given = starts.Given(plan, programs, hyper, lanes.seeds.tolist(), again)
                best = starts.choose(given, state, tried, logger, stop)
            if best is None:
                return Outcome(rows, None, None, None, None, None, {}, interrupted=True)
            state, rows, earlier = best
            first = starts.steps(plan)
            if saved is not None:
                saved.save(first, parallel.trim(programs, state), rows)
        starts.clear(job.out)
        loop = _Loop(job, programs, hyper, numbers, references, logger, rows, saved, stop)
        state = loop.go(state, first)
    if stop.asked:  # even after the last meta-step: there may be another run to come
        return Outcome(rows, None, None, None, None, None, {}, interrupted=True)

    kept = (loop.adaptation, state.train_tasks, state.test_tasks)
    adaptation, known, held_out, learned = parallel.trim(programs, (*kept, state.learned))
    seen = parallel.seen_tasks(setup, known, axis=1)
    outcome = Outcome(rows, adaptation, seen, held_out, references, learned, {}, interrupted=False)
    timing = {
        "compile_seconds": compile_seconds,
        "wall_seconds": time.perf_counter() - start + earlier,
        "updates_per_second": loop.rate,
        "jax_version": jax.__version__,
        "device": f"{devices} x {programs.mesh.devices.flat[0].device_kind}",
    }
    told = {**about(plan, setup), **origins.records(job.origin)}
    outcome.results = summary(setup, outcome, {**told, **timing})
    return outcome


def about(plan: Plan, setup: Setup) -> dict[str, Any]:
    """The fields of ``results.json`` that follow from the plan."""
    return {
        "preset": plan.preset,
        "env": setup.env.name,
        "env_options": dict(plan.config.env.options),
        "seeds": plan.seeds,
        "first_seed": plan.seed,
        "updates": plan.whole_updates,
        "env_steps": (plan.steps + starts.extra_steps(plan)) * setup.env_steps_per_step,
        "inference": setup.inference.name,
    }


@contextlib.contextmanager
def _store(job: Job) -> Iterator[checkpoint.Checkpoints | None]:
    if job.out is None:
        yield None
        return
    with job.store(job.out, identity=job.plan.identity()) as saved:
        yield saved


class _Loop:
    """The loop itself, with the little state that it needs."""

    def __init__(self, job, programs, hyper, numbers, references, logger, rows, saved, stop):
        self.job, self.plan = job, job.plan
        self.programs, self.hyper, self.numbers = programs, hyper, numbers
        self.seeds = parallel.trim(programs, numbers).tolist()
        self.logger, self.rows, self.saved, self.stop = logger, rows, saved, stop
        self.adaptation = None
        self.failed = failures.found(rows, self.plan.seeds)
        self.rate = None
        self.earlier = rows[-1]["seconds"] if rows else 0.0  # of other sessions, and of starts
        self.references = references

    def go(self, state, first):
        """Runs meta-steps ``first`` to the plan's last, unless stopped; returns the state."""
        plan = self.plan
        per_step = plan.config.structure.updates_per_step
        due = set(np.unique(np.linspace(0, plan.steps, plan.evals + 1).round().astype(int))[1:])
        begin = last_save = time.perf_counter()
        training = 0.0
        if first in due and "test_return" not in self.rows[-1]:  # a signal came before it
            rows = self.rows[-plan.seeds :]
            state = self._evaluate(state, first * per_step, rows, last=first == plan.steps)
            self.logger.log(first * per_step, _columns(rows))
        for step in range(first + 1, plan.steps + 1):
            if self.stop.asked or self._over():
                break
            tick = time.perf_counter()
            state, metrics = self.programs.step(self.hyper, state)
            metrics = {name: np.asarray(x)[: plan.seeds] for name, x in metrics.items()}
            training += time.perf_counter() - tick
            self.rate = per_step * (step - first) / training
            seconds = self.earlier + time.perf_counter() - begin
            rows = self._rows(step * per_step, metrics, seconds)
            self.rows.extend(rows)
            ended = step == plan.steps or self._over()
            if step in due:
                state = self._evaluate(state, step * per_step, rows, last=ended)
            self.logger.log(step * per_step, _columns(rows))
            late = time.perf_counter() - last_save >= plan.checkpoint_seconds
            if self.stop.asked or ended or late:
                self._save(step, state)
                last_save = time.perf_counter()
        # Resumed after the last step, so that only the files are missing, or ended before it.
        if self.adaptation is None:
            updates = len(self.rows) // plan.seeds * per_step
            state = self._evaluate(state, updates, [{} for _ in range(plan.seeds)], last=True)
        return state

    def _save(self, step, state):
        if self.saved is None:
            return
        machine.return_freed_pieces()  # memory is at its peak now: a copy of the state
        self.saved.save(step, parallel.trim(self.programs, state), self.rows)
        machine.return_freed_pieces()  # what the writer's threads leave
        results.write_metrics(self.job.out / "metrics.csv", self.rows)

    def _over(self):
        """Whether nothing is left to train: no seed is finite any more."""
        return len(self.failed) == self.plan.seeds

    def _evaluate(self, state, updates, rows, last):
        """Evaluates, adds what came out to the rows, and returns the state with the inference that
        was chosen. The last one has all repeats, and is what the results are made of; the points of
        the learning curve before it have one, since they would take longer than training.

        A signal abandons it: it costs seconds, and resuming does it first."""
        given = (self.programs, self.hyper, state, self.numbers, updates)
        found = None
        if not self.stop.asked:
            with self.stop.abandoning():
                found = repeats.evaluate(*given, repeats=None if last else 1)
        if found is None:
            return state
        found, selection = found
        if selection is not None:
            number = parallel.pad(self.programs, selection.chosen)
            own = chosen.settle(state.inference_params, number)
            state = state._replace(inference_params=own)
        bad = np.isin(np.arange(self.plan.seeds), list(self.failed))
        self.adaptation = _without(found, bad)
        columns = evaluation_metrics(self.job.setup, self.adaptation, self.references, selection)
        for seed, row in enumerate(rows):
            row.update({name: float(values[seed]) for name, values in columns.items()})
        if bad.all() or self.saved is None:
            return state
        # The best on *training* tasks: to choose by test return would be to train on test tasks.
        value, best = float(columns["train_return"][~bad].mean()), self.saved.best
        if best is None or value > best.value:
            step = updates // self.plan.config.structure.updates_per_step
            self.saved.save_best(step, parallel.trim(self.programs, state.learned), value)
        return state

    def _rows(self, updates: int, metrics: dict, seconds: float) -> list[dict[str, Any]]:
        """One row per seed; notes which seeds have just stopped being finite."""
        metrics = dict(metrics)
        not_finite_at = metrics.pop("not_finite_at")
        rows = step_rows(updates, self.seeds, seconds, metrics)
        new = failures.mark(rows, not_finite_at, self.failed)
        self.failed.update(new)
        if new:
            self.adaptation = None  # the last evaluation knows nothing of it
        for index, update in new.items():
            self.logger.message(
                f"seed {rows[index]['seed']} is not finite any more, from update {update:,} on"
            )
        return rows


def _columns(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """The rows of one meta-step as a logger has them, but for what names them."""
    names = dict.fromkeys(name for row in rows for name in row if name not in ("updates", "seed"))
    return {name: np.array([row.get(name, np.nan) for row in rows], float) for name in names}


def _without(adaptation, bad):
    """Returns of seeds that are not finite are no returns, whatever an environment pays for NaN."""

    def blank(x):
        return None if x is None else np.where(bad[:, None, None, None], np.nan, x)

    return adaptation._replace(returns=blank(adaptation.returns), encoder=blank(adaptation.encoder))


__all__ = ["Job", "Lanes", "about", "run"]
