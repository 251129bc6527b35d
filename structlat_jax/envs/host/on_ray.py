"""Workers that are actors of a Ray cluster, on however many machines.

Each machine has this package and those of the environment installed. A cluster that is running is
joined (``RAY_ADDRESS``, or one of this machine); otherwise Ray starts one here.
"""

import sys
from collections.abc import Sequence
from typing import Any

from structlat_jax.envs.host.base import Simulator
from structlat_jax.envs.host.policy import Policy
from structlat_jax.envs.host.pool import Crew
from structlat_jax.envs.host.runner import Jobs
from structlat_jax.envs.host.shipping import pack
from structlat_jax.envs.host.worker import answer, begun
from structlat_jax.envs.spec import EnvError


def crew() -> Crew:
    """As many actors as the cluster has cores; raises `EnvError` if Ray is not installed."""
    ray = _ray()
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    return Crew(Actor, _waiting, max(1, int(ray.cluster_resources().get("CPU", 1))))


class Served:
    """What an actor does; see `worker`."""

    def __init__(self, path: list[str], payload: bytes):
        sys.path.extend(one for one in path if one not in sys.path)
        self._payload, self._runner = payload, None

    def begin(self) -> tuple[bool, Any]:
        """Makes the environment."""

        def make():
            self._runner = begun(self._payload)

        return answer(make)

    def run(self, policies: dict[int, Policy], jobs: Jobs) -> tuple[bool, Any]:
        """Runs episodes."""
        return answer(self._runner.run, policies, jobs)


class Actor:
    """A worker that is an actor of one core."""

    def __init__(self, simulator: Simulator, template: Any):
        self._ray = _ray()
        remote = self._ray.remote(num_cpus=1)(Served)
        self._actor = remote.remote(sys.path, pack((simulator, template)))
        self.pending = self._actor.begin.remote()

    def send(self, policies: dict[int, Policy], jobs: Jobs) -> None:
        """See `pool.Worker`."""
        self.pending = self._actor.run.remote(policies, jobs)

    def receive(self) -> tuple[bool, Any]:
        """See `pool.Worker`."""
        try:
            return self._ray.get(self.pending)
        except self._ray.exceptions.RayError as error:
            raise EOFError(str(error)) from None

    def end(self) -> str:
        """See `pool.Worker`."""
        self._ray.kill(self._actor)
        return "Ray's logs say how"


def _waiting(workers: Sequence[Actor]) -> list[Actor]:
    of = {worker.pending: worker for worker in workers}
    return [of[one] for one in _ray().wait(list(of), num_returns=1)[0]]


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise EnvError("Ray is not installed: pip install 'structlat-jax[ray]'.") from None
    return ray
