"""What a trained agent does as one variable of z is traversed and the others rest."""

from collections.abc import Mapping

import numpy as np

from structlat_jax.agent import Agent
from structlat_jax.envs.base import Plane
from structlat_jax.report.effect import Measure, Roll
from structlat_jax.report.parts import Part, variables_of
from structlat_jax.report.plane.traversals import Traversal

MEASURES = {
    "position": "where an episode ends",
    "direction": "the unit vector from the start to where an episode ends",
}


def measures(plane: Plane) -> Mapping[str, Measure]:
    """`MEASURES` as functions of observations ``[K, H + 1, obs_dim]``, to ``[K, 2]``."""

    def position(seen):
        places = np.asarray(plane.project(seen[:, [0, -1]]))
        return places[:, 1] - places[:, 0]

    def direction(seen):
        apart = position(seen)
        return apart / np.maximum(np.linalg.norm(apart, axis=-1, keepdims=True), 1e-9)

    return {"position": position, "direction": direction}


def traversals(agent: Agent, roll: Roll, plane: Plane) -> list[Traversal]:
    """One per variable, which takes the values of its traversal while the others rest."""
    found = []
    variables = variables_of(agent.space)
    rest = np.concatenate([part.rest for part in variables])
    for part in variables:
        z = np.tile(rest, (len(part.traversal), 1))
        z[:, part.columns] = part.traversal
        paths = np.asarray(plane.project(roll(agent.learned, z)))
        found.append(Traversal(part.name, _values(part), paths))
    return found


def _values(part: Part) -> np.ndarray | None:
    """As in `Traversal`."""
    if part.simplex:
        return part.traversal
    return part.traversal[:, 0] if part.traversal.shape[1] == 1 else None
