"""Environments: records of pure functions, one file each."""

from structlat_jax.envs import point_robot
from structlat_jax.envs.base import Env, Plane, Preset, Step, labels
from structlat_jax.envs.registry import BUILT_IN, make, names
from structlat_jax.envs.spec import EnvError, EnvSpec

__all__ = [
    "BUILT_IN",
    "Env",
    "EnvError",
    "EnvSpec",
    "Plane",
    "Preset",
    "Step",
    "labels",
    "make",
    "names",
    "point_robot",
]
