"""Run folders of host environments: resumed, opened again, killed."""

import json
import os
import subprocess
import sys
import time

import host_line
import jax
import numpy as np
import psutil
import pytest
import tiny
from program import ROOT, TINY
from tiny import quick_compile

import structlat_jax as sl
from structlat_jax.envs.host import pools

pytestmark = pytest.mark.slow

FILE = """
import sys, time
sys.path.append({tests!r})
import host_line

def make():
    return host_line.line(label=None, factors=None)
"""


@pytest.fixture(autouse=True)
def quickly(kept_programs):
    with quick_compile():
        yield
    pools.close()


def returns(run):
    with np.load(run / "adaptation.npz") as arrays:
        return arrays["returns_test"], arrays["oracle_test"]


def test_a_run_that_goes_on_is_one_that_did_not_stop(tmp_path):
    """With another number of workers."""
    env, config = host_line.line(), tiny.config()
    one, other = tmp_path / "one", tmp_path / "other"
    sl.train(config, env, updates=10, evals=1, out=one, workers=2)
    sl.train(config, env, updates=20, evals=1, out=one, workers=1, resume=True)
    sl.train(config, env, updates=20, evals=1, out=other, workers=1)
    for found, expected in zip(returns(one), returns(other), strict=True):
        np.testing.assert_array_equal(found, expected)
    agent = sl.load(one, env=env)
    assert agent.act(np.zeros(1), agent.sample_z(agent.prior(), jax.random.key(0))).shape == (1,)


def test_a_run_that_is_killed_ten_times(tmp_path):
    """By turns one of its workers and the program, by SIGKILL."""
    (tmp_path / "own.py").write_text(FILE.format(tests=str(ROOT / "tests")))
    command = [sys.executable, "-m", "structlat_jax.cli.main", "train", "--env", "own.py"]
    fresh = [*TINY, "--updates", "200", "--checkpoint-seconds", "0", "--workers", "2"]

    def start(*more):
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen([*command, *more], cwd=tmp_path, env=env)

    with start(*fresh, "--out", "whole") as whole:
        assert whole.wait(600) == 0
    run, killed = start(*fresh, "--out", "killed"), []
    for wanted in range(3, 33, 3):  # of 40 meta-steps
        done = meta_steps(tmp_path / "killed", run, wanted)
        assert done < 40, "it has ended before the last kill"
        if len(killed) % 2:
            run.kill()
            run.wait(20)
            run = start("--out", "killed", "--resume", "--workers", "1")
            killed.append(run.pid)
        else:
            worker = workers_of(run)[0]
            worker.kill()
            killed.append(worker.pid)
    assert run.wait(600) == 0
    assert len(set(killed)) == 10
    for found, expected in zip(
        returns(tmp_path / "killed"), returns(tmp_path / "whole"), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    said = json.loads((tmp_path / "killed" / "results.json").read_text())
    assert (said["env"], said["failed_seeds"]) == ("line", [])


def meta_steps(folder, run, wanted):
    """Waits until so many are done; how many there are."""
    done = 0
    while done < wanted and run.poll() is None:
        time.sleep(0.02)
        saved = list(folder.glob("metrics.csv"))
        done = len(saved[0].read_text().splitlines()) // 2 if saved else 0
    return done


def workers_of(run):
    """Its processes, as soon as it has one."""
    found = []
    while not found and run.poll() is None:
        children = psutil.Process(run.pid).children(recursive=True)
        found = [one for one in children if "structlat_jax.envs.host.worker" in one.cmdline()]
        time.sleep(0.02)
    return found
