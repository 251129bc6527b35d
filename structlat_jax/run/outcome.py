"""What a run leaves in memory, and the parts of it that belong to one of several runs."""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from structlat_jax.config import Hyper
from structlat_jax.inference import chosen
from structlat_jax.inference.base import Learned
from structlat_jax.latents import block_names
from structlat_jax.report import results
from structlat_jax.report.parts import USED, title
from structlat_jax.run import failures
from structlat_jax.train.evaluate import Adaptation, References
from structlat_jax.train.setup import Setup

ARRAYS = ("adaptation", "train_tasks", "test_tasks", "references", "learned")
"""Of an `Outcome`: what has an axis of seeds."""


class Lanes(NamedTuple):
    """What runs side by side in one program, where that is not the plan's consecutive seeds.

    Attributes:
      seeds: Seed numbers, ``[S]``; they may repeat each other.
      hyper: Hyper-parameters, each a scalar or ``[S]``.
    """

    seeds: np.ndarray
    hyper: Hyper


@dataclasses.dataclass
class Outcome:
    """What a run leaves in memory.

    Attributes:
      rows: Of ``metrics.csv``.
      adaptation: The last evaluation on training tasks then test tasks, ``[S, T, R, E, ...]``.
      train_tasks, test_tasks: The tasks, ``[S, T, ...]``.
      references: Of the same tasks, ``[S, T]``.
      learned: All that was learned, ``[S, ...]``.
      results: The fields of ``results.json``.
      interrupted: Whether a signal ended it early; nothing but a checkpoint was written then.
    """

    rows: list[dict[str, Any]]
    adaptation: Adaptation | None
    train_tasks: Any
    test_tasks: Any
    references: References | None
    learned: Learned | None
    results: dict[str, Any]
    interrupted: bool

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(self.references.floor)

    @property
    def floor(self) -> np.ndarray:
        """Return of the untrained agents on training tasks then test tasks, ``[S, T]``."""
        return self.references.floor

    @property
    def measured(self) -> np.ndarray | None:
        """The oracle's returns on the same tasks, where they are known, ``[S, T]``."""
        return self.references.oracle


def summary(setup: Setup, outcome: Outcome, about: dict[str, Any]) -> dict[str, Any]:
    """The fields of ``results.json``; what is not finite is in no mean of them.

    Args:
      setup: Of the run.
      outcome: Its evaluation (NaN in seeds that failed), its references and its metrics.
      about: Those fields that tell how the run was made.
    """
    s, seeds, split = setup.structure, outcome.seeds, setup.structure.seen_tasks
    adaptation, references = outcome.adaptation, outcome.references

    def of_test(x):
        return None if x is None else x[:, split:]

    return {
        "latent": str(setup.space),
        "algorithm": s.algorithm,
        "title": title(setup.config),
        **about,
        **inferences(setup, outcome),
        **results.summarise(
            adaptation.returns[:, split:],
            adaptation.returns[:, :split],
            of_test(adaptation.encoder),
            of_test(references.oracle),
            s.blind_episodes,
            of_test(references.floor),
            of_test(adaptation.success),
        ),
        "failed_seeds": failures.records(outcome.rows, seeds),
        **last_kl(setup, outcome.rows[-seeds:], failures.found(outcome.rows, seeds)),
    }


def inferences(setup: Setup, outcome: Outcome) -> dict[str, Any]:
    """The field ``inference_chosen``: the name of each seed's, where there was a choice."""
    names = [one.name for one in setup.inference.candidates]
    if not names:
        return {}
    return {"inference_chosen": [names[i] for i in chosen.settled(outcome.learned.inference)]}


def last_kl(
    setup: Setup, rows: list[dict[str, Any]], failed: Iterable[int] = ()
) -> dict[str, dict[str, float]]:
    """What the blocks of z hold, over the rows (of one meta-step) but for the places of those that
    ``failed``.

    Returns:
      By block: ``kl_nats``, the mean KL to the prior, and ``block_used``, the share of seeds in
      which it is at least `USED`. Both are empty if there are no rows.
    """
    rows = [row for i, row in enumerate(rows) if i not in failed]
    found: dict[str, dict[str, float]] = {"kl_nats": {}, "block_used": {}}
    for name in block_names(setup.space):
        if not rows or f"kl {name}" not in rows[0]:  # an algorithm may report none
            continue
        values = np.array([row[f"kl {name}"] for row in rows])
        found["kl_nats"][name] = float(values.mean())
        found["block_used"][name] = float(np.mean(values >= USED))
    return found


def part(whole: Outcome, first: int, count: int) -> Outcome:
    """The lanes from ``first`` to ``first + count``; their results are left to the caller."""
    total, keep = whole.seeds, slice(first, first + count)
    return dataclasses.replace(
        whole,
        rows=[row for i, row in enumerate(whole.rows) if first <= i % total < first + count],
        results={},
        **{name: jax.tree.map(lambda x: x[keep], getattr(whole, name)) for name in ARRAYS},
    )


def join(parts: list[Outcome]) -> Outcome:
    """The inverse of `part`: outcomes of the same meta-steps side by side, in order.

    The results are the first one's. One of which no lane was left may have ended before the others:
    its rows go on, and hold nothing.
    """
    longest = max(parts, key=lambda one: len(one.rows) // one.seeds)
    rows = []
    for step in range(len(longest.rows) // longest.seeds):
        updates = longest.rows[step * longest.seeds]["updates"]
        for one in parts:
            here = one.rows[step * one.seeds : (step + 1) * one.seeds]
            ended = [{"updates": updates, "seed": row["seed"]} for row in one.rows[-one.seeds :]]
            rows.extend(here or ended)
    sides = {
        name: jax.tree.map(lambda *x: np.concatenate(x), *(getattr(p, name) for p in parts))
        for name in ARRAYS
    }
    return dataclasses.replace(parts[0], rows=rows, **sides)
