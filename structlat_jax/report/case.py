"""Finished runs, made ready to be drawn side by side."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from structlat_jax.agent import Agent
from structlat_jax.envs.base import AnyEnv, Plane
from structlat_jax.latents import LatentSpace
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.names import distinct, latent_slug, slug
from structlat_jax.report.parts import believed
from structlat_jax.report.run_files import ADAPTATION_FILE
from structlat_jax.store.run_folder import CheckpointError


class Case(NamedTuple):
    """A run to draw.

    Attributes:
      label: Names it in pictures: what its agents are called, and its folder if another
        run's are called the same.
      file: Names it in file names.
      files: What it wrote.
      env: Its environment; None where that is not at hand, which leaves out what needs it.
      load: The agent of one of its seeds, counted from 0.
      seed: The seed to draw, counted from 0.
    """

    label: str
    file: str
    files: RunFiles
    env: AnyEnv | None
    load: Callable[[int], Agent]
    seed: int

    def of(self, array: np.ndarray) -> np.ndarray:
        """The drawn seed's part of an array ``[S, ...]``."""
        return array[self.seed]

    @property
    def plane(self) -> Plane | None:
        """How its paths are drawn, if they can be."""
        return None if self.env is None else self.env.plane

    @property
    def space(self) -> LatentSpace:
        """What its agents have a belief about."""
        return believed(self.files.config)

    @property
    def prior(self) -> int:
        """How many episodes of the evaluation nothing decides that was seen."""
        return self.files.config.structure.blind_episodes


class Group(NamedTuple):
    """The cases of one environment.

    Attributes:
      title: Its name; empty if all cases are of one.
      suffix: Ends the names of files about it, in the same way.
      cases: At least one.
    """

    title: str
    suffix: str
    cases: list[Case]


def make_cases(
    runs: Sequence[RunFiles],
    seed: int,
    env_of: Callable[[RunFiles], AnyEnv | None],
    load: Callable[[RunFiles, int], Agent],
) -> list[Case]:
    """Cases with distinct names, in the order of the runs.

    Args:
      runs: From `run_files.read_run`.
      seed: The seed to draw, counted from 0; each run has it.
      env_of: A run's environment, or None.
      load: The agent of one of a run's seeds.

    Raises:
      CheckpointError: if the arrays of a run do not fit its latent space or its environment.
    """
    labels = _names([run.title for run in runs], runs, "{} ({})")
    files = _names([latent_slug(run.title) for run in runs], runs, "{}-{}")
    cases = []
    for run, label, file in zip(runs, labels, files, strict=True):

        def load_seed(number, run=run):
            return load(run, number)

        case = Case(label, file.replace("#", "-"), run, env_of(run), load_seed, seed)
        _check_widths(case)
        cases.append(case)
    return cases


def by_environment(cases: Sequence[Case]) -> list[Group]:
    """The cases by environment and options, in order: returns of others are no comparison."""
    found: dict[str, list[Case]] = {}
    for case in cases:
        name, options = case.files.env
        title = " ".join([name, *(f"{key}={value}" for key, value in options.items())])
        found.setdefault(title, []).append(case)
    if len(found) == 1:
        return [Group("", "", list(cases))]
    suffixes = distinct([slug(title) for title in found])
    return [
        Group(title, f"-{suffix.replace('#', '-')}", group)
        for (title, group), suffix in zip(found.items(), suffixes, strict=True)
    ]


def _check_widths(case: Case) -> None:
    """The last axes of the arrays are as the pictures need them."""
    run, dim = case.files, case.files.config.latent_space().dim
    last = {"belief_test": (dim,)}
    if case.plane is not None:
        last["path_test"] = (case.env.horizon + 1, case.env.obs_dim)
    points, width = run.arrays["path_test"].shape[-2:]
    weights = np.shape(run.arrays.get("leads_weight_test"))
    sometimes = {
        "spread_test": (dim,),
        "reward_test": (points - 1,),
        "leads_test": (*weights[-1:], width),
    }
    last |= {name: sizes for name, sizes in sometimes.items() if name in run.arrays}
    for name, sizes in last.items():
        found = np.shape(run.arrays.get(name))
        if found[len(found) - len(sizes) :] != sizes:
            raise CheckpointError(
                f"{run.path / ADAPTATION_FILE}: {name} must end with the axes {list(sizes)}, "
                f"not {list(found)}."
            )


def _names(titles: list[str], runs: Sequence[RunFiles], both: str) -> list[str]:
    """Distinct names: the titles, with the folder where several runs have the same."""
    return distinct(
        [
            both.format(title, run.path.name) if titles.count(title) > 1 else title
            for title, run in zip(titles, runs, strict=True)
        ]
    )
