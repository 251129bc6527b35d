"""What the page of a run tells: its evaluation on test tasks, as JSON."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.latents import LatentSpace
from structlat_jax.report.case import Case
from structlat_jax.report.figures_marks import spread
from structlat_jax.report.parts import USED, most_varied, shown_blocks
from structlat_jax.report.plane import scene
from structlat_jax.report.view import packed
from structlat_jax.store.run_folder import CheckpointError

MOST = 4 * 2**20
"""Bytes that all runs of a page may take; the library that draws takes about as many."""
MOST_TASKS = 10
MOST_TRACES = 6
"""Numbers of an observation that are drawn against time."""

_BASE64 = 4 / 3  # bytes of JSON for one of an array


class Story(NamedTuple):
    """A run as JSON, and what of it was left out.

    Attributes:
      data: See `tell`.
      left_out: A sentence each.
    """

    data: dict[str, Any]
    left_out: list[str]


class _Chosen(NamedTuple):
    """What is shown of an evaluation.

    Attributes:
      seeds, tasks: Their numbers, counted from 0.
      stride: Of how many steps one is kept.
    """

    seeds: np.ndarray
    tasks: np.ndarray
    stride: int


def tell(case: Case, most: int) -> Story:
    """The first repeat of a run's last evaluation on test tasks.

    Args:
      case: The run; the seeds that are finite are told, whichever it draws.
      most: Bytes of JSON that it may take; seeds and then steps are left out until it does.

    Returns:
      Of S seeds, T tasks, E episodes of H steps and a z of D numbers, packed as in `packed`:
      ``returns [S, T, E]``, ``belief``, ``z`` and ``spread [S, T, E, D]``,
      ``kl [S, T, E, blocks]``, ``length [S, T, E]``, ``reward [S, T, E, H]``, ``oracle [S, T]``;
      either ``path [S, T, E, H + 1, 2]`` and what else `scene` knows, or ``traces
      [S, T, E, H + 1, N]``; ``leads [S, T, G, 2 or N]`` with ``weight [S, T, E, G]``. What is not
      known is not there. Beside them, what they are called.

    Raises:
      CheckpointError: if no seed is finite.
    """
    files = case.files
    finite = np.flatnonzero(files.finite)
    if not len(finite):
        raise CheckpointError(f"{files.path} has no seed that is finite.")
    label = files.label()[finite[0]]
    tasks = spread(label, MOST_TASKS)
    places = _places(case)
    chosen = _fitting(finite, tasks, _bytes(case, places.width, len(tasks)), most)
    data = {
        **{"name": case.label, "latent": str(case.space), "env": files.env[0]},
        **{"episodes": files.returns().shape[-1], "prior": case.prior, "stride": chosen.stride},
        **{"seeds": chosen.seeds.tolist(), "tasks": chosen.tasks.tolist()},
        "acts_on_z": files.config.structure.acts_on_z,
        **{"label_name": files.label_name, "blocks": _blocks(case.space), "used": USED},
        **{"label": packed.exact(_of(files.label(), chosen))},
        **_evaluated(case, chosen),
        **places.told(case, chosen),
    }
    return Story(data, _left_out(case, chosen, finite, label.size))


def _evaluated(case: Case, chosen: _Chosen) -> dict[str, Any]:
    """What does not depend on how episodes are drawn."""
    files = case.files
    known = {
        **{"returns": files.returns(), "belief": files.arrays["belief_test"]},
        "z": files.arrays["z_test"] if files.config.structure.acts_on_z else None,
        "kl": files.arrays["kl_test"],
        **{"spread": files.spread(), "length": files.length()},
    }
    told = {
        name: packed.exact(_first(values, chosen))
        for name, values in known.items()
        if values is not None
    }
    told["length"] = packed.exact(np.ceil(_first(files.length(), chosen) / chosen.stride))
    if files.oracle() is not None:
        told["oracle"] = packed.exact(_of(files.oracle(), chosen))
    told["floor"] = packed.exact(_of(files.floor(), chosen))
    reward = files.reward()
    if reward is not None:
        # A step that is kept has the rewards of those that are not and lead to it.
        own = _first(reward, chosen)
        starts = np.arange(0, own.shape[-1], chosen.stride)
        told["reward"] = packed.exact(np.add.reduceat(own, starts, axis=-1))
    if "leads_weight_test" in files.arrays:
        told["weight"] = packed.exact(_of(files.arrays["leads_weight_test"], chosen))
    return told


class _Places(NamedTuple):
    """How observations are drawn: as places in a plane, or a few of their numbers against time.

    Attributes:
      columns: Those numbers; None in a plane.
    """

    columns: np.ndarray | None

    @property
    def width(self) -> int:
        return 2 if self.columns is None else len(self.columns)

    def of(self, case: Case, obs: np.ndarray) -> np.ndarray:
        """Observations ``[..., obs_dim]`` to what is drawn of them."""
        if self.columns is None:
            return np.asarray(case.plane.project(jnp.asarray(obs)))
        return obs[..., self.columns]

    def told(self, case: Case, chosen: _Chosen) -> dict[str, Any]:
        obs = _first(case.files.arrays["path_test"], chosen)
        steps = np.r_[0 : obs.shape[-2] - 1 : chosen.stride, obs.shape[-2] - 1]
        name = "path" if self.columns is None else "traces"
        found = {name: packed.rounded(self.of(case, obs[..., steps, :]))}
        leads = case.files.arrays.get("leads_test")
        if leads is not None:
            found["leads"] = packed.rounded(self.of(case, _of(leads, chosen)))
        if self.columns is not None:
            return {**found, "columns": (self.columns + 1).tolist()}
        marks = scene.marks(case.files.arrays)
        marks = {} if marks is None else {"mark": packed.exact(_of(marks, chosen))}
        return {**found, **marks, "plane": scene.about(case.plane)}


def _places(case: Case) -> _Places:
    if case.plane is not None:
        return _Places(None)
    obs = case.files.arrays["path_test"][case.files.finite][:, :, 0]
    return _Places(most_varied(obs, MOST_TRACES))


def _bytes(case: Case, width: int, tasks: int) -> float:
    """What a seed takes, about: paths in two bytes a number, all else in four."""
    episodes, points = case.files.arrays["path_test"].shape[-3:-1]
    weights = case.files.arrays.get("leads_weight_test", np.zeros(0)).shape[-1]
    of_episode = points * (2 * width + 4) + 4 * (3 * case.space.dim + weights)
    return _BASE64 * tasks * episodes * of_episode


def _fitting(seeds: np.ndarray, tasks: np.ndarray, of_seed: float, most: int) -> _Chosen:
    """Fewer seeds, and of a single one fewer steps, until they fit."""
    kept = max(1, min(len(seeds), int(most / of_seed)))
    stride = max(1, int(np.ceil(of_seed / most)))
    return _Chosen(seeds[:kept], tasks, stride)


def _first(values: np.ndarray, chosen: _Chosen) -> np.ndarray:
    """The first repeat of ``[S, T, R, ...]``."""
    return _of(values, chosen)[:, :, 0]


def _of(values: np.ndarray, chosen: _Chosen) -> np.ndarray:
    return values[np.ix_(chosen.seeds, chosen.tasks)]


def _blocks(space: LatentSpace) -> list[dict[str, Any]]:
    """What a block is called, how its numbers are to be drawn, and what the prior says of them."""
    if not space.blocks:
        return []

    @jax.jit  # piece by piece it would be compiled for three times as long
    def moments():
        prior = space.posterior(jnp.zeros(space.stat_dim))
        return space.mean(prior), space.deviation(prior)

    mean, deviation = map(np.asarray, moments())
    found, start = [], 0
    for block in shown_blocks(space):
        end = start + block.variables * block.size
        own = {"mean": mean[start:end].tolist(), "spread": deviation[start:end].tolist()}
        found.append({**block._asdict(), "start": start, "prior": own})
        start = end
    return found


def _left_out(case: Case, chosen: _Chosen, finite: np.ndarray, tasks: int) -> list[str]:
    name, files = case.label, case.files
    said = []
    if len(chosen.tasks) < tasks:
        said.append(f"{name}: {len(chosen.tasks)} of {tasks} test tasks are shown.")
    if len(chosen.seeds) < files.seeds:
        why = (
            "the others would take too much room"
            if len(finite) == files.seeds
            else ("the others are not finite or would take too much room")
        )
        said.append(f"{name}: {len(chosen.seeds)} of {files.seeds} seeds are shown; {why}.")
    if chosen.stride > 1:
        said.append(f"{name}: one of {chosen.stride} steps is shown.")
    missing = [
        what
        for what, known in (("rewards of single steps", files.reward()), ("spread", files.spread()))
        if known is None
    ]
    if missing:
        said.append(f"{name}: its {' and '.join(missing)} were not recorded.")
    return said
