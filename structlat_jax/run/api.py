"""Training and evaluating from Python: what the command line does, as two functions."""

import dataclasses
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from structlat_jax import config as configuration
from structlat_jax import paths, settings
from structlat_jax.agent import Agent, make_agent
from structlat_jax.config import Config
from structlat_jax.envs import AnyEnv, HostEnv, registry
from structlat_jax.envs.host import pools
from structlat_jax.errors import InputError
from structlat_jax.inference.base import Learned
from structlat_jax.run import finish, longer, origins
from structlat_jax.run.folders import make_folder, require_empty, require_writable
from structlat_jax.run.loggers import Logger, combine
from structlat_jax.run.loop import Job, run
from structlat_jax.run.outcome import Outcome
from structlat_jax.run.plan import Plan, differences, saved_plan
from structlat_jax.run.plan import settings as settings_of
from structlat_jax.shapes import Key, Task
from structlat_jax.store.run_folder import (
    CONFIG_FILE,
    CheckpointError,
    locked,
    read_config,
)
from structlat_jax.train import hosted_evaluate
from structlat_jax.train.evaluate import Adaptation
from structlat_jax.train.evaluate import evaluate as evaluate_tasks
from structlat_jax.train.setup import Setup, make_setup


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
      setup: Its configuration and environment.
      outcome: All that it left in memory, ``[S, ...]``.
      path: Its folder, or None.
    """

    setup: Setup
    outcome: Outcome = dataclasses.field(repr=False)
    path: Path | None

    @property
    def results(self) -> dict[str, Any]:
        """The fields of ``results.json``."""
        return self.outcome.results

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of ``metrics.csv``."""
        return self.outcome.rows

    @cached_property
    def adaptation(self) -> dict[str, np.ndarray]:
        """The arrays of ``adaptation.npz``: the last evaluation, for instance ``returns_test
        [seed, task, repeat, episode]``."""
        return finish.arrays(self.setup, self.outcome)

    def agent(self, seed: int = 0) -> Agent:
        """The agent of one seed, counted from 0; raises `ValueError` if there is none."""
        if not 0 <= seed < self.outcome.seeds:
            raise ValueError(f"seed must be from 0 to {self.outcome.seeds - 1}, not {seed}.")
        one = jax.tree.map(lambda x: jax.numpy.asarray(x[seed]), self.outcome.learned)
        return make_agent(self.setup, one)


def train(
    config: Config | Setup | None = None,
    env: AnyEnv | str | Path | None = None,
    *,
    seeds: int = 1,
    seed: int = 0,
    updates: int | None = None,
    evals: int = 10,
    out: str | Path | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 60.0,
    loggers: Iterable[Logger] = (),
    from_run: str | Path | None = None,
    workers: int | str | None = None,
) -> Run:
    """Trains agents, evaluates them, and writes a run folder if one is asked for.

    Args:
      config: The configuration; by default the environment's first preset. Or a setup, for instance
        with an inference of one's own; it has its environment.
      env: An environment, or what names one for `envs.make`; by default the configuration's.
      seeds: How many, as one program.
      seed: The first of them.
      updates: Gradient updates per seed, rounded up to whole meta-steps; by default the budget of
        the environment's first preset, or that of the run that is continued.
      evals: Evaluations along the learning curve.
      out: A new or empty folder, which holds afterwards what ``structlat train --out`` leaves; by
        default nothing is written.
      resume: Continue what ``out`` holds, if it holds something; with the same arguments, but for
        ``updates``: with more than it was started with, a finished run is trained on, and holds
        the bits of one that was started with as many. Schedules go by the updates done; one that
        has ended stays at its end, and a logger is told so.
      checkpoint_seconds: Least time between two checkpoints.
      loggers: Are told every meta-step; closed at the end.
      from_run: A run folder, from the parameters of whose last checkpoint to start: each seed from
        that with the same number, counted from 0, or all from the only one. Replay, moments,
        schedules and tasks are new. Latent, observations, actions and networks must be as wide as
        there.
      workers: Of a host environment: how many processes go through its episodes, one per core by
        default; ``"ray"`` for the cores of a Ray cluster. What comes of a run does not depend on
        it.

    Raises:
      ConfigError, EnvError, InputError: (all `ValueError`) if an argument is not allowed, or if jax
        is set to what these programs cannot be.
      CheckpointError: (a `ValueError`) if ``out`` is of another run or in use.
      KeyboardInterrupt: if a signal ended it; with ``out``, a checkpoint was written then.
    """
    settings.require()
    with pools.workers(workers):
        plan, setup = _plan(config, env, seeds, seed, updates, evals, checkpoint_seconds)
        logger = combine(loggers)
        try:
            if out is None:
                origin = _origin(from_run, setup, plan.seeds)
                return _run(Job(plan, setup, None, origin=origin), False, logger)
            out, before = paths.local("out", out), None
            if resume and (out / CONFIG_FILE).is_file():
                before = _continued(out, plan, from_run)
                plan, origin = longer.to(before, updates), origins.kept(out, setup, plan.seeds)
            else:
                origin = _origin(from_run, setup, plan.seeds)
                _new(out, plan, origin)
            with locked(out):
                if before is not None and (told := longer.begin(out, before, plan)):
                    logger.message(told)
                return _run(Job(plan, setup, out, origin=origin), resume, logger)
        finally:
            logger.close()


def evaluate(
    agent: Agent | Learned,
    tasks: Task,
    key: Key,
    *,
    setup: Setup | None = None,
    workers: int | str | None = None,
    **changes: Any,
) -> Adaptation:
    """The adaptation protocol on tasks of one's own.

    Args:
      agent: An agent, or the parameters of one seed with the ``setup`` that they belong to.
      tasks: From the environment's ``sample_tasks``, ``[T]``.
      key: For everything random.
      setup: Only with parameters.
      workers: As for `train`.
      **changes: Fields of the configuration that the evaluation alone reads, for instance
        ``eval_episodes`` or ``eval_repeats``.

    Returns:
      An `Adaptation`, all arrays ``[T, repeats, episodes, ...]``.

    Raises:
      ValueError: if parameters come without a setup.
      ConfigError: if a change is not allowed.
      InputError: if something is changed in a setup that its configuration does not describe.
    """
    if isinstance(agent, Agent):
        setup, learned = agent.setup, agent.learned
    elif setup is None:
        raise ValueError("parameters alone do not say how they act: hand their setup over too.")
    else:
        learned = agent
    if changes:
        if not setup.described:
            raise InputError(
                "a setup with an inference of one's own is evaluated as it is: its configuration, "
                f"in which {', '.join(changes)} would change, does not say which that is."
            )
        setup = make_setup(setup.config.replace(**changes), setup.env)
    if isinstance(setup.env, HostEnv):
        with pools.workers(workers):
            return hosted_evaluate.evaluate(setup, setup.config.hyper, learned, tasks, key)
    return _evaluate(setup, setup.config.hyper, learned, tasks, key)


# One for all calls, so that a setup is compiled once for each number of tasks.
_evaluate = jax.jit(evaluate_tasks, static_argnums=0)


def _plan(config, env, seeds, seed, updates, evals, checkpoint_seconds) -> tuple[Plan, Setup]:
    if isinstance(config, Setup) and env is not None:
        raise InputError("a setup has its environment; env goes with a configuration.")
    setup = config if isinstance(config, Setup) else _setup(config, env)
    # A setup may have been made from an object, of which its configuration says nothing.
    own = setup.config.replace(env=registry.of_run(setup.config.env, setup.env))
    name = configuration.preset_names(setup.env)[0]
    if updates is None:
        updates = configuration.preset(name, setup.env)[1]
    plan = Plan(own, name, seeds, seed, updates, evals, checkpoint_seconds)
    return plan, setup


def _setup(config: Config | None, env: AnyEnv | str | Path | None) -> Setup:
    if isinstance(env, str | Path):
        made = registry.make(env)
    else:
        made = registry.named((Config() if config is None else config).env, env)
    spec = registry.of_object(made)
    own = configuration.preset(None, made, spec)[0] if config is None else config.replace(env=spec)
    return make_setup(own, made)


def _origin(run: str | Path | None, setup: Setup, seeds: int) -> origins.Origin | None:
    there = None if run is None else paths.local("from_run", run)
    return origins.read(there, setup, seeds)


def _continued(out: Path, plan: Plan, from_run: str | Path | None) -> Plan:
    """The plan of a folder that is to be continued; raises `CheckpointError` if it is another run's
    than ``plan``, whose updates alone may differ."""
    config, data = read_config(out)
    before = saved_plan(config, data)
    there, here = settings_of(before), settings_of(plan)
    if from_run is not None:
        there, here = (
            {**there, "from_run": origins.named(data)},
            {**here, "from_run": str(from_run)},
        )
    different = [n for n in differences(there, here) if n not in ("preset", "updates")]
    if different:
        raise CheckpointError(f"{out} was made with another {', '.join(different)}.")
    require_writable(out)
    return before


def _new(out: Path, plan: Plan, origin: origins.Origin | None) -> None:
    require_empty(out, overwrite=False)
    make_folder(out)
    origins.write_start(out, plan, origin)


def _run(job: Job, resume: bool, logger: Logger) -> Run:
    outcome = run(job, resume, logger)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if job.out is not None:
        finish.write(job.out, job.setup, outcome, logger.message)
    return Run(job.setup, outcome, job.out)
