"""Which maps of finished runs there are, side by side, and what each one shows of which run."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from structlat_jax.agent import Agent
from structlat_jax.report.album import Album
from structlat_jax.report.case import Case, by_environment
from structlat_jax.report.effect import Roll
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.plane.map import starts_of
from structlat_jax.report.plane.panels import PriorPanel, prior_panels
from structlat_jax.report.plane.paths import adaptation_paths, task_map
from structlat_jax.report.plane.traversals import draw as draw_traversals
from structlat_jax.report.plane.traverse import traversals
from structlat_jax.report.shares_table import percent


class Choice(NamedTuple):
    """Which runs the maps show of which a paper has one figure each, and why these.

    Attributes:
      panels: Those whose paths from the prior stand side by side.
      panels_why: A clause about that figure.
      paths: Those whose paths while adapting are drawn.
      paths_why: A clause about that figure.
      reported: What is published of a run's return of the last episode on test tasks, or None.
    """

    panels: Callable[[Case], bool]
    panels_why: str
    paths: Callable[[Case], bool]
    paths_why: str
    reported: Callable[[RunFiles], float | None] = lambda run: None


Choose = Callable[[RunFiles], Choice | None]
"""The choice for the runs of one environment, given the first; None: all of them."""


def choose_all(run: RunFiles) -> None:
    """Every run is in every figure."""
    del run


def maps(cases: Sequence[Case], album: Album, choose: Choose = choose_all) -> None:
    """Figures 1 to 3 of the paper, for every environment that has a plane.

    Args:
      cases: At least one.
      album: Takes the figures, and what was left out.
      choose: Which cases of an environment figures 2 and 3 show.
    """
    for _, suffix, group in by_environment(cases):
        mapped = [case for case in group if case.plane is not None]
        for case in group:
            if case.plane is None:
                why = "is not at hand" if case.env is None else "has no plane to draw them in"
                album.left_out.append(f"the maps of {case.label}: its environment {why}.")
        if mapped:
            _tasks(mapped, suffix, album)
            choice = choose(mapped[0].files)
            _priors(mapped, suffix, choice, album)
            _adaptations(mapped, suffix, choice, album)


def sweep_map(
    case: Case, agent: Agent, roll: Roll, alone: Mapping[str, float], album: Album
) -> None:
    """The paths while one variable of z is traversed, with the share of the variance of where an
    episode ends that it explains ``alone``, by its name."""
    title = (
        f"{case.label}: one variable is traversed, the others rest at the prior's mean\n"
        "percentage: of the variance of where an episode ends, explained by it alone"
    )

    def draw():
        found = traversals(agent, roll, case.plane)
        named = [one._replace(title=f"{one.title}: {percent(alone[one.title])}") for one in found]
        return draw_traversals(named, case.plane, title)

    album.add(f"traversal-{case.file}", draw)


def _tasks(mapped: Sequence[Case], suffix: str, album: Album) -> None:
    """Figure 1: the goals of the first case, and who has others."""
    first = mapped[0]
    if _goals(first) is None:
        album.left_out.append(f"figure1{suffix} of {first.label}: its tasks have no goals.")
        return
    album.add(f"figure1{suffix}", _task_map, first)
    others = [case.label for case in mapped if not _same_goals(first, case)]
    if others:
        album.left_out.append(
            f"figure1{suffix} of {', '.join(others)}: their goals are not those of {first.label}, "
            "which it shows."
        )


def _task_map(case: Case) -> Figure:
    return task_map(_goals(case, "train"), _goals(case), case.plane, starts_of(_paths(case)))


def _priors(mapped: Sequence[Case], suffix: str, choice: Choice | None, album: Album) -> None:
    """Figure 2: paths from the prior, side by side."""
    name = f"figure2{suffix}"
    shown = list(mapped)
    if choice is not None:
        shown = _chosen(mapped, choice.panels, f"{name} of {{}}: {choice.panels_why}.", album)
    album.add(name, _panels, shown)


def _panels(shown: Sequence[Case]) -> Figure:
    return prior_panels([_panel(case) for case in shown], shown[0].plane)


def _adaptations(mapped: Sequence[Case], suffix: str, choice: Choice | None, album: Album) -> None:
    """Figure 3: paths while adapting, of one case or of each."""
    shown, alone = list(mapped), False
    if choice is not None:
        shown = _chosen(mapped, choice.paths, f"figure3 of {{}}: {choice.paths_why}.", album)
        alone = len([case for case in mapped if choice.paths(case)]) == 1
    for case in shown:
        name = f"figure3{suffix}" if alone else f"figure3-{case.file}"
        album.add(name, _adaptation, case)


def _adaptation(case: Case) -> Figure:
    oracle = case.files.oracle()
    return adaptation_paths(
        *(_paths(case)[:, 0], case.of(case.files.returns())[:, 0]),
        *(case.prior, case.plane, _goals(case)),
        oracle=None if oracle is None else case.of(oracle),
        floor=case.of(case.files.floor()),
        label=case.of(case.files.label()),
        title=f"Paths while adapting: {case.label} on {case.files.env[0]}",
    )


def _chosen(
    cases: Sequence[Case], wanted: Callable[[Case], bool], sentence: str, album: Album
) -> list[Case]:
    """Those that are wanted, or all where none is; the others are said to be left out."""
    found = [case for case in cases if wanted(case)]
    if found and len(found) < len(cases):
        rest = ", ".join(case.label for case in cases if case not in found)
        album.left_out.append(sentence.format(rest))
    return found or list(cases)


def _panel(case: Case) -> PriorPanel:
    """The prior episodes of the first repeat of the evaluation, of all test tasks."""
    paths = _paths(case)[:, 0, : case.prior]
    success, note = case.files.success(), f"{case.prior} episodes, as in the evaluation"
    if success is not None:
        own = case.of(success)[..., : case.prior].any(axis=-1).mean()
        note += f", reach {own:.0%}"
    return PriorPanel(case.label, paths.reshape(-1, *paths.shape[-2:]), _goals(case), note)


def _paths(case: Case) -> np.ndarray:
    """Places of the drawn seed on test tasks, ``[T, R, E, P, 2]``."""
    return np.asarray(case.plane.project(case.of(case.files.arrays["path_test"])))


def _goals(case: Case, kind: str = "test") -> np.ndarray | None:
    """Goals of the drawn seed, ``[T, 2]``."""
    found = case.files.arrays.get(f"goal_{kind}")
    return None if found is None else case.of(found)


def _same_goals(one: Case, other: Case) -> bool:
    pairs = [(_goals(one, kind), _goals(other, kind)) for kind in ("train", "test")]
    return all(b is not None and a.shape == b.shape and np.allclose(a, b) for a, b in pairs)
