"""The program under test at a tiny budget."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import structlat_jax

ROOT = Path(structlat_jax.__file__).resolve().parents[1]

LATENT = "cat:1x2,gau:1"
SEEDS = 2
UPDATES = 18
PER_STEP = 5  # so that the budget is rounded up to 20
OPTIONS = {
    "latent": LATENT,
    "seeds": SEEDS,
    "seed": 4,
    "updates": UPDATES,
    "evals": 2,
    "width": 4,
    "depth": 1,
    "encoder-width": 4,
    "encoder-depth": 1,
    "train-tasks": 4,
    "test-tasks": 2,
    "meta-batch": 2,
    "batch-size": 4,
    "context-episodes": 2,
    "context-window": 2,
    "updates-per-step": PER_STEP,
    "prior-episodes": 2,
    "explore-episodes": 1,
    "posterior-episodes": 1,
    "replay-steps": 400,
    "hypotheses": 16,
    "world-width": 4,
    "world-updates": 2,
    "eval-episodes": 4,
    "eval-prior-episodes": 2,
    "eval-repeats": 2,
}
TINY = [word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))]


class Done(NamedTuple):
    """How a run ended."""

    code: int
    out: str
    err: str


def start(*arguments, cwd, cache=None):
    """Runs ``python -m experiments.point_robot`` in its own process."""
    return ended(launch("point_robot", *arguments, cwd=cwd, cache=cache))


def launch(program, *arguments, cwd, cache=None):
    """Starts one of the programs in its own process, and does not wait for it."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XDG_CACHE_HOME": str(cwd.parent / "cache"),
    }
    if cache:
        env["JAX_COMPILATION_CACHE_DIR"] = cache
    command = [sys.executable, "-m", f"experiments.{program}", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, cwd=cwd, stdout=pipe, stderr=pipe, text=True)


def ended(process):
    """Waits for a process."""
    out, err = process.communicate()
    return Done(process.returncode, out, err)
