"""structlat_jax: meta-reinforcement learning with structured task latents, as pure JAX.

The names below are the public ones. Importing this package has no side effects, and loads what a
name needs when the name is first used.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structlat_jax import envs, examples
    from structlat_jax.agent import Agent, Belief, load
    from structlat_jax.algos.base import Algorithm
    from structlat_jax.config import PRESETS, Config, preset
    from structlat_jax.inference.base import Inference
    from structlat_jax.latents import LatentSpace, LatentSpecError, laplace_bridge, latent_space
    from structlat_jax.options import ConfigError
    from structlat_jax.run import loggers
    from structlat_jax.run.api import Run, evaluate, train
    from structlat_jax.run.loggers import Logger
    from structlat_jax.shapes import Episodes, Transition
    from structlat_jax.train.collect import collect
    from structlat_jax.train.learn import init, learn, meta_step
    from structlat_jax.train.setup import make_setup

__version__ = "0.2.0"

_HOMES = {
    "structlat_jax.agent": ("Agent", "Belief", "load"),
    "structlat_jax.algos.base": ("Algorithm",),
    "structlat_jax.config": ("PRESETS", "Config", "preset"),
    "structlat_jax.inference.base": ("Inference",),
    "structlat_jax.latents": ("LatentSpace", "LatentSpecError", "laplace_bridge", "latent_space"),
    "structlat_jax.options": ("ConfigError",),
    "structlat_jax.run.api": ("Run", "evaluate", "train"),
    "structlat_jax.run.loggers": ("Logger",),
    "structlat_jax.train.collect": ("collect",),
    "structlat_jax.train.learn": ("init", "learn", "meta_step"),
    "structlat_jax.train.setup": ("make_setup",),
    "structlat_jax.shapes": ("Episodes", "Transition"),
}
_MODULES = {
    "envs": "structlat_jax.envs",
    "examples": "structlat_jax.examples",
    "loggers": "structlat_jax.run.loggers",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "PRESETS",
    "Agent",
    "Algorithm",
    "Belief",
    "Config",
    "ConfigError",
    "Episodes",
    "Inference",
    "LatentSpace",
    "LatentSpecError",
    "Logger",
    "Run",
    "Transition",
    "collect",
    "envs",
    "evaluate",
    "examples",
    "init",
    "laplace_bridge",
    "latent_space",
    "learn",
    "load",
    "loggers",
    "make_setup",
    "meta_step",
    "preset",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Has `train` for the function, whatever was imported before: the import of the subpackage
    `structlat_jax.train` would put that in its place."""

    @property
    def train(self) -> Any:
        return __getattr__("train")

    @train.setter
    def train(self, subpackage: ModuleType) -> None:
        pass


sys.modules[__name__].__class__ = _Package
