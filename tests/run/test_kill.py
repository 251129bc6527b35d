"""Killed at any moment and resumed, a run ends in the same bits as one that was left alone."""

import pytest
from kills import assert_same_run, finish, torture
from program import PER_STEP, UPDATES


def test_killed_twice(finished, tmp_path):
    killed, counts = torture(tmp_path, UPDATES, ["step", "write"], seed=0)
    assert counts["write"] == counts["step"] == 1
    for one in killed:
        assert_same_run(one, finished[0])


@pytest.mark.slow
def test_killed_thirty_times(tmp_path):
    updates = 60 * PER_STEP
    finish(tmp_path / "alone" / "run", updates)
    moments = ["any", "step", "write", "step", "write"] * 6
    killed, counts = torture(tmp_path / "killed", updates, moments, seed=1)
    print(dict(counts), f"in {len(killed)} runs")
    assert sum(counts[moment] for moment in set(moments)) == 30
    assert counts["half-written"] >= 6
    for one in killed:
        assert_same_run(one, tmp_path / "alone" / "run")
