"""structlat_jax: meta-reinforcement learning with structured task latents, as pure JAX.

The names below are the public ones. Importing this package has no side effects.
"""

from structlat_jax import envs
from structlat_jax.agent import Agent, Belief, load
from structlat_jax.config import PRESETS, Config, ConfigError
from structlat_jax.latents import LatentSpace, LatentSpecError, laplace_bridge, latent_space
from structlat_jax.train.learn import init, meta_step
from structlat_jax.train.setup import make_setup
from structlat_jax.types import Transition

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "Agent",
    "Belief",
    "Config",
    "ConfigError",
    "LatentSpace",
    "LatentSpecError",
    "Transition",
    "envs",
    "init",
    "laplace_bridge",
    "latent_space",
    "load",
    "make_setup",
    "meta_step",
]
