"""Workers that are processes of this machine."""

import contextlib
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from structlat_jax.envs.host.base import Simulator
from structlat_jax.envs.host.policy import Policy
from structlat_jax.envs.host.pool import Crew
from structlat_jax.envs.host.runner import Jobs
from structlat_jax.envs.host.shipping import pack

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def crew(count: int) -> Crew:
    """So many processes."""
    return Crew(Process, _waiting, count)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class Process:
    """A worker that is a process of this machine, at the other end of a socket."""

    def __init__(self, simulator: Simulator, template: Any):
        payload = pickle.dumps((sys.path, pack((simulator, template))))
        mine, its = socket.socketpair()
        # Workers share the cores already; and how sums are split over threads changes their bits.
        alone = {**os.environ, **dict.fromkeys(_THREADS, "1")}
        command = [sys.executable, "-m", "structlat_jax.envs.host.worker", str(its.fileno())]
        path = os.pathsep.join(one or os.getcwd() for one in sys.path)
        try:
            self._process = subprocess.Popen(
                command,
                pass_fds=(its.fileno(),),
                stdin=subprocess.DEVNULL,
                process_group=0,  # a terminal's Ctrl-C is a matter of whoever trains
                env={**alone, "PYTHONPATH": path},
            )
        except BaseException:
            mine.close()
            raise
        finally:
            its.close()
        self.connection = Connection(mine.detach())
        with contextlib.suppress(OSError):  # dead already, which its answer will tell
            self.connection.send_bytes(payload)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, policies: dict[int, Policy], jobs: Jobs) -> None:
        """See `pool.Worker`."""
        self.connection.send_bytes(pickle.dumps((policies, jobs), protocol=5))

    def receive(self) -> tuple[bool, Any]:
        """See `pool.Worker`."""
        return pickle.loads(self.connection.recv_bytes())

    def end(self) -> str:
        """See `pool.Worker`."""
        self.connection.close()
        code = self._process.poll()
        if code is None:
            self._process.kill()
            code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _waiting(workers: Sequence[Process]) -> list[Process]:
    of = {worker.connection: worker for worker in workers}
    return [of[one] for one in wait(list(of))]
