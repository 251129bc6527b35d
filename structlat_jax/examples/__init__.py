"""Small trained agents that come with the library, to act, look at and start from at once.

`AGENTS_FILE` says of each what it was trained on, how, and what it returns on tasks that it has
never seen. `experiments.examples` writes all of them.
"""

import functools
import json
from pathlib import Path
from typing import Any

from structlat_jax import agent as agents
from structlat_jax.agent import Agent
from structlat_jax.errors import InputError

FOLDER = Path(__file__).parent
AGENTS_FILE = "agents.json"


def names() -> tuple[str, ...]:
    """Of all agents: the environment and the latent of each."""
    return tuple(_all())


def about(name: str) -> dict[str, Any]:
    """What was measured of an agent.

    Returns:
      ``env``, ``env_options``, ``latent``, ``seed``, ``updates``, ``test_return`` (of the last
      episode on test tasks), ``percent_of_oracle`` (above the return of an untrained agent) and the
      ``date``.

    Raises:
      InputError: (a `ValueError`) if there is no such agent.
    """
    if name not in _all():
        raise InputError(f"the agent must be one of {', '.join(_all())}, not {name!r}.")
    return dict(_all()[name])


def agent(name: str) -> Agent:
    """Opens an agent, as `load` does.

    ``sl.examples.agent(sl.examples.names()[0])``

    Raises:
      InputError: (a `ValueError`) if there is no such agent.
    """
    about(name)
    return agents.load(file_of(name))


def file_of(name: str, folder: Path = FOLDER) -> Path:
    """Where an agent is."""
    return folder / f"{name}.safetensors"


@functools.cache
def _all() -> dict[str, dict[str, Any]]:
    return json.loads((FOLDER / AGENTS_FILE).read_text())
