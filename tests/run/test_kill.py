"""Killed at any moment and resumed, a run ends in the same bits as one that was left alone."""

import own_env
import pytest
from folders import assert_same_run
from kills import finish, torture
from program import PER_STEP


@pytest.fixture(params=["built-in", "of a file"])
def env(request, tmp_path):
    """The options by which a run and each resumption of it name their environment."""
    return [] if request.param == "built-in" else ["--env", str(own_env.write(tmp_path))]


@pytest.mark.slow
@pytest.mark.idle
@pytest.mark.parametrize("env", ["of a file"], indirect=True)
def test_killed_twice(tmp_path, env):
    updates = 4 * PER_STEP
    finish(tmp_path / "alone" / "run", updates, env)
    killed, counts = torture(tmp_path / "killed", updates, ["step", "write"], seed=0, more=env)
    assert counts["write"] == counts["step"] == 1
    for one in killed:
        assert_same_run(one, tmp_path / "alone" / "run")


@pytest.mark.slow
@pytest.mark.idle
def test_killed_thirty_times(tmp_path, env):
    updates = 60 * PER_STEP
    finish(tmp_path / "alone" / "run", updates, env)
    moments = ["any", "step", "write", "step", "write"] * 6
    killed, counts = torture(tmp_path / "killed", updates, moments, seed=1, more=env)
    print(dict(counts), f"in {len(killed)} runs")
    assert sum(counts[moment] for moment in set(moments)) == 30
    assert counts["half-written"] >= 6
    for one in killed:
        assert_same_run(one, tmp_path / "alone" / "run")
