"""What a plane knows of tasks, as arrays."""

import jax

from structlat_jax.envs.base import Plane
from structlat_jax.shapes import Array, Task


def of_tasks(plane: Plane | None, tasks: Task) -> dict[str, Array]:
    """The goals of tasks ``[S, T]`` as ``goal [S, T, 2]``; empty where there are none."""
    if plane is None or plane.goal is None:
        return {}
    return {"goal": jax.vmap(jax.vmap(plane.goal))(tasks)}
