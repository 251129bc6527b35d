"""Runs of one shape as one program: every process trains its share of the lanes.

A lane is one seed of one run. All runs of a shape differ in traced hyper-parameters only, which
become an axis beside the seeds, so that they compile once and train together.
"""

import dataclasses
import io
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import cli, hosts
from experiments.outcome import Lanes, Outcome, join, part, summary
from experiments.record import write_run
from experiments.rows import Row
from experiments.runner import about, run
from experiments.share_state import ShareState
from structlat_jax import checkpoint
from structlat_jax.config import Hyper
from structlat_jax.report import progress, results
from structlat_jax.report.run_files import METRICS_FILE
from structlat_jax.run_folder import locked
from structlat_jax.train.setup import make_setup

_ARRAYS = ("adaptation", "train_tasks", "test_tasks", "oracle", "params")


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


def train(group: Group, out: Path, meter: progress.Silent) -> None:
    """Trains this process's share of a group; process 0 gathers all and writes the run folders.

    A share that was interrupted continues from its checkpoint under ``out``.

    Raises:
      KeyboardInterrupt: if a signal ended it; a checkpoint was written then.
      CheckpointError: if another process has a folder, or a checkpoint cannot be used.
      WriteError: if something cannot be written; what was there before is intact.
      click.ClickException: if another process has ended.
    """
    index, count = jax.process_index(), jax.process_count()
    folder = out / "shares" / f"{group.name}-{index}-of-{count}"
    mine = _train_share(group, folder, meter)
    gathered = hosts.gather(b"" if mine is None else _pack(mine))
    if hosts.is_first():
        _write(group, [_unpack(data, mine) for data in gathered if data])


def clear(out: Path) -> None:
    """Removes this process's shares once the results of all are safe."""
    hosts.wait_for_first()
    shutil.rmtree(out / "shares", ignore_errors=True)


def _train_share(group: Group, folder: Path, meter: progress.Silent) -> Outcome | None:
    first, count = hosts.share(group.lanes)
    if not count:
        return None
    keep = slice(first, first + count)
    lanes = jax.tree.map(lambda x: x[keep], lanes_of(group))
    cli.make_folder(folder)
    plan = dataclasses.replace(group.rows[0].plan, seeds=count)
    with locked(folder):
        outcome = run(plan, folder, True, meter, lanes, store=ShareState)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return outcome


def _write(group: Group, shares: list[Outcome]) -> None:
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
        plan, setup = row.plan, make_setup(row.plan.config)
        own = part(whole, i * plan.seeds, plan.seeds)
        own.results = summary(setup, own, {**about(plan, setup), **timing})
        identity = {**plan.records(), **plan.config.to_dict()}
        with locked(row.folder):
            checkpoint.Checkpoints(row.folder, identity=identity).save_params(
                plan.steps, own.params
            )
            results.write_metrics(row.folder / METRICS_FILE, own.rows)
            write_run(row.folder, plan.config, own)


def _pack(outcome: Outcome) -> bytes:
    """An outcome without its structure, which all processes share."""
    arrays = jax.tree.leaves([getattr(outcome, name) for name in _ARRAYS])
    text = json.dumps({"rows": outcome.rows, "results": outcome.results})
    file = io.BytesIO()
    np.savez(file, text=np.array(text), **{f"leaf{i}": x for i, x in enumerate(arrays)})
    return file.getvalue()


def _unpack(data: bytes, like: Outcome) -> Outcome:
    """The inverse of `_pack`, given an outcome of the same structure."""
    tree = jax.tree.structure([getattr(like, name) for name in _ARRAYS])
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        said = json.loads(str(found["text"]))
        leaves = [found[f"leaf{i}"] for i in range(tree.num_leaves)]
    arrays = dict(zip(_ARRAYS, jax.tree.unflatten(tree, leaves), strict=True))
    return dataclasses.replace(like, rows=said["rows"], results=said["results"], **arrays)
