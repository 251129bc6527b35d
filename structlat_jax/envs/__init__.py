"""Environments: records of pure functions, one file each."""

from structlat_jax.envs import point_robot
from structlat_jax.envs.base import Env, Step

ENVIRONMENTS = {"point_robot": point_robot.make}
"""The registry: a new environment is one new file and one entry here."""

__all__ = ["ENVIRONMENTS", "Env", "Step", "point_robot"]
