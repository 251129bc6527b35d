"""Run folders on disk: the whole training state, written atomically by orbax, and read back.

A run folder holds ``config.json`` and ``checkpoint/<meta-step>/``, each with three items:
``state`` (everything, replay and keys included), ``params`` (what acting needs, so that loading an
agent does not read the replay) and ``history`` (the metrics so far). Nothing is pickled: opening a
stranger's folder executes no code.
"""

import json
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from structlat_jax.config import SCHEMA_VERSION, Config, ConfigError
from structlat_jax.networks import AgentParams

CONFIG_FILE = "config.json"
_FOLDER = "checkpoint"


class CheckpointError(ValueError):
    """A run folder that cannot be read; the message says which and why."""


class Checkpoints:
    """The checkpoints of one run folder, the last ``keep`` of them.

    A context manager; leaving it waits for writes under way.
    """

    def __init__(self, run: Path, keep: int = 2):
        (run / _FOLDER).mkdir(parents=True, exist_ok=True)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, create=False, multiprocessing_options=_alone()
        )
        self._manager = ocp.CheckpointManager((run / _FOLDER).absolute(), options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    @property
    def latest(self) -> int | None:
        """The last meta-step that was saved, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any, history: list[dict[str, Any]]) -> None:
        """Writes the state after a meta-step; an interrupted write leaves the one before."""
        plain = jax.device_get(keys_to_data(state))  # on the host: any set of devices may resume
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(plain),
            params=ocp.args.StandardSave(plain.params),
            history=ocp.args.JsonSave(history),
        )
        self._manager.save(step, args=items)
        self._manager.wait_until_finished()

    def save_params(self, step: int, params: AgentParams) -> None:
        """Writes only what acting needs, for a run whose state is kept elsewhere."""
        items = ocp.args.Composite(params=ocp.args.StandardSave(jax.device_get(params)))
        self._manager.save(step, args=items)
        self._manager.wait_until_finished()

    def restore(self, like: Any) -> tuple[Any, list[dict[str, Any]]]:
        """The last state and history, on the host; ``like`` gives the structure and shapes.

        Raises:
          CheckpointError: if there is none or it does not fit.
        """
        if self.latest is None:
            raise CheckpointError("the run folder has no checkpoint to resume from.")
        expected = jax.eval_shape(keys_to_data, like)
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(expected),
            history=ocp.args.JsonRestore(),
        )
        try:
            found = self._manager.restore(self.latest, args=items)
        except (ValueError, KeyError, OSError) as error:
            raise CheckpointError(f"checkpoint {self.latest} cannot be read: {error}") from None
        fits = jax.tree.map(lambda x, y: x.shape == y.shape, found["state"], expected)
        if not all(jax.tree.leaves(fits)):
            raise CheckpointError(
                f"checkpoint {self.latest} cannot be read: its arrays have other shapes than the "
                "configuration asks for."
            )
        return data_to_keys(found["state"], like), found["history"]


def keys_to_data(tree: Any) -> Any:
    """The same tree with typed random keys as the integers that they hold."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if _is_key(x) else x, tree)


def data_to_keys(tree: Any, like: Any) -> Any:
    """The inverse of `keys_to_data`, given a tree of the original types."""
    return jax.tree.map(
        lambda x, target: jax.random.wrap_key_data(x) if _is_key(target) else x, tree, like
    )


def write_whole(path: Path, text: str) -> None:
    """Writes a text file in one piece: whoever looks sees the old file or the new one."""
    partial = path.with_suffix(".part")
    partial.write_text(text)
    partial.replace(path)


def write_config(run: Path, config: Config, name: str = CONFIG_FILE, **extra: Any) -> None:
    """Writes ``config.json``: the configuration and whatever else identifies the run."""
    data = {"schema_version": SCHEMA_VERSION, **extra, **config.to_dict()}
    write_whole(run / name, json.dumps(data, indent=2) + "\n")


def read_config(run: Path, name: str = CONFIG_FILE) -> tuple[Config, dict[str, Any]]:
    """The configuration of a run folder, and the file as a dictionary.

    Raises:
      FileNotFoundError: if the folder holds no run.
      CheckpointError: if the file cannot be understood.
    """
    path = run / name
    if not path.is_file():
        raise FileNotFoundError(f"{run} is not a run folder: it has no {name}.")
    try:
        data = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
        raise CheckpointError(f"{path} does not have schema_version {SCHEMA_VERSION}.")
    try:
        return Config.from_dict(data), data
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None


def load_params(run: Path, seed: int) -> tuple[Config, AgentParams]:
    """The configuration and the parameters of one seed, counted from 0.

    Raises:
      FileNotFoundError: if the folder holds no run or no checkpoint.
      CheckpointError: if it cannot be read or has no such seed.
    """
    config, data = read_config(run)
    folder = (run / _FOLDER).absolute()
    if not folder.is_dir():
        raise FileNotFoundError(f"{run} has no checkpoint yet.")
    seeds = data.get("seeds")
    if not isinstance(seeds, int) or not 0 <= seed < seeds:
        raise CheckpointError(f"seed must be from 0 to {seeds} - 1 (the run's seeds), not {seed}.")
    with ocp.CheckpointManager(folder, item_names=("params",)) as manager:
        step = manager.latest_step()
        if step is None:
            raise FileNotFoundError(f"{run} has no checkpoint yet.")
        try:
            items = ocp.args.Composite(params=ocp.args.StandardRestore())
            found = manager.restore(step, args=items)["params"]
        except (ValueError, KeyError, OSError) as error:
            raise CheckpointError(f"checkpoint {step} of {run} cannot be read: {error}") from None
    one = jax.tree.map(lambda x: jax.numpy.asarray(x[seed]), found)
    return config, AgentParams(**{name: one[name] for name in AgentParams._fields})


def _alone() -> ocp.options.MultiprocessingOptions:
    """Where there are several processes the first one alone writes run folders."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    return ocp.options.MultiprocessingOptions(
        primary_host=0, active_processes={0}, barrier_sync_key_prefix="first"
    )


def _is_key(x: Any) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
