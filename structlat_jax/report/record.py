"""The files that a run leaves behind when it ends: numbers, arrays and pictures."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from structlat_jax.envs.base import AnyEnv, labels, readable
from structlat_jax.inference.base import Leads
from structlat_jax.latents import LatentSpace
from structlat_jax.report import parts, recovery, results
from structlat_jax.report.finished_run import finite_seeds
from structlat_jax.report.plane import places
from structlat_jax.report.run_files import ADAPTATION_FILE, RESULTS_FILE
from structlat_jax.shapes import Task
from structlat_jax.store.run_folder import WriteError, reason
from structlat_jax.train.setup import Setup

Tell = Callable[[str], None]

_FIELDS = {
    "returns": "returns",
    "encoder": "amortised",  # the name that files have had since the first version
    "success": "success",
    "length": "length",
    "path": "path",
    "z": "z",
    "belief": "belief",
    "kl": "kl",
    "reward": "reward",
    "spread": "spread",
}
"""Fields of `evaluate.Adaptation` and the names of their arrays."""


class Ended(Protocol):
    """What a run that has ended leaves in memory.

    Attributes:
      rows: Of ``metrics.csv``.
      adaptation: The last evaluation on training tasks then test tasks, ``[S, T, R, E, ...]``.
      train_tasks, test_tasks: The tasks, ``[S, T, ...]``.
      floor: Return of the untrained policy on training tasks then test tasks, ``[S, T]``.
      measured: What the environment's controller returned on them, ``[S, T]``, or None.
      results: The fields of ``results.json``.
    """

    rows: list[dict[str, Any]]
    adaptation: Any
    train_tasks: Task
    test_tasks: Task
    floor: np.ndarray
    measured: np.ndarray | None
    results: dict[str, Any]


def write_run(out: Path, setup: Setup, ended: Ended, tell: Tell = print) -> None:
    """Writes ``adaptation.npz``, the pictures and ``results.json``, which comes last, so that its
    presence means that all is there. Seeds that are not finite are in no picture.

    Args:
      out: The run folder.
      setup: Of the run.
      ended: What it left.
      tell: Takes a sentence about each thing that is left out because it failed.

    Raises:
      WriteError: if the folder cannot be written.
    """
    tasks = (ended.train_tasks, ended.test_tasks)
    arrays = adaptation_arrays(
        setup.env, ended.adaptation, *tasks, ended.floor, tell, ended.measured
    )
    results.write_adaptation(out / ADAPTATION_FILE, arrays)
    finite = finite_seeds(arrays)
    if finite.any():
        draw(out, setup, {name: x[finite] for name, x in arrays.items()}, ended, tell)
    ended.results |= recovered(parts.believed(setup.config), arrays, finite)
    results.write_results(out / RESULTS_FILE, ended.results)


def recovered(
    space: LatentSpace, arrays: dict[str, np.ndarray], finite: np.ndarray
) -> dict[str, Any]:
    """The field ``recovery`` of ``results.json``: R^2 of each factor from each block's last belief,
    means over the ``finite`` seeds; nothing where the environment knows no factors.

    Args:
      space: What the agent has a belief about.
      arrays: From `adaptation_arrays`; training and test tasks count alike.
      finite: Which seeds count, ``[S]``.
    """

    found = recovery.of_evaluation(space, arrays, finite)
    if not found:
        return {}
    return {
        "recovery": {
            factor: {block: _mean(one.linear) for block, one in blocks.items()}
            for factor, blocks in found.items()
        },
        "recovery_matched": {
            factor: {b: _mean(one.matched) for b, one in blocks.items() if one.matched is not None}
            for factor, blocks in found.items()
        },
    }


def _mean(values: np.ndarray) -> float | None:
    """Over what is finite; None if nothing is."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else None


def adaptation_arrays(
    env: AnyEnv,
    adaptation: Any,
    train_tasks: Task,
    test_tasks: Task,
    floor: np.ndarray,
    tell: Tell = print,
    measured: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The evaluation, split into training and test tasks.

    Args:
      env: The environment.
      adaptation: `evaluate.Adaptation` of training tasks then test tasks, ``[S, T, R, E, ...]``.
      train_tasks, test_tasks: The tasks, ``[S, T, ...]``.
      floor: Return of the untrained policy on training tasks then test tasks, ``[S, T]``.
      tell: Takes a sentence about what the environment's functions cannot say of its tasks.
      measured: Of an environment whose oracle is measured, what that returned, as ``floor``.

    Returns:
      For each of ``train`` and ``test``: ``returns_test [S, T, R, E]``, ``success_test``,
      ``length_test``, ``path_test``, ``z_test``, ``belief_test``, ``spread_test``, ``kl_test``,
      ``reward_test`` and, for the encoder's posterior, ``amortised_test`` with the axes of
      `evaluate.Adaptation`; ``oracle_test``, ``floor_test`` and ``label_test [S, T]``,
      ``factor_NAME_test [S, T, ...]`` and what `places.of_tasks` knows. Of the first repeat on test
      tasks, where hypotheses lead: ``leads_test [S, T, G, obs_dim]`` and their probabilities
      ``leads_weight_test [S, T, E, G]`` in half precision. What the environment or the inference
      does not have is not there.
    """
    split = jax.tree.leaves(train_tasks)[0].shape[1]
    kinds = {"train": slice(0, split), "test": slice(split, None)}
    arrays = {}
    for kind, part in kinds.items():
        for field, name in _FIELDS.items():
            values = getattr(adaptation, field)
            if values is not None:
                arrays[f"{name}_{kind}"] = np.asarray(values)[:, part]
        arrays[f"floor_{kind}"] = np.asarray(floor)[:, part]
        if measured is not None and env.oracle_return is None:
            arrays[f"oracle_{kind}"] = np.asarray(measured)[:, part]
    arrays |= _leads(adaptation.leads, split)
    tasks = {"train": train_tasks, "test": test_tasks}
    for what, function in _knowledge(env).items():
        arrays |= _of_tasks(what, function, tasks, tell)
    for kind in kinds:  # pictures and readers count on it
        shape = arrays[f"returns_{kind}"].shape[:2]
        arrays.setdefault(f"label_{kind}", np.broadcast_to(np.arange(shape[1]), shape))
    return arrays


def draw(
    out: Path, setup: Setup, arrays: dict[str, np.ndarray], ended: Ended, tell: Tell = print
) -> None:
    """Draws the pictures of a run; those of paths and beliefs show the first seed of ``arrays``.
    One that fails costs a sentence."""
    try:
        from structlat_jax.report import run_pictures  # whoever draws nothing needs no matplotlib
    except Exception as error:  # missing, or a setting of the user's that it refuses
        hint = " (pip install 'structlat-jax[cli]')" if isinstance(error, ImportError) else ""
        tell(f"the pictures are not drawn: {reason(error)}{hint}.")
        return
    made = run_pictures.of_run(
        setup.env,
        setup.config,
        arrays,
        ended.rows,
        ended.results,
    )
    for name, make in made.items():
        try:
            run_pictures.save(make(), out / f"{name}.png")
        except WriteError:
            raise  # the folder's fault, not the picture's
        except Exception as error:  # the results are worth more than any picture
            tell(f"{name}.png cannot be drawn: {reason(error)}.")


def _leads(found: Leads | None, split: int) -> dict[str, np.ndarray]:
    """Those of the first repeat on test tasks, which are enough to be looked at."""
    if found is None:
        return {}
    weight, obs = (np.array(x[:, split:, 0]) for x in (found.weight, found.obs))
    # Negative where the inference that was chosen has none; see `chosen.make`.
    none = (weight < 0).any(axis=-2)
    obs[none] = np.nan
    weight = np.where(none[..., None, :], np.nan, weight)
    if not np.isfinite(obs).any():
        return {}
    # Half precision, since weights that differ by a thousandth look alike.
    return {"leads_test": obs, "leads_weight_test": weight.astype(np.float16)}


def _knowledge(env: AnyEnv) -> dict[str, Callable[[Task], dict[str, Any]]]:
    """What the environment can say of tasks ``[S, T]``: arrays ``[S, T, ...]`` by name."""

    def of_each(function):
        return jax.vmap(jax.vmap(function))

    def factors(tasks):
        found = of_each(partial(readable, env))(tasks)
        return {f"factor_{name}": x for name, x in found.items()}

    known = {"labels": lambda tasks: {"label": jax.vmap(partial(labels, env))(tasks)}}
    if env.oracle_return is not None:
        known["oracle"] = lambda tasks: {"oracle": of_each(env.oracle_return)(tasks)}
    if env.factors is not None or env.derived is not None:
        known["factors"] = factors
    return {**known, "places": partial(places.of_tasks, env.plane)}


def _of_tasks(
    what: str, function: Callable[[Task], dict[str, Any]], tasks: dict[str, Task], tell: Tell
) -> dict[str, np.ndarray]:
    """What a function of the environment says of training and test tasks, or nothing: it may fail
    after hours of training, which are not to be lost to it."""
    try:
        found = {
            f"{name}_{kind}": np.asarray(values)
            for kind, own in tasks.items()
            for name, values in function(own).items()
        }
    except Exception as error:
        tell(f"the {what} of the tasks are left out: {reason(error)}.")
        return {}
    if what == "oracle" and not all(np.isfinite(values).all() for values in found.values()):
        tell("the oracle is left out: its return is not finite for every task.")
        return {}
    return found
