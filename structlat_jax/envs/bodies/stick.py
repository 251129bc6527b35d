"""A body as lines, from what is observed of it: what films draw where nothing can be rendered."""

import numpy as np

from structlat_jax.envs import slanted
from structlat_jax.envs.bodies import models
from structlat_jax.envs.bodies.kinds import Kind


def lines(kind: Kind, sees_place: bool, obs: np.ndarray) -> np.ndarray:
    """The lines of the standard body along an episode.

    Args:
      kind: Of body.
      sees_place: Whether observations begin with the place of the trunk.
      obs: Observations, ``[N, obs_dim]``.

    Returns:
      The ends of each line in metres, ``[N, lines, 2, 2]``: along the way, and up. Where the place
      is not observed it is summed from velocities.
    """
    qpos = positions(kind, sees_place, np.asarray(obs, float))
    found = []
    with models.quietly() as mujoco:
        model = models.build(kind, {})
        data = mujoco.MjData(model)
        shapes = [i for i in range(model.ngeom) if model.geom_bodyid[i] > 0]
        for one in qpos:
            data.qpos[:] = one
            mujoco.mj_kinematics(model, data)
            axis = data.geom_xmat[shapes].reshape(-1, 3, 3)[:, :, 2]
            half = axis * np.maximum(model.geom_size[shapes, 1], 0.02)[:, None]
            middle = data.geom_xpos[shapes]
            found.append(np.stack([middle - half, middle + half], axis=1))
    return slanted.seen(np.stack(found))


def positions(kind: Kind, sees_place: bool, obs: np.ndarray) -> np.ndarray:
    """Positions of the engine ``[N, nq]`` from observations ``[N, obs_dim]``."""
    if sees_place:
        return np.concatenate([obs[:, :2], obs[:, 2 : kind.qpos]], axis=1)
    unseen = kind.qpos + kind.qvel - obs.shape[1]
    velocity = obs[:, kind.qpos - unseen :][:, :unseen]
    steps = np.concatenate([np.zeros((1, unseen)), velocity[1:] * kind.seconds])
    return np.concatenate([np.cumsum(steps, axis=0), obs[:, : kind.qpos - unseen]], axis=1)
