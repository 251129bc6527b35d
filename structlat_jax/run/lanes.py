"""Runs of one shape as one program: every process trains its share of the lanes.

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
from structlat_jax.run.outcome import ARRAYS, Lanes, Outcome, join, part, summary
from structlat_jax.run.rows import Row
from structlat_jax.run.share_state import ShareState
from structlat_jax.store import checkpoint
from structlat_jax.store.run_folder import locked


class Group(NamedTuple):
    """Runs that one program trains together.

    Attributes:
      name: Distinguishes it from the others of a sweep.
      rows: The runs; their plans differ in traced hyper-parameters only.
    """

    name: str
    rows: list[Row]

    @property
    def lanes(self) -> int:
        """Seeds of all runs."""
        return len(self.rows) * self.rows[0].plan.seeds


def groups(rows: list[Row]) -> list[Group]:
    """The runs of equal shape together, in the order of their first ones."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row.plan.config.structure, []).append(row)
    return [Group(f"shape{i}", members) for i, members in enumerate(found.values())]


def lanes_of(group: Group) -> Lanes:
    """All lanes of a group, run by run."""
    plan = group.rows[0].plan
    values = {
        field.name: np.repeat(
            [getattr(row.plan.config.hyper, field.name) for row in group.rows], plan.seeds
        )
        for field in dataclasses.fields(Hyper)
    }
    return Lanes(np.tile(plan.seed + np.arange(plan.seeds), len(group.rows)), Hyper(**values))


def train_all(
    rows: list[Row], out: Path, finished: set[Path], logger: Callable[[str, int], Logger]
) -> None:
    """Trains all rows that are not finished, group by group; see `train`.

    Args:
      rows: The rows.
      out: Where their shares are kept while they train.
      finished: Folders of those that are.
      logger: ``(label, groups before)`` to the logger of a group.
    """
    every = groups(rows)
    pending = [group for group in every if not finished.issuperset(r.folder for r in group.rows)]
    for i, group in enumerate(pending):
        label = f"{group.name} ({len(group.rows)} x {rows[0].plan.seeds} seeds)"
        train(group, out, logger(label, len(every) - len(pending) + i))
    clear(out)


def train(group: Group, out: Path, logger: Logger) -> None:
    """Trains this process's share of a group; process 0 gathers all and writes the run folders.

    A share that was interrupted continues from its checkpoint under ``out``.

    Raises:
      KeyboardInterrupt: if a signal ended it; a checkpoint was written then.
      CheckpointError: if another process has a folder, or a checkpoint cannot be used.
      WriteError: if something cannot be written; what was there before is intact.
      LostProcessError: if another process has ended.
    """
    index, count = jax.process_index(), jax.process_count()
    folder = out / "shares" / f"{group.name}-{index}-of-{count}"
    mine = _train_share(group, folder, logger)
    gathered = hosts.gather(b"" if mine is None else _pack(mine))
    if hosts.is_first():
        _write(group, [_unpack(data, mine) for data in gathered if data], logger)


def clear(out: Path) -> None:
    """Removes this process's shares once the results of all are safe."""
    hosts.wait_for_first()
    shutil.rmtree(out / "shares", ignore_errors=True)


def _train_share(group: Group, folder: Path, logger: Logger) -> Outcome | None:
    first, count = hosts.share(group.lanes)
    if not count:
        return None
    keep = slice(first, first + count)
    lanes = jax.tree.map(lambda x: x[keep], lanes_of(group))
    make_folder(folder)
    plan = dataclasses.replace(group.rows[0].plan, seeds=count)
    with locked(folder):
        job = Job(plan, group.rows[0].setup, folder, lanes, ShareState)
        outcome = run(job, True, logger)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return outcome


def _write(group: Group, shares: list[Outcome], logger: Logger) -> None:
    """The run folders of a group, each as the main job leaves it but for its checkpoint, which has
    the parameters only."""
    whole = join(shares)
    devices, kind = 0, ""
    for share in shares:
        number, _, kind = share.results["device"].partition(" x ")
        devices += int(number)
    names = ("compile_seconds", "wall_seconds", "updates_per_second", "jax_version")
    timing = {name: whole.results[name] for name in names}
    timing |= {"device": f"{devices} x {kind}", "lanes": group.lanes}
    for i, row in enumerate(group.rows):
        if row.finished:
            continue
        plan, setup = row.plan, row.setup
        own = part(whole, i * plan.seeds, plan.seeds)
        own.results = summary(setup, own, {**about(plan, setup), **timing})
        with locked(row.folder):
            saved = checkpoint.Checkpoints(row.folder, identity=plan.identity())
            saved.save_params(plan.steps, own.learned)
            results.write_metrics(row.folder / "metrics.csv", own.rows)
            write_run(row.folder, setup, own, logger.message)


def _pack(outcome: Outcome) -> bytes:
    """An outcome without its structure, which all processes share."""
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
