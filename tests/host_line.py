"""The lines of `tiny` as objects of Python, and what can be wrong with such an object.

Workers import this, which is quick without jax.
"""

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from structlat_jax.envs import HostEnv
from structlat_jax.envs.host.base import Simulator

RADIUS = 0.6


class Line:
    """The dynamics of `tiny.line` in single precision; with ``edge`` those of `tiny.ending`."""

    def __init__(self, edge: float = np.inf):
        self.edge, self.task = edge, None

    def reset(self, seed=None, options=None):
        self.position = np.zeros(1, np.float32)
        return self.position, {}

    def step(self, action):
        self.position = self.position + np.float32(0.5) * np.clip(action, -1.0, 1.0)
        distance = np.abs(self.position[0] - self.task)
        reward = np.where(distance <= RADIUS, 1.0 - distance, 0.0)
        info = {"shaped": -distance, "found": reward != 0}
        return self.position, reward, np.abs(self.position[0]) > self.edge, False, info


def set_task(environment: Line, task: Any) -> None:
    environment.task = task


def line(kind: str = "line", **changes: Any) -> HostEnv:
    """`tiny.line` or `tiny.ending` as a host environment."""
    import tiny

    assert RADIUS == tiny.RADIUS
    edge = np.inf if kind == "line" else tiny.EDGE
    usual = tiny.line()
    made = HostEnv(
        name=kind,
        obs_dim=1,
        action_dim=1,
        horizon=tiny.HORIZON,
        sample_tasks=usual.sample_tasks,
        make=lambda: Line(edge),
        set_task=set_task,
        train_reward=lambda reward, info: info["shaped"],
        success=lambda info: info["found"],
        factors=usual.factors,
        label=usual.label,
        controller=lambda environment, task: lambda obs: np.sign(task - obs),
    )
    return dataclasses.replace(made, **changes)


class Chain:
    """The dynamics of `choices.chain`."""

    task = None

    def reset(self, seed=None, options=None):
        self.place = np.zeros(1, np.float32)
        return self.place, {}

    def step(self, number):
        self.place = np.clip(self.place + np.float32(number - 1), -2, 2)
        distance = np.abs(self.place[0] - 2 * self.task)
        info = {"shaped": -distance / 2, "found": distance == 0}
        return self.place, float(distance == 0), False, False, info


def chain() -> HostEnv:
    """`choices.chain` as a host environment."""
    import choices

    usual = choices.chain()
    sizes = {name: getattr(usual, name) for name in ("obs_dim", "action_dim", "horizon")}
    own = {"sample_tasks": usual.sample_tasks, "factors": usual.factors, "discrete": True}
    return line(name="chain", make=Chain, controller=None, label=None, **sizes, **own)


class Dying(Line):
    """Kills its process at its third step, if a file is there, which goes with it."""

    def __init__(self, file: Path):
        super().__init__()
        self.file, self.steps = file, 0

    def step(self, action):
        self.steps += 1
        if self.steps == 3 and self.file.exists():
            self.file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action)


class Doomed(Line):
    """Kills its process at its first step."""

    def step(self, action):
        os.kill(os.getpid(), signal.SIGKILL)


class Telling(Line):
    """Observes with which seed it was reset, and what the global generator draws then."""

    def reset(self, seed=None, options=None):
        super().reset(seed)
        self.said = np.array([seed, np.random.random()])  # noqa: NPY002
        return self.said, {}


def simulator(**changes: Any) -> Simulator:
    """What workers have of `line`."""
    return line(**changes).simulator
