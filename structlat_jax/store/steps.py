"""Sealed folders called by meta-steps: which there are, and the newest that can be used."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from structlat_jax.config import SCHEMA_VERSION, Config
from structlat_jax.options import ConfigError
from structlat_jax.store import sealed
from structlat_jax.store.run_folder import CONFIG_FILE, CheckpointError

_STEP = re.compile("[0-9]{1,12}")
_FREE = {"schema_version", "checkpoint_seconds", "updates"}
"""What may differ between a checkpoint and its run, which may have been trained on since."""

Tell = Callable[[str], Any]
"""What is done with a sentence that warns."""


def steps(folder: Path) -> list[int]:
    """The meta-steps of a folder of checkpoints, the newest first."""
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted((int(name) for name in names if _STEP.fullmatch(name)), reverse=True)


def newest(
    run: Path,
    name: str,
    parts: tuple[str, ...],
    identity: dict[str, Any],
    tell: Tell = warnings.warn,
) -> tuple[int, list[int]]:
    """The newest checkpoint that is undamaged, and the damaged ones after it.

    Args:
      run: A run folder.
      name: Of the folder in it that holds the checkpoints.
      parts: What of them must be undamaged, as for `sealed.read`.
      identity: What ``config.json`` says; that of a checkpoint must be the same.
      tell: Called with a sentence for each damaged one that is passed over.

    Raises:
      FileNotFoundError: if there is none.
      CheckpointError: if none can be used, or if it is of another run.
    """
    damaged = {}
    for step in steps(run / name):
        try:
            about = sealed.read(run / name / str(step), *parts)
        except sealed.DamagedError as error:
            damaged[step] = str(error)
            continue
        _require_same_run(run / name / str(step), about.get("run"), identity)
        for other, why in damaged.items():
            tell(f"checkpoint {other} of {run} is damaged: {why}; checkpoint {step} is used.")
        return step, list(damaged)
    if not damaged:
        raise FileNotFoundError(f"{run} has no checkpoint yet.")
    step, why = next(iter(damaged.items()))
    raise CheckpointError(f"{run} has no checkpoint that can be used; {step} cannot: {why}.")


def _require_same_run(folder: Path, there: Any, here: dict[str, Any]) -> None:
    if not here or not there:  # checkpoints of something that has no configuration
        return
    try:
        there, here = _settings(there), _settings(here)
    except ConfigError as error:
        raise CheckpointError(f"{folder} has no configuration of this program: {error}") from None
    different = "; ".join(
        f"{name} is {there[name]!r} in it and {here[name]!r} in {CONFIG_FILE}"
        for name in here
        if name in there and there[name] != here[name] and name not in _FREE
    )
    if different:
        raise CheckpointError(f"{folder} was made with another configuration: {different}.")


def _settings(data: Any) -> dict[str, Any]:
    recorded = {"schema_version": SCHEMA_VERSION, **data}  # as in the folder's own file
    known = {**data, **Config.from_dict(recorded).to_dict()}
    inside = {**known.pop("structure"), **known.pop("hyper")}
    env = {"env": known["env"]["name"], "env_options": known["env"]["options"]}
    return {**known, **env, **inside}
