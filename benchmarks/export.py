"""How large an exported agent is, and how long its functions and those of the agent itself take.

Each number is of one call that is waited for, NumPy in and NumPy out, as in a control loop: median
and 99th percentile. Whoever wants 100 Hz has 10 ms for `act` and `update` together.
"""

import json
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np

from benchmarks import harness
from structlat_jax.agent import Agent, make_agent
from structlat_jax.config import Config
from structlat_jax.inference.base import Learned
from structlat_jax.shapes import Transition, make_key
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import make_setup

ROBOTS = (1, 32)


@click.command(help=__doc__)
@click.option("--latent", default="dir:2x4,gau:2", show_default=True)
@harness.options(repeats=2000)
def command(latent: str, repeats: int, quick: bool, out: Path | None) -> None:
    """See the module's docstring."""
    sizes = harness.QUICK if quick else {}
    rows = []
    for inference in ("amortised", "hypotheses"):
        agent = _agent(Config().replace(latent=latent, inference=inference, **sizes))
        rows += _rows(inference, agent, 10 if quick else repeats)
    harness.report("export", out, rows)


def _agent(config: Config) -> Agent:
    """An agent that has learned nothing, which is as large and as fast as one that has."""
    setup = make_setup(config)
    return make_agent(setup, Learned(*jax.jit(lambda: init_params(setup, make_key(0)))()))


def _rows(inference: str, agent: Agent, repeats: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = agent.export(Path(folder) / "agent.zip")
        kilobytes, functions = path.stat().st_size / 1e3, _read(path)
    found = []
    for n in ROBOTS:
        given = {n_: np.zeros((n, *axes), np.float32) for n_, axes in _axes(agent).items()}
        belief = functions["prior"](given["obs"])
        calls = {
            "act": lambda g=given: functions["act"](g["obs"], g["z"]),
            "update": lambda g=given, b=belief: functions["update"](
                b, *(g[name] for name in ("obs", "action", "reward", "obs", "reward"))
            ),
        }
        found.append({"agent": f"exported, {inference}", "tasks": n, "kB": kilobytes})
        found[-1] |= _timed(calls, repeats)
    found.append({"agent": f"Agent, {inference}", "tasks": 1, **_timed(_own(agent), repeats)})
    return found


def _read(path: Path) -> dict[str, Callable[..., Any]]:
    with zipfile.ZipFile(path) as file:
        names = [name for name in file.namelist() if name != "about.json"]
        assert json.loads(file.read("about.json"))
        return {
            name: jax.jit(jax.export.deserialize(bytearray(file.read(name))).call) for name in names
        }


def _axes(agent: Agent) -> dict[str, tuple[int, ...]]:
    env = agent.env
    return {
        "obs": (env.obs_dim,),
        "action": (env.action_dim,),
        "z": (agent.space.dim,),
        "reward": (),
    }


def _own(agent: Agent) -> dict[str, Callable[[], Any]]:
    given = {name: np.zeros(axes, np.float32) for name, axes in _axes(agent).items()}
    obs, action, zero = given["obs"], given["action"], given["reward"]
    seen, belief = Transition(obs, action, zero, zero, obs, zero), agent.prior()
    return {
        "act": lambda: agent.act(obs, given["z"]),
        "update": lambda: agent.update(belief, seen),
    }


def _timed(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Milliseconds: median and 99th percentile of each call, without the first, which compiles."""
    found = {}
    for name, call in calls.items():
        jax.device_get(call())
        each = []
        for _ in range(repeats):
            start = time.perf_counter()
            jax.device_get(call())
            each.append(1e3 * (time.perf_counter() - start))
        found[f"{name} ms"], found[f"{name} ms p99"] = np.percentile(each, [50, 99]).tolist()
    return found


if __name__ == "__main__":
    command()
