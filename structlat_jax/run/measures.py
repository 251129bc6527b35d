"""The numbers that a learning curve shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from structlat_jax.train.choose import Selection
from structlat_jax.train.evaluate import Adaptation, References
from structlat_jax.train.setup import Setup


def step_rows(
    updates: int, seeds: Sequence[int], seconds: float, metrics: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """The rows of ``metrics.csv`` of one meta-step, one per seed.

    Args:
      updates: Updates done.
      seeds: Numbers of the seeds.
      seconds: Since the run began.
      metrics: By name, ``[S]``.
    """
    return [
        {
            "updates": updates,
            "seed": number,
            "seconds": round(seconds, 3),
            **{name: float(values[seed]) for name, values in metrics.items()},
        }
        for seed, number in enumerate(seeds)
    ]


def evaluation_metrics(
    setup: Setup, adaptation: Adaptation, references: References, selection: Selection | None = None
) -> dict[str, np.ndarray]:
    """Means over tasks and repeats by name, ``[S]``.

    Args:
      setup: Of the run.
      adaptation: On training tasks followed by test tasks, ``[S, T, R, E, ...]``.
      references: Of the same tasks, ``[S, T]``.
      selection: What the candidates of the inference were worth, ``[S, candidates]``.
    """
    s = setup.structure
    split, prior = s.seen_tasks, s.blind_episodes
    train, test = adaptation.returns[:, :split], adaptation.returns[:, split:]
    floor = references.floor[:, split:].mean(axis=1)
    found = {
        "test_return": test[..., -1].mean(axis=(1, 2)),
        "train_return": train[..., -1].mean(axis=(1, 2)),
        "test_prior_return": test[..., :prior].mean(axis=(1, 2, 3)),
        "test_first_posterior_return": test[..., prior].mean(axis=(1, 2)),
        "floor_return": floor,
    }
    if adaptation.encoder is not None:
        found["test_amortised_return"] = adaptation.encoder[:, split:, :, -1].mean(axis=(1, 2))
    if adaptation.success is not None:
        found["test_success"] = adaptation.success[:, split:, :, -1].mean(axis=(1, 2))
    if selection is not None:
        names = [one.name for one in setup.inference.candidates]
        found |= {f"train_return {x}": selection.returns[:, i] for i, x in enumerate(names)}
    if references.oracle is not None:
        oracle = references.oracle[:, split:].mean(axis=1)
        above = np.where(oracle > floor, oracle - floor, np.nan)
        found["oracle_return"] = oracle
        found["percent_of_oracle"] = 100.0 * (found["test_return"] - floor) / above
    return found
