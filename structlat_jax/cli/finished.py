"""Finished runs that a command was given, opened to be drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from structlat_jax import agent as agents
from structlat_jax.cli import request
from structlat_jax.envs import AnyEnv, EnvError
from structlat_jax.errors import InputError
from structlat_jax.report.case import Case, make_cases
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.run_files import find_runs, read_run
from structlat_jax.run import machine


def cases(runs: Sequence[Path], seed: int, options: dict[str, Any]) -> list[Case]:
    """Opens the runs, each with its environment if that is at hand.

    Args:
      runs: Run folders, or folders that hold some.
      seed: Which seed of each run is drawn, counted from 0.
      options: ``env`` and ``env_options``, for runs whose environment is code of its own.

    Raises:
      InputError, EnvError, CheckpointError, FileNotFoundError: on bad input.
    """
    machine.configure(seeds=1)
    machine.require_devices()
    files = [read_run(path) for path in find_runs(runs)]
    for run in files:
        if seed >= run.seeds:
            raise InputError(
                f"--seed must be from 0 to {run.seeds - 1} (the seeds of {run.path}), not {seed}."
            )
    envs = {run.path: _env(run, options) for run in files}
    return make_cases(
        *(files, seed, lambda run: envs[run.path]),
        lambda run, number: agents.load(run.path, number, env=envs[run.path]),
    )


def _env(run: RunFiles, options: dict[str, Any]) -> AnyEnv | None:
    """The environment of a run; None where it is code that the user has not named: pictures that
    need it are left out. Who names it, or an option of it, wants them."""
    try:
        return request.saved_env(run.config, options)
    except EnvError as error:
        if options["env"] is not None or options["env_options"]:
            raise
        click.echo(f"left out: what needs the environment of {run.path}: {error}")
        return None
