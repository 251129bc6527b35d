"""An environment in a file of its own: dense rewards below zero, episodes that end early, no goal,
and nobody who knows the best return."""

from pathlib import Path

from tiny import SIZES

SEEDS, UPDATES = 2, 20
_CHANGES = {
    **SIZES,
    "latent": "cat:1x2,gau:1",
    "inference": "amortised",
    "explorer": "uniform",
    "context_reward_scale": 1.0,
}

SOURCE = f'''"""A point on a line that is to be where nobody tells it, on ground of a slope."""

import pathlib

import jax
import jax.numpy as jnp

import structlat_jax as sl

with pathlib.Path(__file__).with_suffix(".ran").open("a") as file:
    file.write("x")


def make(edge: float = 0.5, horizon: int = 6, obs_dim: int = 2):
    def sample_tasks(key, n):
        return {{"place": jax.random.normal(key, (n,)), "slope": jnp.linspace(-0.1, 0.1, n)}}

    def observe(state):
        return jnp.resize(state, (obs_dim,))

    def step(state, action, task):
        state = state + 0.5 * jnp.clip(action, -1.0, 1.0) + task["slope"]
        reward = -10.0 - jnp.abs(state[0] - task["place"])
        return sl.envs.Step(state, observe(state), reward, reward, jnp.abs(state[0]) > edge)

    return sl.envs.Env(
        name="slope",
        obs_dim=obs_dim,
        action_dim=1,
        horizon=horizon,
        sample_tasks=sample_tasks,
        reset=lambda key, task: 0.1 * jax.random.normal(key, (1,)),
        observe=observe,
        step=step,
        presets={{"quick": sl.envs.Preset(updates={UPDATES}, changes={_CHANGES!r})}},
    )
'''


def write(folder: Path, name: str = "own.py") -> Path:
    """Writes the file; whoever runs its code leaves a mark beside it, see `times_run`."""
    (folder / name).write_text(SOURCE)
    return folder / name


def times_run(folder: Path, name: str = "own.py") -> int:
    """How often its code was run."""
    marks = (folder / name).with_suffix(".ran")
    return len(marks.read_text()) if marks.exists() else 0
