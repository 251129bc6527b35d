"""What checkpoints cost, and that memory is flat, in a run of the real size as users start it."""

import time

import numpy as np
import psutil
import pytest

from experiments import plan, platform, runner
from structlat_jax import checkpoint
from structlat_jax.config import PRESETS
from structlat_jax.report.results_table import Silent

pytestmark = pytest.mark.slow

SECONDS = 60.0  # the default of --checkpoint-seconds
MEBIBYTE = 2**20


class Watch(Silent):
    """Notes resident memory after each meta-step."""

    def __init__(self):
        self.resident = []

    def advance(self, updates, status):
        self.resident.append(psutil.Process().memory_info().rss)


def run(folder, seeds, updates, changes, seconds=SECONDS, evals=1):
    config = PRESETS["cpu"].replace(**changes)
    watch = Watch()
    wanted = plan.Plan(config, "cpu", seeds, 0, updates, evals, seconds)
    outcome = runner.run(wanted, folder, False, watch)
    return outcome, watch.resident


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
    run(tmp_path, seeds, 6, {"updates_per_step": 1}, seconds=0)
    cost = float(np.median(taken))
    print(f"{seeds} seeds: {cost:.2f} s each, {100 * cost / (SECONDS + cost):.2f} % of the time")
    assert cost / (SECONDS + cost) < 0.03


def test_memory_of_a_whole_run_is_flat(tmp_path):
    """310 meta-steps with the replay of the default preset, an evaluation every ten and checkpoints
    included. Single readings swing with the copies of the replay that happen to be under way."""
    assert platform.return_freed_arrays()
    changes = {"updates_per_step": 1, "eval_repeats": 1}
    _, resident = run(tmp_path, 1, 310, changes, seconds=5, evals=31)
    begin, end = np.median(resident[10:30]), np.median(resident[290:])
    print(f"{begin / MEBIBYTE:.0f} MiB after ten, {end / MEBIBYTE:.0f} MiB after 310")
    assert abs(end / begin - 1.0) < 0.02
