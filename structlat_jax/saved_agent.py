"""An agent as one file: its parameters, its configuration, and what names its environment.

Opening a stranger's file executes no code: it holds arrays and JSON.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.agent import Agent, make_agent
from structlat_jax.config import SCHEMA_VERSION, Config
from structlat_jax.envs import AnyEnv, registry
from structlat_jax.inference.base import Learned
from structlat_jax.options import ConfigError
from structlat_jax.shapes import make_key
from structlat_jax.store import agent_file, array_files
from structlat_jax.store.checkpoint import restored, saved
from structlat_jax.store.run_folder import CheckpointError
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import Setup, make_setup


def save(agent: Agent, path: Path) -> Path:
    """Writes an agent; returns the path.

    Raises:
      WriteError: if it cannot be written; what was there before is intact.
    """
    config = agent.config.replace(env=registry.of_run(agent.config.env, agent.env))
    about = {"schema_version": SCHEMA_VERSION, **config.to_dict()}
    agent_file.write(path, jax.device_get(saved(agent.learned)), about)
    return path


def read(path: Path, env: AnyEnv | str | Path | None) -> Agent:
    """The inverse of `save`; ``env`` as for `agent.load`.

    Raises:
      CheckpointError: if the file cannot be read or does not fit its configuration.
      EnvError: if the environment cannot be made, or must be named first.
    """
    arrays, about = agent_file.read(path)
    if not isinstance(about, dict) or about.get("schema_version") != SCHEMA_VERSION:
        raise CheckpointError(f"{path} does not have schema_version {SCHEMA_VERSION}.")
    try:
        config = Config.from_dict(about)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None
    setup = make_setup(config, env)
    return make_agent(setup, _fitted(path, setup, arrays))


def _fitted(path: Path, setup: Setup, arrays: dict[str, Any]) -> Learned:
    like = Learned(*jax.eval_shape(lambda: init_params(setup, make_key(0))))
    found = array_files.fitted(path, arrays, saved(like))
    return restored(jax.tree.map(jnp.asarray, found), like)
