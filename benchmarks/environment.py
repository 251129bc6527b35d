"""Environment steps per second, with the policy in the loop and without it.

Ours: episodes of many tasks at once on every device, vmapped and scanned, the transitions kept;
with the default policy network, or with actions that were drawn beforehand. Against them, the same
environment in plain Python: as a Gym-style class on NumPy arrays, and our own `Env` record, both
called step by step.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import harness
from structlat_jax.train import rollout
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import Setup, make_setup

_CALLS = 20  # per turn: after a single one the caches would still be another program's


@click.command(help=__doc__)
@click.option("--episodes", type=click.IntRange(1), default=1_536, show_default=True,
              help="At the same time, per device; many more exceed its cache.")  # fmt: skip
@harness.options(repeats=25)
def command(episodes: int, repeats: int, quick: bool, out: Path | None) -> None:
    """See the module's docstring."""
    harness.use_all_cores()
    setup = make_setup(harness.preset("cpu")[0])
    if quick:
        episodes, repeats = 16, 2
    ours = episodes * len(jax.devices()) * setup.env.horizon
    programs = {
        "with the policy": (vectorised(setup, episodes, True), ours),
        "without": (vectorised(setup, episodes, False), ours),
        "plain Python, NumPy": (python_loop(setup), setup.env.horizon),
        "plain Python, our record": (record_loop(setup), setup.env.horizon),
    }
    calls = {name: again(call) for name, (call, _) in programs.items()}
    found = harness.interleaved(calls, repeats)
    rates = {
        name: [_CALLS * programs[name][1] / s for s in seconds] for name, seconds in found.items()
    }
    rows = []
    for name, values in rates.items():
        row = {"program": name}
        row |= {f"steps/s {k}": v for k, v in harness.summary(values).items()}
        pairs = zip(values, rates["plain Python, NumPy"], strict=True)
        row["x plain Python"] = harness.summary([a / b for a, b in pairs])["median"]
        rows.append(row)
    harness.report("environment", out, rows)


def again(call: Callable[[], Any]) -> Callable[[], Any]:
    """`_CALLS` calls, one after the other; what the last one gave."""

    def calls():
        for _ in range(_CALLS):
            out = call()
        return out

    return calls


def vectorised(setup: Setup, episodes: int, with_policy: bool) -> Callable[[], Any]:
    """Episodes on every device: a program without arguments that gives them."""
    devices = jax.devices()
    env = setup.env

    def one_device(key):
        keys = dict(
            zip(("tasks", "z", "noise", "reset", "net"), jax.random.split(key, 5), strict=True)
        )
        tasks = env.sample_tasks(keys["tasks"], episodes)
        z = setup.space.sample_prior(keys["z"], (episodes,))
        noise = jax.random.normal(keys["noise"], (episodes, env.horizon, env.action_dim))
        params, _ = init_params(setup, keys["net"])
        return params, tasks, z, noise, jax.random.split(keys["reset"], episodes)

    def play(params, tasks, z, noise, keys):
        def one(task, latent, eps, key):
            def act(obs, step_eps):
                if not with_policy:
                    return step_eps
                return setup.algorithm.act(params, obs, latent, step_eps)

            return rollout.episode(env, act, task, key, eps)

        return jax.vmap(one)(tasks, z, noise, keys)

    inputs = [
        jax.device_put(jax.jit(one_device)(key), device)
        for key, device in zip(
            jax.random.split(jax.random.key(0), len(devices)), devices, strict=True
        )
    ]
    program = jax.jit(play)
    return lambda: [program(*arguments) for arguments in inputs]


class PointRobot:
    """The sparse point robot as a Gym-style class on NumPy arrays."""

    def __init__(self, goal: np.ndarray):
        self.goal = goal

    def reset(self) -> np.ndarray:
        self.position = np.zeros(2)
        return self.position

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, dict]:
        """Observation, sparse reward, done, and the shaped reward."""
        self.position = self.position + 0.1 * np.clip(action, -1.0, 1.0)
        distance = np.linalg.norm(self.position - self.goal)
        sparse = 1.0 - distance if distance <= 0.2 else 0.0
        return self.position, sparse, False, {"dense": -distance}


def python_loop(setup: Setup) -> Callable[[], Any]:
    """One episode of `PointRobot`, its transitions kept in a list."""
    actions = np.random.default_rng(0).normal(size=(setup.env.horizon, 2))
    robot = PointRobot(np.array([0.0, 1.0]))

    def episode():
        obs, seen = robot.reset(), []
        for action in actions:
            after, reward, done, info = robot.step(action)
            seen.append((obs, action, reward, info["dense"], after, done))
            obs = after
        return obs

    return episode


def record_loop(setup: Setup) -> Callable[[], Any]:
    """One episode of our environment, its step jitted but called from Python."""
    env = setup.env
    key_task, key_reset = jax.random.split(jax.random.key(0))
    task = jax.tree.map(lambda x: x[0], env.sample_tasks(key_task, 1))
    step, action = jax.jit(env.step), jnp.ones(env.action_dim)

    def episode():
        state = env.reset(key_reset, task)
        for _ in range(env.horizon):
            state = step(state, action, task).state
        return state

    return episode


if __name__ == "__main__":
    command()
