"""Training and evaluating from Python: what the command line does, as two functions."""

import dataclasses
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from structlat_jax import config as configuration
from structlat_jax.agent import Agent, make_agent
from structlat_jax.config import Config
from structlat_jax.envs import Env, registry
from structlat_jax.errors import InputError
from structlat_jax.inference.base import Learned
from structlat_jax.run import finish
from structlat_jax.run.folders import make_folder, require_empty, require_writable
from structlat_jax.run.loggers import Logger, combine
from structlat_jax.run.loop import Job, run
from structlat_jax.run.outcome import Outcome
from structlat_jax.run.plan import Plan, differences, saved_plan, settings
from structlat_jax.store.run_folder import (
    CONFIG_FILE,
    CheckpointError,
    locked,
    read_config,
    write_config,
)
from structlat_jax.train.evaluate import Adaptation
from structlat_jax.train.evaluate import evaluate as evaluate_tasks
from structlat_jax.train.setup import Setup, make_setup
from structlat_jax.types import Key, Task


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
    env: Env | str | Path | None = None,
    *,
    seeds: int = 1,
    seed: int = 0,
    updates: int | None = None,
    evals: int = 10,
    out: str | Path | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 60.0,
    loggers: Iterable[Logger] = (),
) -> Run:
    """Trains agents, evaluates them, and writes a run folder if one is asked for.

    Args:
      config: The configuration; by default the environment's first preset. Or a setup, for instance
        with an inference of one's own; it has its environment.
      env: An environment, or what names one for `envs.make`; by default the configuration's.
      seeds: How many, as one program.
      seed: The first of them.
      updates: Gradient updates per seed, rounded up to whole meta-steps; by default the budget of
        the environment's first preset.
      evals: Evaluations along the learning curve.
      out: A new or empty folder, which holds afterwards what ``structlat train --out`` leaves; by
        default nothing is written.
      resume: Continue what ``out`` holds, if it holds something; with the same arguments.
      checkpoint_seconds: Least time between two checkpoints.
      loggers: Are told every meta-step; closed at the end.

    Raises:
      ConfigError, EnvError, InputError: (all `ValueError`) if an argument is not allowed.
      CheckpointError: (a `ValueError`) if ``out`` is of another run or in use.
      KeyboardInterrupt: if a signal ended it; with ``out``, a checkpoint was written then.
    """
    plan, setup = _plan(config, env, seeds, seed, updates, evals, checkpoint_seconds)
    logger = combine(loggers)
    try:
        if out is None:
            outcome = run(Job(plan, setup, None), False, logger)
            if outcome.interrupted:
                raise KeyboardInterrupt
            return Run(setup, outcome, None)
        out = Path(out)
        _prepare(out, plan, resume)
        with locked(out):
            outcome = run(Job(plan, setup, out), resume, logger)
            if outcome.interrupted:
                raise KeyboardInterrupt
            finish.write(out, setup, outcome, logger.message)
        return Run(setup, outcome, out)
    finally:
        logger.close()


def evaluate(
    agent: Agent | Learned, tasks: Task, key: Key, *, setup: Setup | None = None, **changes: Any
) -> Adaptation:
    """The adaptation protocol on tasks of one's own.

    Args:
      agent: An agent, or the parameters of one seed with the ``setup`` that they belong to.
      tasks: From the environment's ``sample_tasks``, ``[T]``.
      key: For everything random.
      setup: Only with parameters.
      **changes: Fields of the configuration that the evaluation alone reads, for instance
        ``eval_episodes`` or ``eval_repeats``.

    Returns:
      An `Adaptation`, all arrays ``[T, repeats, episodes, ...]``.

    Raises:
      ValueError: if parameters come without a setup.
      ConfigError: if a change is not allowed.
    """
    if isinstance(agent, Agent):
        setup, learned = agent.setup, agent.learned
    elif setup is None:
        raise ValueError("parameters alone do not say how they act: hand their setup over too.")
    else:
        learned = agent
    if changes:
        setup = make_setup(setup.config.replace(**changes), setup.env)
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


def _setup(config: Config | None, env: Env | str | Path | None) -> Setup:
    if isinstance(env, str | Path):
        made = registry.make(env)
    else:
        made = registry.named((Config() if config is None else config).env, env)
    spec = registry.of_object(made)
    own = configuration.preset(None, made, spec)[0] if config is None else config.replace(env=spec)
    return make_setup(own, made)


def _prepare(out: Path, plan: Plan, resume: bool) -> None:
    if resume and (out / CONFIG_FILE).is_file():
        config, data = read_config(out)
        there, here = settings(saved_plan(config, data)), settings(plan)
        different = [name for name in differences(there, here) if name != "preset"]
        if different:
            raise CheckpointError(f"{out} was made with another {', '.join(different)}.")
        require_writable(out)
        return
    require_empty(out, overwrite=False)
    make_folder(out)
    write_config(out, plan.config, **plan.records())
