"""Finished runs with numbers that were made up, so that a test knows what is to come out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import config

from structlat_jax.config import Config
from structlat_jax.report import results
from structlat_jax.report.run_files import ADAPTATION_FILE, METRICS_FILE, RESULTS_FILE, RunFiles
from structlat_jax.run import lanes
from structlat_jax.run.members import Member
from structlat_jax.store.checkpoint import write_config

CURVE = (0.0, 0.25, 0.5, 1.0)
"""Return of each episode over that of the last; the first two are from the prior."""

ORACLE = 16.0

AMORTISED = 0.5
"""Return with the encoder's posterior over that with the configured inference."""


def run(latent: str, per_seed: list[float], path: Path = Path("run"), **results_: object):
    """A run in memory whose last test return is ``per_seed [S]`` on every task and repeat."""
    return run_of(config(latent=latent), per_seed, path, **results_)


def run_of(made: Config, per_seed: list[float], path: Path, **changes: object) -> RunFiles:
    """`run` for a configuration; ``changes`` are to ``results.json``. An episode succeeds if it is
    paid, and the untrained policy is paid nothing."""
    seeds, s = len(per_seed), made.structure
    arrays = {}
    for kind, tasks, factor in (("test", s.test_tasks, 1.0), ("train", s.seen_tasks, 1.5)):
        axes = (seeds, tasks, s.eval_repeats, s.eval_episodes)
        last = np.reshape(per_seed, (seeds, 1, 1, 1)) * factor
        arrays[f"returns_{kind}"] = last * np.broadcast_to(CURVE, axes)
        arrays[f"amortised_{kind}"] = AMORTISED * arrays[f"returns_{kind}"]
        for name in ("path", "z", "belief", "kl"):
            arrays[f"{name}_{kind}"] = np.zeros((*axes, 2))
        arrays[f"success_{kind}"] = arrays[f"returns_{kind}"] > 0
        arrays[f"length_{kind}"] = np.ones(axes, int)
        arrays[f"oracle_{kind}"] = np.full((seeds, tasks), ORACLE)
        arrays[f"floor_{kind}"] = np.zeros((seeds, tasks))
        arrays[f"label_{kind}"] = np.zeros((seeds, tasks))
    said = {
        "schema_version": results.RESULTS_SCHEMA,
        "preset": "cpu",
        "env": "point_robot",
        "seeds": seeds,
        "first_seed": 0,
        "updates": 20,
        "wall_seconds": 70.0,
        "compile_seconds": 10.0,
        "jax_version": "0",
        "device": "2 x cpu",
    }
    metrics = {"updates": np.array([20.0])}
    return RunFiles(path, made, {**said, **changes}, arrays, metrics)


def unknown(made: RunFiles, low: float = -80.0, high: float = -20.0) -> RunFiles:
    """The same with returns from ``low``, the floor, to ``high``, and without all that an
    environment need not have."""
    kept = {
        name: array
        for name, array in made.arrays.items()
        if name.partition("_")[0] not in ("success", "oracle", "amortised", "goal")
    }
    most = max(float(np.max(kept[f"returns_{kind}"])) for kind in ("test", "train"))
    for kind in ("test", "train"):
        kept[f"returns_{kind}"] = low + (high - low) * kept[f"returns_{kind}"] / most
        kept[f"floor_{kind}"] = np.full(kept[f"floor_{kind}"].shape, low)
    return made._replace(arrays=kept)


def write(made: RunFiles, **records: object) -> None:
    """Writes the run folder; ``records`` go into ``config.json``."""
    made.path.mkdir(parents=True, exist_ok=True)
    write_config(made.path, made.config, **records)
    results.write_adaptation(made.path / ADAPTATION_FILE, made.arrays)
    results.write_metrics(made.path / METRICS_FILE, [{"updates": 20, "seed": 0}])
    results.write_results(made.path / RESULTS_FILE, made.results)


def in_place_of_training(
    patch: pytest.MonkeyPatch,
    returns: Callable[[Member], list[float]],
    said: Callable[[Member], dict[str, Any]] = lambda member: {},
) -> list[list[Member]]:
    """Runs are made up where a program would train them.

    Args:
      patch: Undoes it.
      returns: Of a run, by seed; see `run`.
      said: Changes to its ``results.json``.

    Returns:
      The groups that were to be trained together, which come as they are asked for.
    """
    asked = []

    def train(group, out, logger):
        asked.append(list(group.members))
        for one in group.members:
            made = run_of(one.plan.config, returns(one), one.folder, **said(one))
            write(made, **one.plan.records())

    patch.setattr(lanes, "train", train)
    return asked
