"""Runs of one shape as one program: every process trains its portion of the lanes.

A lane is one seed of one run. All runs of a shape differ in traced hyper-parameters only, which
become an axis beside the seeds, so that they compile once and train together.
"""

import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from structlat_jax.config import Hyper
from structlat_jax.report import results
from structlat_jax.report.record import write_run
from structlat_jax.run import hosts
from structlat_jax.run.folders import make_folder
from structlat_jax.run.loggers.base import Logger
from structlat_jax.run.loop import Job, about, run
from structlat_jax.run.members import Member
from structlat_jax.run.outcome import ARRAYS, Lanes, Outcome, join, part, summary
from structlat_jax.run.portion_state import PortionState
from structlat_jax.store import checkpoint
from structlat_jax.store.run_folder import locked


class Group(NamedTuple):
    """Runs that one program trains together.

    Attributes:
      name: Distinguishes it from the others of a sweep.
      members: The runs; their plans differ in traced hyper-parameters only.
    """

    name: str
    members: list[Member]

    @property
    def lanes(self) -> int:
        """Seeds of all runs."""
        return len(self.members) * self.members[0].plan.seeds


def groups(members: list[Member]) -> list[Group]:
    """The runs of equal shape together, in the order of their first ones."""
    found: dict[Any, list[Member]] = {}
    for one in members:
        found.setdefault(one.plan.config.structure, []).append(one)
    return [Group(f"shape{i}", equal) for i, equal in enumerate(found.values())]


def lanes_of(group: Group) -> Lanes:
    """All lanes of a group, run by run."""
    plan = group.members[0].plan
    values = {
        field.name: np.repeat(
            [getattr(one.plan.config.hyper, field.name) for one in group.members], plan.seeds
        )
        for field in dataclasses.fields(Hyper)
    }
    return Lanes(np.tile(plan.seed + np.arange(plan.seeds), len(group.members)), Hyper(**values))


def updates(members: list[Member]) -> list[int]:
    """Updates of a seed in each group, in the order in which `train_all` takes them."""
    return [group.members[0].plan.whole_updates for group in groups(members)]


def train_all(
    members: list[Member], out: Path, finished: set[Path], logger: Callable[[str, int], Logger]
) -> None:
    """Trains all members that are not finished, group by group; see `train`.

    Args:
      members: What is to be trained.
      out: Where their portions are kept while they train.
      finished: Folders of those that are.
      logger: ``(label, groups before)`` to the logger of a group.
    """
    every = groups(members)
    pending = [
        group for group in every if not finished.issuperset(one.folder for one in group.members)
    ]
    for i, group in enumerate(pending):
        label = f"{group.name} ({len(group.members)} x {members[0].plan.seeds} seeds)"
        train(group, out, logger(label, len(every) - len(pending) + i))
    clear(out)


def train(group: Group, out: Path, logger: Logger) -> None:
    """Trains this process's portion of a group; process 0 gathers all and writes the run folders.

    A portion that was interrupted continues from its checkpoint under ``out``.

    Raises:
      KeyboardInterrupt: if a signal ended it; a checkpoint was written then.
      CheckpointError: if another process has a folder, or a checkpoint cannot be used.
      WriteError: if something cannot be written; what was there before is intact.
      LostProcessError: if another process has ended.
    """
    index, count = jax.process_index(), jax.process_count()
    folder = out / "portions" / f"{group.name}-{index}-of-{count}"
    mine = _train_portion(group, folder, logger)
    gathered = hosts.gather(b"" if mine is None else _pack(mine))
    if hosts.is_first():
        _write(group, [_unpack(data, mine) for data in gathered if data], logger)


def clear(out: Path) -> None:
    """Removes this process's portions once the results of all are safe."""
    hosts.wait_for_first()
    shutil.rmtree(out / "portions", ignore_errors=True)


def _train_portion(group: Group, folder: Path, logger: Logger) -> Outcome | None:
    first, count = hosts.portion(group.lanes)
    if not count:
        return None
    keep = slice(first, first + count)
    lanes = jax.tree.map(lambda x: x[keep], lanes_of(group))
    make_folder(folder)
    plan = dataclasses.replace(group.members[0].plan, seeds=count)
    with locked(folder):
        job = Job(plan, group.members[0].setup, folder, lanes, PortionState)
        outcome = run(job, True, logger)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return outcome


def _write(group: Group, portions: list[Outcome], logger: Logger) -> None:
    """The run folders of a group, each as the main job leaves it but for its checkpoint, which has
    the parameters only."""
    whole = join(portions)
    devices, kind = 0, ""
    for portion in portions:
        number, _, kind = portion.results["device"].partition(" x ")
        devices += int(number)
    names = ("compile_seconds", "wall_seconds", "updates_per_second", "jax_version")
    timing = {name: whole.results[name] for name in names}
    timing |= {"device": f"{devices} x {kind}", "lanes": group.lanes}
    for i, one in enumerate(group.members):
        if one.finished:
            continue
        plan, setup = one.plan, one.setup
        own = part(whole, i * plan.seeds, plan.seeds)
        own.results = summary(setup, own, {**about(plan, setup), **timing})
        with locked(one.folder):
            saved = checkpoint.Checkpoints(one.folder, identity=plan.identity())
            saved.save_params(plan.steps, own.learned)
            results.write_metrics(one.folder / "metrics.csv", own.rows)
            write_run(one.folder, setup, own, logger.message)


def _pack(outcome: Outcome) -> bytes:
    """An outcome without its structure, which all processes have in common."""
    arrays = jax.tree.leaves([getattr(outcome, name) for name in ARRAYS])
    text = json.dumps({"rows": outcome.rows, "results": outcome.results})
    file = io.BytesIO()
    np.savez(file, text=np.array(text), **{f"leaf{i}": x for i, x in enumerate(arrays)})
    return file.getvalue()


def _unpack(data: bytes, like: Outcome) -> Outcome:
    """The inverse of `_pack`, given an outcome of the same structure."""
    tree = jax.tree.structure([getattr(like, name) for name in ARRAYS])
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        said = json.loads(str(found["text"]))
        leaves = [found[f"leaf{i}"] for i in range(tree.num_leaves)]
    arrays = dict(zip(ARRAYS, jax.tree.unflatten(tree, leaves), strict=True))
    return dataclasses.replace(like, rows=said["rows"], results=said["results"], **arrays)
