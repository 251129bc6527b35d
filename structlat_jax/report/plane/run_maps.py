"""The maps that a run leaves in its folder."""

import functools
from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.figure import Figure

from structlat_jax.envs.base import Plane
from structlat_jax.report.parts import OF_Z, Words
from structlat_jax.report.plane.map import starts_of
from structlat_jax.report.plane.paths import adaptation_paths, prior_paths, task_map

_MOST_PATHS = 400


def of_run(
    plane: Plane, arrays: Mapping[str, np.ndarray], prior: int, about: str, words: Words = OF_Z
) -> dict[str, Callable[[], Figure]]:
    """The maps of a run, drawn when they are called; they show the first seed.

    Args:
      plane: Of its environment.
      arrays: As in ``adaptation.npz``.
      prior: Episodes at the start in which nothing that was seen decides.
      about: Names the run in titles.
      words: What these episodes are called.
    """
    goals, train = (
        None if g is None else g[0] for g in map(arrays.get, ("goal_test", "goal_train"))
    )

    @functools.cache
    def paths():  # [T, R, E, P, 2]
        return np.asarray(plane.project(arrays["path_test"][0]))

    def from_prior():
        each = paths()[:, :, :prior].reshape(-1, *paths().shape[-2:])
        few = each[:: -(-len(each) // _MOST_PATHS)]
        success, note = arrays.get("success_test"), ""
        if success is not None:
            own = success[0, ..., :prior].astype(bool).any(axis=-1).mean()
            first = "episode" if prior == 1 else f"{prior} episodes"
            note = f"a task's own goal is reached by its first {first} in {own:.0%} of tries"
        title = f"Episodes with {words.before}\n{about}"
        return prior_paths(few, plane, goals, title=title, note=note)

    def adapting():
        oracle, floor = arrays.get("oracle_test"), arrays["floor_test"]
        returns = arrays["returns_test"][0, :, 0]
        return adaptation_paths(
            *(paths()[:, 0], returns, prior, plane, goals),
            oracle=None if oracle is None else oracle[0],
            floor=floor[0],
            label=arrays["label_test"][0],
            title=f"Paths while adapting: {about}",
            before=words.before,
        )

    made = {"prior_paths": from_prior, "adaptation_paths": adapting}
    if goals is None:
        return made
    return {"task_map": lambda: task_map(train, goals, plane, starts_of(paths())), **made}
