"""What checkpoints and the live page cost, and that memory is flat, in runs of the real size."""

import time

import numpy as np
import psutil
import pytest
from watching import Watcher

from structlat_jax.config import preset
from structlat_jax.run import machine
from structlat_jax.run.loggers import silent, to_page
from structlat_jax.run.loop import Job, run
from structlat_jax.run.plan import Plan
from structlat_jax.store import checkpoint
from structlat_jax.train.setup import make_setup

pytestmark = [pytest.mark.slow, pytest.mark.idle]

SECONDS = 60.0  # the default of --checkpoint-seconds
MEBIBYTE = 2**20


def train(folder, seeds, updates, changes, seconds=SECONDS, evals=1):
    """Resident memory after each meta-step."""
    resident = []

    def note(updates, metrics):
        resident.append(psutil.Process().memory_info().rss)

    config = preset("cpu")[0].replace(**changes)
    plan = Plan(config, "cpu", seeds, 0, updates, evals, seconds)
    run(Job(plan, make_setup(config), folder), False, silent()._replace(log=note))
    return resident


@pytest.mark.parametrize("seeds", [1, 10])
def test_checkpoints_cost_at_most_three_percent(tmp_path, seeds, monkeypatch):
    """The time of one save against the interval between two: no run has to last for hours."""
    taken = []
    save = checkpoint.Checkpoints.save

    def timed(self, *arguments):
        start = time.perf_counter()
        save(self, *arguments)
        taken.append(time.perf_counter() - start)

    monkeypatch.setattr(checkpoint.Checkpoints, "save", timed)
    # One small evaluation, which would take most of the time otherwise and is in no checkpoint.
    changes = {"updates_per_step": 1, "eval_repeats": 1, "eval_train_tasks": 1}
    train(tmp_path, seeds, 6, changes, seconds=0)
    cost = float(np.median(taken))
    print(f"{seeds} seeds: {cost:.2f} s each, {100 * cost / (SECONDS + cost):.2f} % of the time")
    assert cost / (SECONDS + cost) < 0.03


def test_a_page_that_is_watched_costs_at_most_two_percent():
    """The processor's time of all that has to do with it, the program that watches included, while
    ten seeds tell 25 metrics 20 times per second, which is more often than any real run does."""
    pytest.importorskip("plotly")
    said, metrics = [], {f"metric {i}": np.random.default_rng(i).normal(size=10) for i in range(25)}
    logger = to_page.make(range(10), tell=said.append)
    watcher = Watcher(int(said[0].rstrip("/").rpartition(":")[2]))
    while not watcher.items:
        time.sleep(0.1)
    start, spent = time.perf_counter(), time.process_time()
    for step in range(200):
        logger.log(step, metrics)
        time.sleep(0.05)
    cost = (time.process_time() - spent) / (time.perf_counter() - start)
    logger.close()
    assert len(watcher.told()[0]) == 200
    print(f"{100 * cost:.2f} % of a core")
    assert cost < 0.02


def test_memory_of_a_whole_run_is_flat(tmp_path):
    """310 meta-steps with the replay of the default preset, an evaluation every ten and checkpoints
    included. Single readings swing with the copies of the replay that happen to be under way."""
    assert machine.return_freed_arrays()
    changes = {"updates_per_step": 1, "eval_repeats": 1}
    resident = train(tmp_path, 1, 310, changes, seconds=5, evals=31)
    begin, end = np.median(resident[10:30]), np.median(resident[290:])
    print(f"{begin / MEBIBYTE:.0f} MiB after ten, {end / MEBIBYTE:.0f} MiB after 310")
    assert abs(end / begin - 1.0) < 0.02
