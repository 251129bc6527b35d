"""Another run, from whose parameters one starts.

Only networks are taken over, as of the other run's last checkpoint. All else starts fresh: replay,
optimisers' moments, schedules, tasks, what training tasks are known by, which inference is chosen,
and networks that the other run does not have. The folder of the new run keeps what it started from,
so that it can be resumed whatever becomes of the other.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from structlat_jax.config import Config
from structlat_jax.errors import InputError
from structlat_jax.inference import chosen
from structlat_jax.inference.base import Learned
from structlat_jax.nets.options import NetworkOptions
from structlat_jax.run.plan import Plan
from structlat_jax.shapes import make_key
from structlat_jax.store import array_files, checkpoint, sealed
from structlat_jax.store.run_folder import CheckpointError, read_config, write_config
from structlat_jax.store.steps import newest
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import Setup
from structlat_jax.train.state import TrainState

FIELD = "origin"
"""Of ``config.json`` and ``results.json``, and the folder of what a run started from."""

_OF_TASKS = ("table", "truth")  # what the other run's training tasks were known by
_INFERENCE = "inference"
_SIZES = [field.name for field in dataclasses.fields(NetworkOptions) if field.name != "init"]


class Origin(NamedTuple):
    """What a run starts from.

    Attributes:
      about: The other run's folder as it was named, and the updates that it had done.
      networks: Parameters by the part of `checkpoint.saved` that they are, ``[S, ...]``, on the
        host.
    """

    about: dict[str, Any]
    networks: dict[str, Any]


def read(run: Path | None, setup: Setup, seeds: int) -> Origin | None:
    """What ``seeds`` seeds of a new run start from: each from the seed of another run with the same
    number, counted from 0, or all from its only one.

    Args:
      run: The other run's folder; None for a fresh start, which is None too.
      setup: Of the new run.
      seeds: Of the new run.

    Raises:
      FileNotFoundError: if the folder holds no run or no checkpoint.
      CheckpointError: if it cannot be read.
      InputError: if its networks have other sizes, or if it has too few seeds or one that is not
        finite.
    """
    if run is None:
        return None
    config, data = read_config(run)
    _require_sizes(run, config, setup)
    there = data.get("seeds")
    if not isinstance(there, int) or there < 1 or 1 < there < seeds:
        raise InputError(
            f"--from {run} has {there} seeds: as many may start from them, or fewer, or any number "
            f"from a run of one seed, but not {seeds}."
        )
    step, _ = newest(run, checkpoint.FOLDER, array_files.places("params"), data)
    found = _networks(run / checkpoint.FOLDER / str(step), setup, there, config)
    kept = {name: jax.tree.map(lambda x: _of_seeds(x, seeds), x) for name, x in found.items()}
    for seed in range(seeds):
        if not all(np.isfinite(x[seed]).all() for x in jax.tree.leaves(kept)):
            raise InputError(f"--from {run}: its seed {min(seed, there - 1)} is not finite.")
    updates = step * config.structure.updates_per_step
    return Origin({"run": str(run), "updates": updates}, kept)


def write_start(out: Path, plan: Plan, origin: Origin | None) -> None:
    """Writes what a new run is into its folder: ``config.json``, and what it starts from; raises
    `WriteError`."""
    write_config(out, plan.config, **plan.records(), **records(origin))
    if origin is not None:
        _keep(out, origin)


def _keep(out: Path, origin: Origin) -> None:
    sealed.write(
        out / FIELD, origin.about, lambda folder: array_files.write(folder, params=origin.networks)
    )


def kept(out: Path, setup: Setup, seeds: int) -> Origin | None:
    """What the run of a folder started from; None if it started fresh.

    Raises:
      CheckpointError: if it should be there and cannot be read.
    """
    config, data = read_config(out)
    if data.get(FIELD) is None:
        return None
    try:
        about = sealed.read(out / FIELD)
    except sealed.DamagedError as error:
        raise CheckpointError(f"what {out} started from cannot be used: {error}.") from None
    return Origin(about, _networks(out / FIELD, setup, seeds, config))


def records(origin: Origin | None) -> dict[str, Any]:
    """What ``config.json`` and ``results.json`` say of it: nothing where a run started fresh."""
    return {} if origin is None else {FIELD: origin.about}


def named(data: dict[str, Any]) -> str | None:
    """The run that one started from, as it was named, by its ``config.json``; None if none."""
    found = data.get(FIELD)
    return found.get("run") if isinstance(found, dict) else None


def begin(setup: Setup, fresh: TrainState, networks: dict[str, Any]) -> TrainState:
    """The state of seeds ``[S]`` that starts from other parameters than ``fresh`` ones."""
    agent = {name: x for name, x in networks.items() if name != _INFERENCE}
    own = fresh.inference_params
    if _INFERENCE in networks:
        own = chosen.fitted(setup.inference, networks[_INFERENCE], own)
    return fresh._replace(params=fresh.params._replace(**agent), inference_params=own)


def _networks(folder: Path, setup: Setup, seeds: int, config: Config) -> dict[str, Any]:
    """Those of a checkpoint that the setup has too."""
    like = checkpoint.saved(Learned(*jax.eval_shape(lambda: init_params(setup, make_key(0)))))
    there = array_files.parts(folder, "params")
    wanted = {name: x for name, x in like.items() if name in there and name not in _OF_TASKS}
    if _INFERENCE in wanted:
        own, auto = chosen.unsettled(wanted[_INFERENCE]), config.structure.inference == "auto"
        wanted[_INFERENCE] = chosen.settle(own, 0) if auto else own
    found = array_files.read(folder, "params", checkpoint.of_seeds(wanted, seeds), parts=True)
    if _INFERENCE in found:
        found[_INFERENCE] = chosen.unsettled(found[_INFERENCE])
    return found


def _of_seeds(array: np.ndarray, seeds: int) -> np.ndarray:
    return np.repeat(array, seeds, axis=0) if len(array) == 1 else array[:seeds]


def _require_sizes(run: Path, config: Config, setup: Setup) -> None:
    """Raises `InputError` with what differs unless the networks that both have are of one size."""
    different = "; ".join(
        f"{name} is {value} there and {here} here"
        for name, (value, here) in _sizes(config, setup).items()
        if value != here
    )
    if different:
        raise InputError(f"--from {run} has networks of other sizes: {different}.")


def _sizes(config: Config, setup: Setup) -> dict[str, tuple[Any, Any]]:
    """What the sizes of networks depend on, there and here."""
    there, here = config.structure, setup.structure
    found = {"latent": (str(config.latent_space()), str(setup.space))}
    sizes = {"obs_dim": setup.env.obs_dim, "action_dim": setup.env.action_dim}
    for (name, size), other in zip(sizes.items(), config.env.widths, strict=False):
        found[name] = (other, size)
    names = list(_SIZES)
    names += ["decoder_width"] if there.tasks_are_known and here.tasks_are_known else []
    world = ("auto", "hypotheses")
    names += ["world_width"] if there.inference in world and here.inference in world else []
    return found | {name: (getattr(there, name), getattr(here, name)) for name in names}
