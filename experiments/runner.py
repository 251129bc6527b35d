"""The host loop of one run: compile, meta-steps, evaluations, checkpoints, files."""

import dataclasses
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.outcome import Lanes, Outcome, last_kl, summary
from structlat_jax import checkpoint, sweep
from structlat_jax.config import PRESETS, Config, ConfigError
from structlat_jax.evaluate import oracle_returns
from structlat_jax.meta_train import Metrics
from structlat_jax.report import progress, results
from structlat_jax.setup import Setup, make_setup

PLAN_LIMITS = {
    "seeds": (int, 1, 100_000),
    "seed": (int, 0, 2**31 - 1),
    "updates": (int, 1, 10**9),
    "evals": (int, 1, 10_000),
    "checkpoint_seconds": ((int, float), 0, 10**9),
}
"""Type, least and greatest value of each number in a `Plan`."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run is to do.

    Attributes:
      config: The configuration.
      preset: The preset's name, for the records.
      seeds: How many seeds.
      seed: The first seed.
      updates: Gradient updates per seed, rounded up to whole meta-steps.
      evals: Points of the learning curve.
      checkpoint_seconds: Least time between two checkpoints.
    """

    config: Config
    preset: str
    seeds: int
    seed: int
    updates: int
    evals: int
    checkpoint_seconds: float

    def __post_init__(self):
        if self.preset not in PRESETS:
            raise ConfigError(f"preset must be one of {', '.join(PRESETS)}, not {self.preset!r}.")
        for name, (kind, low, high) in PLAN_LIMITS.items():
            value = getattr(self, name)
            right_type = isinstance(value, kind) and not isinstance(value, bool)
            if not right_type or not low <= value <= high:
                what = "a whole number" if kind is int else "a number"
                raise ConfigError(f"{name} must be {what} from {low} to {high}, not {value!r}.")

    @property
    def steps(self) -> int:
        """Meta-steps."""
        return -(-self.updates // self.config.structure.updates_per_step)

    def records(self) -> dict[str, Any]:
        """The fields of ``config.json`` beside the configuration."""
        own = dataclasses.asdict(self)
        del own["config"]
        return own


class _Stop:
    """Turns SIGINT and SIGTERM into a flag that is read after each meta-step."""

    def __init__(self):
        self.asked = False

    def __enter__(self) -> "_Stop":
        self._before = {s: signal.signal(s, self._ask) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self.asked = True


def run(
    plan: Plan,
    out: Path,
    resume: bool,
    meter: progress.Silent,
    lanes: Lanes | None = None,
    store: Callable[[Path], Any] = checkpoint.Checkpoints,
) -> Outcome:
    """Trains, evaluates and checkpoints; the pictures and tables are the caller's.

    Args:
      plan: What to do.
      out: An existing run folder.
      resume: Continue from its last checkpoint.
      meter: Live output.
      lanes: What to train in place of the plan's seeds and hyper-parameters, ``[plan.seeds]``.
      store: Opens what keeps the state in ``out``.

    Raises:
      CheckpointError: if there is nothing to resume from.
    """
    if lanes is None:
        lanes = Lanes(plan.seed + np.arange(plan.seeds), plan.config.hyper)
    start = time.perf_counter()
    setup = make_setup(plan.config)
    programs = sweep.make_programs(setup, plan.seeds)
    hyper = sweep.spread(programs, lanes.hyper)
    programs, compile_seconds = sweep.compile_programs(programs, hyper)
    meter.message(f"compiled in {compile_seconds:.1f} s for {len(programs.mesh.devices)} device(s)")
    numbers = sweep.seed_numbers(programs, lanes.seeds)
    state = programs.init(numbers)
    oracle = np.asarray(jax.vmap(lambda t: oracle_returns(setup, t))(state.test_tasks))

    with store(out) as saved, _Stop() as stop:
        rows, first = [], 0
        if resume and saved.latest is not None:
            like = jax.eval_shape(lambda s: jax.tree.map(lambda x: x[: plan.seeds], s), state)
            state, rows = saved.restore(like)
            state = sweep.pad(programs, state)
            first = saved.latest
        loop = _Loop(plan, out, programs, hyper, numbers, oracle[: plan.seeds], meter, rows)
        state = loop.go(state, first, saved, stop)
    if stop.asked:  # even after the last meta-step: there may be another run to come
        return Outcome(rows, None, None, None, None, None, {}, interrupted=True)

    kept = (loop.adaptation, state.train_tasks, state.test_tasks, oracle, state.params)
    outcome = Outcome(rows, *sweep.trim(programs, kept), {}, interrupted=False)
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

    def __init__(self, plan, out, programs, hyper, numbers, oracle, meter, rows):
        self.out = out
        self.plan, self.programs, self.hyper, self.numbers = plan, programs, hyper, numbers
        self.seeds = sweep.trim(programs, numbers).tolist()
        self.oracle, self.meter, self.rows = oracle, meter, rows
        self.blocks = progress.block_names([b.spec for b in programs.setup.space.blocks])
        self.adaptation = None
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
        for step in range(first + 1, plan.steps + 1):
            tick = time.perf_counter()
            state, metrics = self.programs.step(self.hyper, state)
            metrics = jax.tree.map(lambda x: np.asarray(x)[: plan.seeds], metrics)
            training += time.perf_counter() - tick
            self.rate = per_step * (step - first) / training
            rows = self._rows(step * per_step, metrics, self.earlier + time.perf_counter() - begin)
            if step in due:
                self._evaluate(state, step * per_step, rows)
            self.rows.extend(rows)
            elapsed = time.perf_counter() - begin
            per_update = elapsed / (step - first) / per_step
            self.status.update(
                updates_per_second=self.rate,
                kl=last_kl(self.programs.setup, self.rows[-plan.seeds :]),
                seconds_training=elapsed,
                seconds_per_update=per_update,
                seconds_left=per_update * per_step * (plan.steps - step),
            )
            self.meter.advance(step * per_step, self.status)
            waited = time.perf_counter() - last_save
            if stop.asked or step == plan.steps or waited >= plan.checkpoint_seconds:
                saved.save(step, sweep.trim(self.programs, state), self.rows)
                results.write_metrics(self.out / "metrics.csv", self.rows)
                last_save = time.perf_counter()
            if stop.asked:
                return state
        if self.adaptation is None:  # resumed after the last step: only the files are missing
            self._evaluate(state, plan.steps * per_step, [{} for _ in range(plan.seeds)])
        return state

    def _evaluate(self, state, updates, rows):
        split = self.plan.config.structure.train_tasks
        prior = self.plan.config.structure.eval_prior_episodes
        eval_round = sweep.place(self.programs, jnp.full_like(self.numbers, updates))
        self.adaptation = self.programs.evaluate(self.hyper, state, self.numbers, eval_round)
        returns, amortised = (
            np.asarray(x)[: self.plan.seeds]
            for x in (self.adaptation.returns, self.adaptation.amortised)
        )
        test, train = returns[:, split:], returns[:, :split]
        for seed, row in enumerate(rows):
            row["test_return"] = float(test[seed, ..., -1].mean())
            row["test_amortised_return"] = float(amortised[seed, split:, :, -1].mean())
            row["train_return"] = float(train[seed, ..., -1].mean())
            row["test_prior_return"] = float(test[seed, ..., :prior].mean())
            row["test_first_posterior_return"] = float(test[seed, ..., prior].mean())
            row["oracle_return"] = float(self.oracle[seed].mean())
        mean = float(test[..., -1].mean())
        self.status.update(
            evaluated_at=updates,
            test_return=mean,
            percent_of_oracle=100.0 * mean / float(self.oracle.mean()),
        )

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
                "kl_weight": float(metrics.kl_weight[seed]),
                "collected_prior_return": float(metrics.prior_return[seed]),
                "collected_explore_return": float(metrics.explore_return[seed]),
                "collected_posterior_return": float(metrics.posterior_return[seed]),
            }
            for seed, number in enumerate(self.seeds)
        ]
