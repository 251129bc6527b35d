"""A finished run in memory: what it wrote, whatever version wrote it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from structlat_jax.config import Config
from structlat_jax.envs.spec import DEFAULT
from structlat_jax.report.parts import title

AXES = "axes"
"""The array of ``adaptation.npz`` that names the axes of the others."""


class RunFiles(NamedTuple):
    """What a finished run wrote about itself.

    What not every run has is asked for by a method, with ``train`` or ``test`` for the tasks:
    these know the files of earlier versions, whose one environment paid for success alone: its
    episodes succeeded if they were paid, and the untrained policy's were not.

    Attributes:
      path: The run folder.
      config: Its configuration.
      results: ``results.json`` as it is.
      arrays: ``adaptation.npz`` by name, for instance ``returns_test [S, T, R, E]``; the names and
        axes are those of `evaluate.Adaptation`, with ``_train`` or ``_test`` behind.
      metrics: ``metrics.csv`` by column, float ``[rows]``, NaN where a field is empty; one row per
        meta-step and seed.
    """

    path: Path
    config: Config
    results: dict[str, Any]
    arrays: dict[str, np.ndarray]
    metrics: dict[str, np.ndarray]

    @property
    def latent(self) -> str:
        """The latent spec, for instance ``dir:2x4,gau:2``."""
        return str(self.config.latent_space())

    @property
    def title(self) -> str:
        """What its agents are called, as `parts.title` has it."""
        return title(self.config)

    @property
    def env(self) -> tuple[str, dict[str, Any]]:
        """The environment's name and the options that it was made with."""
        # A run of an earlier version may have options that only its configuration still tells.
        options = self.results.get("env_options", self.config.env.options)
        return str(self.results.get("env")), dict(options)

    @property
    def seeds(self) -> int:
        """How many seeds the run has."""
        return self.arrays["returns_test"].shape[0]

    @property
    def finite(self) -> np.ndarray:
        """Whether all is well with each seed, ``[S]``; see `finite_seeds`."""
        return finite_seeds(self.arrays)

    def only_finite(self) -> "RunFiles":
        """The same without the seeds that are not finite, as far as its arrays go."""
        kept = self.finite
        arrays = {n: x if n == AXES else x[kept] for n, x in self.arrays.items()}
        return self._replace(arrays=arrays)

    def returns(self, kind: str = "test") -> np.ndarray:
        """Return of each episode, ``[S, T, R, E]``."""
        return self.arrays[f"returns_{kind}"]

    def encoder(self, kind: str = "test") -> np.ndarray | None:
        """The same with the encoder's posterior; None if it was not evaluated."""
        return self.arrays.get(f"amortised_{kind}")

    def success(self, kind: str = "test") -> np.ndarray | None:
        """Whether each episode succeeded, ``[S, T, R, E]``; None if nothing says when."""
        found = self.arrays.get(f"success_{kind}")
        if found is not None:
            return found.astype(bool)
        return self.returns(kind) > 0 if self._earlier else None

    def oracle(self, kind: str = "test") -> np.ndarray | None:
        """Return of the controller that knows the task, ``[S, T]``; None if nobody knows it."""
        return self.arrays.get(f"oracle_{kind}")

    def floor(self, kind: str = "test") -> np.ndarray:
        """Return of the untrained policy, ``[S, T]``."""
        found = self.arrays.get(f"floor_{kind}")
        return np.zeros(self.returns(kind).shape[:2]) if found is None else found

    def length(self, kind: str = "test") -> np.ndarray:
        """Steps of each episode, ``[S, T, R, E]``."""
        found = self.arrays.get(f"length_{kind}")
        steps = self.arrays[f"path_{kind}"].shape[-2] - 1
        return np.full(self.returns(kind).shape, steps) if found is None else found

    def reward(self, kind: str = "test") -> np.ndarray | None:
        """Reward of each step, ``[S, T, R, E, H]``; None in files of earlier versions."""
        return self.arrays.get(f"reward_{kind}")

    def spread(self, kind: str = "test") -> np.ndarray | None:
        """Posterior standard deviation of z before each episode, ``[S, T, R, E, D]``; None where
        it was not recorded."""
        return self.arrays.get(f"spread_{kind}")

    def factors(self, kind: str = "test") -> dict[str, np.ndarray]:
        """Named ground truth of the tasks, each ``[S, T, ...]``; empty if there is none."""
        return factors_of(self.arrays, kind)

    def label(self, kind: str = "test") -> np.ndarray:
        """The number of each task that pictures sort by, ``[S, T]``."""
        return self.arrays[f"label_{kind}"]

    @property
    def label_name(self) -> str:
        """What that number is, in a word; empty if it only counts the tasks."""
        return name_of_labels(self.label(), self.factors())

    @property
    def _earlier(self) -> bool:
        return "floor_test" not in self.arrays and self.results.get("env") == DEFAULT


def finite_seeds(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether all is well with each seed of an evaluation, ``[S]``.

    Returns alone do not tell: what is at NaN may be paid nothing, which is a number.

    Args:
      arrays: As in ``adaptation.npz``.
    """
    names = ("returns", "amortised", "path", "z")
    each = [arrays.get(f"{name}_{kind}") for name in names for kind in ("train", "test")]
    known = [x.reshape(len(x), -1) for x in each if x is not None]
    return np.all([np.isfinite(x).all(axis=1) for x in known], axis=0)


def factors_of(arrays: Mapping[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """The factors ``[S, T, ...]`` among the arrays of a run, by their names."""
    start, end = "factor_", f"_{kind}"
    return {
        name[len(start) : -len(end)]: array
        for name, array in arrays.items()
        if name.startswith(start) and name.endswith(end)
    }


def name_of_labels(labels: np.ndarray, factors: dict[str, np.ndarray]) -> str:
    """What labels ``[S, T]`` are: the factor ``[S, T, ...]`` that they are the first number of, or
    labels of the environment's own; empty if they only count the tasks."""
    for name, values in factors.items():
        if np.array_equal(values.reshape(*labels.shape, -1)[..., 0], labels):
            return name
    counted = np.broadcast_to(np.arange(labels.shape[1]), labels.shape)
    return "" if np.array_equal(labels, counted) else "label"
