"""Checkpoints: the whole training state, written atomically, and read back.

A run folder holds ``config.json`` and ``checkpoint/<meta-step>/``, each a sealed folder (see
`sealed`) with ``arrays/state.npz`` (everything, replay and keys included), ``arrays/params.npz``
(what acting needs, so that loading an agent does not read the replay), ``history.json`` (the
metrics so far) and, in its seal, the schema version and the configuration. ``best/<meta-step>/``
is the same without state and history. Nothing is pickled: opening a stranger's folder executes no
code.
"""

import contextlib
import functools
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax

from structlat_jax.inference.base import Learned
from structlat_jax.shapes import data_to_keys, keys_to_data, make_key
from structlat_jax.store import array_files, sealed
from structlat_jax.store.run_folder import (
    CONFIG_FILE,
    CheckpointError,
    WriteError,
    read_config,
    read_json,
    remove,
    tidy,
    write_config,
    write_json,
    write_whole,
)
from structlat_jax.store.steps import Tell, newest, steps
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import Setup

__all__ = [
    "CONFIG_FILE",
    "CheckpointError",
    "Checkpoints",
    "WriteError",
    "last_step",
    "load_learned",
    "read_config",
    "write_config",
    "write_json",
    "write_whole",
]

FOLDER, _BEST_FOLDER = "checkpoint", "best"
_HISTORY_FILE = "history.json"
_MOST_HISTORY = 2**31  # bytes: of some million rows


class Best(NamedTuple):
    """The best agent so far: after which meta-step, and how good it was."""

    step: int
    value: float


class Checkpoints:
    """The checkpoints of one run folder: the last ``keep`` of them, and the best agent.

    Args:
      run: The run folder, which only this process writes to (see `run_folder.locked`).
      keep: How many to keep, the best one apart.
      identity: What ``config.json`` says; checkpoints of another identity are not read.
    """

    def __init__(self, run: Path, keep: int = 2, identity: dict[str, Any] | None = None):
        self._run, self._keep, self._identity = run, keep, identity or {}
        for folder in (self._run, self._run / FOLDER, self._run / _BEST_FOLDER):
            tidy(folder)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def latest(self) -> int | None:
        """The last meta-step that was saved, or None."""
        return next(iter(steps(self._run / FOLDER)), None)

    @property
    def best(self) -> Best | None:
        """The best agent that was saved, or None."""
        for step in steps(folder := self._run / _BEST_FOLDER):
            with contextlib.suppress(sealed.DamagedError, TypeError, KeyError, ValueError):
                return Best(step, float(sealed.read(folder / str(step))["value"]))
        return None

    def save(self, step: int, state: Any, history: list[dict[str, Any]]) -> None:
        """Writes the state after a meta-step.

        Raises:
          WriteError: if it cannot be written; the checkpoints before it are intact.
        """
        plain = jax.device_get(keys_to_data(state))  # on the host: any set of devices may resume

        def fill(folder):
            array_files.write(folder, state=plain, params=saved(plain.learned))
            (folder / _HISTORY_FILE).write_text(json.dumps(history))

        self._write(FOLDER, step, {}, fill, self._keep)

    def save_params(self, step: int, learned: Learned) -> None:
        """Writes only what acting needs, for a run whose state is kept elsewhere.

        Raises:
          WriteError: as `save`.
        """
        fill = functools.partial(array_files.write, params=saved(jax.device_get(learned)))
        self._write(FOLDER, step, {}, fill, self._keep)

    def save_best(self, step: int, learned: Learned, value: float) -> None:
        """Writes the parameters after a meta-step as the best so far, in place of those before.

        Raises:
          WriteError: if they cannot be written; those before are intact.
        """
        fill = functools.partial(array_files.write, params=saved(jax.device_get(learned)))
        self._write(_BEST_FOLDER, step, {"value": value}, fill, keep=1)

    def restore(self, like: Any, tell: Tell = warnings.warn) -> tuple[Any, list[dict[str, Any]]]:
        """The last state and history that are undamaged, on the host.

        Damaged checkpoints after it are removed.

        Args:
          like: A state that gives the structure and the shapes.
          tell: Called with a sentence if a damaged checkpoint is passed over.

        Raises:
          CheckpointError: if there is none, or if it belongs to another run or does not fit.
        """
        if self.latest is None:
            raise CheckpointError(f"{self._run} has no checkpoint to resume from.")
        step, damaged = newest(self._run, FOLDER, (), self._identity, tell)
        folder = self._run / FOLDER / str(step)
        found = array_files.read(folder, "state", jax.eval_shape(keys_to_data, like))
        history = read_json(folder / _HISTORY_FILE, _MOST_HISTORY)
        for later in damaged:
            remove(self._run / FOLDER / str(later))
        return data_to_keys(found, like), history

    def _write(self, name, step, about, fill, keep):
        folder = self._run / name
        about = {"step": step, "run": self._identity, **about}
        try:
            sealed.write(folder / str(step), about, fill)
            for old in [s for s in steps(folder) if s != step][keep - 1 :]:
                remove(folder / str(old))
        except (OSError, WriteError) as error:
            before = [s for s in steps(self._run / FOLDER) if s != step][:1]
            kept = (
                f" Checkpoint {before[0]} is intact; --resume continues from it." if before else ""
            )
            raise WriteError(f"{str(error).rstrip('.')}.{kept}") from None


def load_learned(
    run: Path, seed: int, setup: Setup, best: bool = False, tell: Tell = warnings.warn
) -> Learned:
    """What one seed, counted from 0, has learned.

    Args:
      run: A run folder.
      seed: Which of its seeds.
      setup: Of its configuration and environment, whose networks the parameters must fit.
      best: As of the best evaluation on training tasks, mean over seeds, instead of the last.
      tell: Called with a sentence if a damaged checkpoint is passed over.

    Raises:
      FileNotFoundError: if the folder holds no run or no checkpoint.
      CheckpointError: if it cannot be read, has no such seed, or does not fit.
    """
    _, data = read_config(run)
    seeds = data.get("seeds")
    if not isinstance(seeds, int) or not 0 <= seed < seeds:
        raise CheckpointError(f"seed must be from 0 to {seeds} - 1 (the run's seeds), not {seed}.")
    name = _BEST_FOLDER if best else FOLDER
    step, _ = newest(run, name, array_files.places("params"), data, tell)
    like = Learned(*jax.eval_shape(lambda: init_params(setup, make_key(0))))
    found = array_files.read(
        run / name / str(step), "params", of_seeds(saved(like), seeds), parts=True
    )
    return restored(jax.tree.map(lambda x: jax.numpy.asarray(x[seed]), found), like)


def of_seeds(tree: Any, seeds: int) -> Any:
    """The shapes of one seed's arrays as those of several, ``[seeds, ...]``."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((seeds, *x.shape), x.dtype), tree)


def last_step(run: Path, identity: dict[str, Any], tell: Tell = warnings.warn) -> int | None:
    """The meta-step of the newest undamaged checkpoint, from which training can go on.

    Args:
      run: A run folder.
      identity, tell: As for `Checkpoints` and `load_learned`.

    Returns:
      The meta-step; None if nothing was saved yet.

    Raises:
      CheckpointError: if none can be used, or if it has no state.
    """
    if not steps(run / FOLDER):
        return None
    step, _ = newest(run, FOLDER, (), identity, tell)
    if not (run / FOLDER / str(step) / array_files.places("state")[0]).is_file():
        raise CheckpointError(
            f"{run} keeps parameters alone, as the runs of a sweep or of an earlier version do, so "
            "it cannot be trained on; --from starts another run from them."
        )
    return step


def saved(learned: Learned) -> dict[str, Any]:
    """What was learned as it is stored: the agent's networks by name, and the inference's own."""
    return {**learned.agent._asdict(), "inference": learned.inference}


def restored(data: dict[str, Any], like: Learned) -> Learned:
    """The inverse of `saved`; ``like`` gives the structure."""
    own = {**data}
    return Learned(inference=own.pop("inference"), agent=type(like.agent)(**own))
