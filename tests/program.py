"""Programs at a tiny budget: how they are run, and what is said of how they ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import structlat_jax
from structlat_jax.run.loggers import console

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
    "eval-train-tasks": 3,  # fewer than there are
}
TINY = [word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))]


class Done(NamedTuple):
    """How a run ended."""

    code: int
    out: str
    err: str


def start(*arguments, cwd, program="experiments.point_robot"):
    """Runs a program in its own process."""
    return ended(launch(program, *arguments, cwd=cwd))


def launch(program, *arguments, cwd, log=subprocess.PIPE, **environment):
    """Starts a program in its own process, ``python -m``, and does not wait for it."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        **environment,
    }
    command = [sys.executable, "-m", program, *map(str, arguments)]
    return subprocess.Popen(command, env=env, cwd=cwd, stdout=log, stderr=log, text=True)


def ended(process):
    """Waits for a process."""
    out, err = process.communicate()
    return Done(process.returncode, out, err)


def assert_refused(done):
    """Fails unless a command ended with one sentence, which is returned."""
    assert done.code == 2, done
    lines = [line for line in done.err.splitlines() if line.strip()]
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    assert len(lines[0]) > len("error: ") + 10
    assert "Traceback" not in done.out + done.err
    return lines[0]


def must_not_start(*_, **__):
    """Stands for what is not to happen."""
    raise AssertionError("the run was started")


def interrupt_at(monkeypatch, updates, number=signal.SIGINT):
    """Sends a signal when a program says that so many updates, of all its runs, are done."""
    show = console.Meter.show

    def show_then_interrupt(self, done, *rest):
        show(self, done, *rest)
        if done == updates:
            signal.raise_signal(number)

    monkeypatch.setattr(console.Meter, "show", show_then_interrupt)
