"""Episodes shared out among worker processes, whatever becomes of these."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import host_line
import numpy as np
import psutil
import pytest
import tiny

from structlat_jax.envs.host import local
from structlat_jax.envs.host.policy import Policy
from structlat_jax.envs.host.pool import TRIES, Pool
from structlat_jax.envs.host.runner import HostError, Jobs, Runner

COUNT = 40
RANDOM = np.random.default_rng(0)
POLICIES = [
    Policy(
        (RANDOM.normal(size=(3, 8)).astype("f"), RANDOM.normal(size=(8, 2)).astype("f")),
        (np.zeros(8, "f"), np.zeros(2, "f")),
    )
    for _ in range(2)
]
JOBS = Jobs(
    kind="act",
    policy=np.arange(COUNT) % 2,
    task=(np.where(np.arange(COUNT) % 3, 1.0, -1.0).astype("f"),),
    seed=np.arange(COUNT, dtype=np.uint32),
    z=RANDOM.normal(size=(COUNT, 2)).astype("f"),
    noise=RANDOM.normal(size=(COUNT, tiny.HORIZON, 1)).astype("f"),
)


@pytest.fixture
def pool():
    """Makes pools, which are closed at the end."""
    made = []

    def make(count, **changes):
        made.append(Pool(host_line.simulator(**changes), 0, local.crew(count)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def alone():
    """What comes of the jobs without any worker."""
    return Runner(host_line.simulator(), 0).run(dict(enumerate(POLICIES)), JOBS)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def pids(pool):
    return [worker.pid for worker in [*pool._idle, *pool._busy]]


@pytest.mark.parametrize("count", [1, 2])
def test_however_many_workers_the_episodes_are_the_same(pool, alone, count):
    assert alone.success.any()
    assert not alone.success.all()
    many = pool(count)
    assert same(many.run(POLICIES, JOBS), alone)
    assert same(many.run(POLICIES, JOBS), alone)  # whatever was done before
    assert many.replaced == 0


def test_a_worker_that_dies_in_an_episode_is_replaced(pool, alone, tmp_path):
    file = tmp_path / "dies"
    file.touch()
    many = pool(2, make=lambda: host_line.Dying(file))
    assert same(many.run(POLICIES, JOBS), alone)
    assert many.replaced == 1
    assert not file.exists()


def test_workers_that_are_killed_between_calls_are_replaced(pool, alone):
    many = pool(2)
    many.run(POLICIES, JOBS)
    before = pids(many)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert same(many.run(POLICIES, JOBS), alone)
    assert not set(before) & set(pids(many))
    assert many.replaced == 2


def test_what_ends_every_worker_is_said(pool):
    many = pool(1, make=host_line.Doomed)
    words = f"line cannot go through an episode: its worker ended {TRIES} times \\(signal 9\\)"
    with pytest.raises(HostError, match=words):
        many.run(POLICIES, JOBS)


def test_an_environment_that_ends_its_process_when_it_is_made(pool):
    many = pool(1, make=lambda: os._exit(3))
    words = f"line cannot be made: its worker ended {TRIES} times \\(exit code 3\\)"
    with pytest.raises(HostError, match=words):
        many.run(POLICIES, JOBS)


def test_after_a_mistake_there_are_workers_again(pool, alone, tmp_path):
    file = tmp_path / "wrong"
    file.touch()

    def success(info):
        if file.exists():
            raise RuntimeError("no")
        return info["found"]

    many = pool(2, success=success)
    with pytest.raises(HostError, match="success of line fails: RuntimeError: no"):
        many.run(POLICIES, JOBS)
    file.unlink()
    assert same(many.run(POLICIES, JOBS), alone)


def test_workers_have_no_jax(pool):
    class Telling:
        """Of no module that imports it."""

        def reset(self, seed):
            return ["jax" in sys.modules, seed], {}

    own = {"set_task": lambda environment, task: None, "obs_dim": 2}
    seen = pool(1, make=Telling, **own).run([], JOBS._replace(kind="reset"))
    assert not seen.path[:, 0, 0].any()
    np.testing.assert_array_equal(seen.path[:, 0, 1], JOBS.seed)


PARENT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs in the background ignores it
sys.path[:0] = {path!r}
import test_pool
from structlat_jax.envs.host import local
from structlat_jax.envs.host.pool import Pool
import host_line

class Slow(host_line.Line):
    def step(self, action):
        time.sleep(30)

many = Pool(host_line.simulator(make=Slow), 0, local.crew(2))
while any(task is None for task in many._busy.values()):
    for worker in many._crew.wait(list(many._busy)):
        many._take(worker, (), [])
print(*test_pool.pids(many), flush=True)
many.run(test_pool.POLICIES, test_pool.JOBS)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_who_dies_leaves_no_worker(number):
    """Workers are in the middle of a step that takes half a minute."""
    program = PARENT.format(path=[str(Path(__file__).parent), str(Path(host_line.__file__).parent)])
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with process:
        found = [int(word) for word in process.stdout.readline().split()]
        assert len(found) == 2
        assert all(map(alive, found))
        process.send_signal(number)
        process.wait(20)
    deadline = time.monotonic() + 10
    while any(map(alive, found)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, found))


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
