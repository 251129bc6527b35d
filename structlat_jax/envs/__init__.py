"""Environments: records of functions, one file each.

What a name needs is loaded when the name is first used: workers of host environments import modules
of this package, and must not load jax.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structlat_jax.envs import point_robot
    from structlat_jax.envs.base import AnyEnv, Env, Plane, Preset, Step, labels
    from structlat_jax.envs.host.base import HostEnv
    from structlat_jax.envs.registry import BUILT_IN, make, names
    from structlat_jax.envs.spec import EnvError, EnvSpec

_HOMES = {
    "base": ("AnyEnv", "Env", "Plane", "Preset", "Step", "labels"),
    "host.base": ("HostEnv",),
    "registry": ("BUILT_IN", "make", "names"),
    "spec": ("EnvError", "EnvSpec"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BUILT_IN",
    "AnyEnv",
    "Env",
    "EnvError",
    "EnvSpec",
    "HostEnv",
    "Plane",
    "Preset",
    "Step",
    "labels",
    "make",
    "names",
    "point_robot",
]


def __getattr__(name: str) -> Any:
    if name == "point_robot":
        return importlib.import_module(f"{__name__}.point_robot")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
