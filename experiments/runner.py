"""The host loop of one run: compile, meta-steps, evaluations, checkpoints, files."""

import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import failures, platform
from experiments.outcome import Lanes, Outcome, last_kl, summary
from experiments.plan import Plan
from experiments.stop import Stop
from structlat_jax import checkpoint
from structlat_jax.report import progress, results
from structlat_jax.train import parallel
from structlat_jax.train.evaluate import oracle_returns
from structlat_jax.train.setup import Setup, make_setup
from structlat_jax.train.state import Metrics


def run(
    plan: Plan,
    out: Path,
    resume: bool,
    meter: progress.Silent,
    lanes: Lanes | None = None,
    store: type[checkpoint.Checkpoints] = checkpoint.Checkpoints,
) -> Outcome:
    """Trains, evaluates and checkpoints; the pictures and tables are the caller's.

    Args:
      plan: What to do.
      out: An existing run folder.
      resume: Continue from its last checkpoint.
      meter: Live output.
      lanes: What to train in place of the plan's seeds and hyper-parameters, ``[plan.seeds]``. They
        may be a part of several runs, so that they go on even if none of them is finite any more.
      store: What keeps the state in ``out``.

    Raises:
      CheckpointError: if there is nothing to resume from.
    """
    ends_early = lanes is None
    if lanes is None:
        lanes = Lanes(plan.seed + np.arange(plan.seeds), plan.config.hyper)
    start = time.perf_counter()
    setup = make_setup(plan.config)
    programs = parallel.make_programs(setup, plan.seeds)
    hyper = parallel.spread(programs, lanes.hyper)
    programs, compile_seconds = parallel.compile_programs(programs, hyper)
    meter.message(f"compiled in {compile_seconds:.1f} s for {len(programs.mesh.devices)} device(s)")
    numbers = parallel.seed_numbers(programs, lanes.seeds)
    state = programs.init(numbers)
    oracle = np.asarray(jax.vmap(lambda t: oracle_returns(setup, t))(state.test_tasks))

    identity = {**plan.records(), **plan.config.to_dict()}
    with store(out, identity=identity) as saved, Stop() as stop:
        rows, first = [], 0
        if resume and saved.latest is not None:
            like = jax.eval_shape(lambda s: jax.tree.map(lambda x: x[: plan.seeds], s), state)
            state, rows = saved.restore(like, meter.message)
            state = parallel.pad(programs, state)
            first = saved.latest
        oracle = oracle[: plan.seeds]
        loop = _Loop(plan, out, programs, hyper, numbers, oracle, meter, rows, ends_early)
        state = loop.go(state, first, saved, stop)
    if stop.asked:  # even after the last meta-step: there may be another run to come
        return Outcome(rows, None, None, None, None, None, {}, interrupted=True)

    kept = (loop.adaptation, state.train_tasks, state.test_tasks, oracle, state.params)
    outcome = Outcome(rows, *parallel.trim(programs, kept), {}, interrupted=False)
    timing = {
        "compile_seconds": compile_seconds,
        "wall_seconds": time.perf_counter() - start + loop.earlier,
        "updates_per_second": loop.rate,
        "jax_version": jax.__version__,
        "device": f"{len(programs.mesh.devices)} x {programs.mesh.devices.flat[0].device_kind}",
    }
    outcome.results = summary(setup, outcome, {**about(plan, setup), **timing})
    return outcome


def about(plan: Plan, setup: Setup) -> dict[str, Any]:
    """The fields of ``results.json`` that follow from the plan."""
    return {
        "preset": plan.preset,
        "env": setup.env.name,
        "seeds": plan.seeds,
        "first_seed": plan.seed,
        "updates": plan.steps * plan.config.structure.updates_per_step,
        "env_steps": plan.steps * setup.env_steps_per_step,
    }


class _Loop:
    """The loop itself, with the little state that its status line needs."""

    def __init__(self, plan, out, programs, hyper, numbers, oracle, meter, rows, ends_early):
        self.out = out
        self.plan, self.programs, self.hyper, self.numbers = plan, programs, hyper, numbers
        self.seeds = parallel.trim(programs, numbers).tolist()
        self.oracle, self.meter, self.rows = oracle, meter, rows
        self.blocks = progress.block_names([b.spec for b in programs.setup.space.blocks])
        self.adaptation = None
        self.failed = failures.found(rows, plan.seeds)
        self.ends_early = ends_early
        self.status = {}
        self.rate = None
        self.earlier = rows[-1]["seconds"] if rows else 0.0  # of the sessions before a resume

    def go(self, state, first, saved, stop):
        """Runs meta-steps ``first`` to the plan's last, unless stopped; returns the state."""
        plan = self.plan
        per_step = plan.config.structure.updates_per_step
        due = set(np.unique(np.linspace(0, plan.steps, plan.evals + 1).round().astype(int))[1:])
        begin = last_save = time.perf_counter()
        training = 0.0
        if first in due and "test_return" not in self.rows[-1]:  # a signal came before it
            self._evaluate(state, first * per_step, self.rows[-plan.seeds :], saved, stop)
        for step in range(first + 1, plan.steps + 1):
            if stop.asked or self._over():
                break
            tick = time.perf_counter()
            state, metrics = self.programs.step(self.hyper, state)
            metrics = jax.tree.map(lambda x: np.asarray(x)[: plan.seeds], metrics)
            training += time.perf_counter() - tick
            self.rate = per_step * (step - first) / training
            rows = self._rows(step * per_step, metrics, self.earlier + time.perf_counter() - begin)
            self.rows.extend(rows)
            self._note_failures(rows, metrics)
            if step in due:
                self._evaluate(state, step * per_step, rows, saved, stop)
            elapsed = time.perf_counter() - begin
            per_update = elapsed / (step - first) / per_step
            self.status.update(
                updates_per_second=self.rate,
                kl=last_kl(self.programs.setup, rows, self.failed),
                seconds_training=elapsed,
                seconds_per_update=per_update,
                seconds_left=per_update * per_step * (plan.steps - step),
            )
            self.meter.advance(step * per_step, self.status)
            last = stop.asked or step == plan.steps or self._over()
            if last or time.perf_counter() - last_save >= plan.checkpoint_seconds:
                platform.return_freed_pieces()  # memory is at its peak now: a copy of the state
                saved.save(step, parallel.trim(self.programs, state), self.rows)
                platform.return_freed_pieces()  # what the writer's threads leave
                results.write_metrics(self.out / "metrics.csv", self.rows)
                last_save = time.perf_counter()
        if self.adaptation is None:  # resumed after the last step: only the files are missing
            updates = len(self.rows) // plan.seeds * per_step
            self._evaluate(state, updates, [{} for _ in range(plan.seeds)], saved, stop)
        return state

    def _note_failures(self, rows, metrics):
        new = failures.mark(rows, metrics.not_finite_at, self.failed)
        self.failed.update(new)
        for index, update in new.items():
            self.meter.message(
                f"seed {rows[index]['seed']} is not finite any more, from update {update:,} on"
            )

    def _over(self):
        """Whether nothing is left to train: no seed is finite any more."""
        return self.ends_early and len(self.failed) == self.plan.seeds

    def _evaluate(self, state, updates, rows, saved, stop):
        """Evaluates and adds what came out to the rows. A signal abandons it: it costs seconds, and
        resuming does it first."""
        eval_round = parallel.place(self.programs, jnp.full_like(self.numbers, updates))
        found = None
        if not stop.asked:
            with stop.abandoning():
                found = self.programs.evaluate(self.hyper, state, self.numbers, eval_round)
                found = parallel.trim(self.programs, found)
        if found is None:
            return
        bad = np.isin(np.arange(self.plan.seeds), list(self.failed))
        # A robot at NaN is not within reach of its goal, and is paid 0: that is no return.
        returns, amortised = (
            np.where(bad[:, None, None, None], np.nan, x) for x in (found.returns, found.amortised)
        )
        self.adaptation = found._replace(returns=returns, amortised=amortised)
        split = self.plan.config.structure.train_tasks
        prior = self.plan.config.structure.eval_prior_episodes
        test, train = returns[:, split:], returns[:, :split]
        for seed, row in enumerate(rows):
            row["test_return"] = float(test[seed, ..., -1].mean())
            row["test_amortised_return"] = float(amortised[seed, split:, :, -1].mean())
            row["train_return"] = float(train[seed, ..., -1].mean())
            row["test_prior_return"] = float(test[seed, ..., :prior].mean())
            row["test_first_posterior_return"] = float(test[seed, ..., prior].mean())
            row["oracle_return"] = float(self.oracle[seed].mean())
        if bad.all():
            return
        mean, best = float(test[~bad, ..., -1].mean()), saved.best
        self.status.update(
            evaluated_at=updates,
            test_return=mean,
            percent_of_oracle=100.0 * mean / float(self.oracle[~bad].mean()),
        )
        # The best on *training* tasks: to choose by test return would be to train on test tasks.
        value = float(train[~bad, ..., -1].mean())
        if best is None or value > best.value:
            step = updates // self.plan.config.structure.updates_per_step
            saved.save_best(step, parallel.trim(self.programs, state.params), value)

    def _rows(self, updates: int, metrics: Metrics, seconds: float) -> list[dict[str, Any]]:
        losses = metrics.losses
        return [
            {
                "updates": updates,
                "seed": number,
                "seconds": round(seconds, 3),
                **{
                    name: float(getattr(losses, name)[seed])
                    for name in losses._fields
                    if name != "kl"
                },
                **{f"kl {name}": float(losses.kl[seed, i]) for i, name in enumerate(self.blocks)},
                "world_dynamics": float(metrics.world.dynamics[seed]),
                "world_reward": float(metrics.world.reward[seed]),
                "kl_weight": float(metrics.kl_weight[seed]),
                "collected_prior_return": float(metrics.prior_return[seed]),
                "collected_explore_return": float(metrics.explore_return[seed]),
                "collected_posterior_return": float(metrics.posterior_return[seed]),
            }
            for seed, number in enumerate(self.seeds)
        ]
