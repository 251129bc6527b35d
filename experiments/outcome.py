"""What a run leaves in memory, and the parts of it that belong to one of several runs."""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import failures
from structlat_jax.config import Hyper
from structlat_jax.nets.networks import AgentParams
from structlat_jax.report import progress, results
from structlat_jax.train.evaluate import Adaptation
from structlat_jax.train.setup import Setup


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
      oracle: The oracle's return on the test tasks, ``[S, T]``.
      params: The trained networks, ``[S, ...]``.
      results: The fields of ``results.json``.
      interrupted: Whether a signal ended it early; nothing but a checkpoint was written then.
    """

    rows: list[dict[str, Any]]
    adaptation: Adaptation | None
    train_tasks: Any
    test_tasks: Any
    oracle: np.ndarray | None
    params: AgentParams | None
    results: dict[str, Any]
    interrupted: bool


def summary(setup: Setup, outcome: Outcome, about: dict[str, Any]) -> dict[str, Any]:
    """The fields of ``results.json``; what is not finite is in no mean of them.

    Args:
      setup: Of the run.
      outcome: Its evaluation (NaN in seeds that failed), its oracle and its metrics.
      about: Those fields that tell how the run was made.
    """
    s, seeds = setup.config.structure, len(outcome.oracle)
    returns, amortised = (
        np.split(x, [s.train_tasks], axis=1)
        for x in (outcome.adaptation.returns, outcome.adaptation.amortised)
    )
    return {
        "latent": str(setup.space),
        **about,
        **results.summarise(
            returns[1], returns[0], amortised[1], outcome.oracle, s.eval_prior_episodes
        ),
        "failed_seeds": failures.records(outcome.rows, seeds),
        "kl_nats": last_kl(setup, outcome.rows[-seeds:], failures.found(outcome.rows, seeds)),
    }


def last_kl(
    setup: Setup, rows: list[dict[str, Any]], failed: Iterable[int] = ()
) -> dict[str, float]:
    """KL to the prior in nats per block, mean over the rows (of one meta-step) but for the places
    of those that ``failed``; empty if there are no others."""
    rows = [row for i, row in enumerate(rows) if i not in failed]
    if not rows:
        return {}
    names = progress.block_names([block.spec for block in setup.space.blocks])
    return {name: float(np.mean([row[f"kl {name}"] for row in rows])) for name in names}


def part(whole: Outcome, first: int, count: int) -> Outcome:
    """The lanes from ``first`` to ``first + count``; their results are left to the caller."""
    total, keep = len(whole.oracle), slice(first, first + count)
    fields = ("adaptation", "train_tasks", "test_tasks", "oracle", "params")
    return dataclasses.replace(
        whole,
        rows=[row for i, row in enumerate(whole.rows) if first <= i % total < first + count],
        results={},
        **{name: jax.tree.map(lambda x: x[keep], getattr(whole, name)) for name in fields},
    )


def join(parts: list[Outcome]) -> Outcome:
    """The inverse of `part`: outcomes of the same meta-steps side by side, in order.

    The results are the first one's.
    """
    steps = len(parts[0].rows) // len(parts[0].oracle)
    rows = []
    for step in range(steps):
        for one in parts:
            count = len(one.oracle)
            rows.extend(one.rows[step * count : (step + 1) * count])
    fields = ("adaptation", "train_tasks", "test_tasks", "oracle", "params")
    sides = {
        name: jax.tree.map(lambda *x: np.concatenate(x), *(getattr(p, name) for p in parts))
        for name in fields
    }
    return dataclasses.replace(parts[0], rows=rows, **sides)
