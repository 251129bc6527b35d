"""The workers that this process has: those of the host environment that was asked for last."""

import atexit
import contextlib
from collections.abc import Iterator

import jax

from structlat_jax.envs.host import local
from structlat_jax.envs.host.base import HostEnv
from structlat_jax.envs.host.pool import Crew, Pool
from structlat_jax.envs.host.runner import HostError, numbered
from structlat_jax.envs.spec import EnvError
from structlat_jax.shapes import make_key

RAY = "ray"
_asked: list[int | str | None] = [None]  # the innermost `workers` last
_open: list[tuple[HostEnv, Pool, int | str | None]] = []


@contextlib.contextmanager
def workers(count: int | str | None) -> Iterator[None]:
    """Within it, host environments have so many worker processes, or `RAY` as many actors as its
    cluster has cores; as before if ``count`` is None, and one for each core if nobody says."""
    _asked.append(_asked[-1] if count is None else count)
    try:
        yield
    finally:
        _asked.pop()


def of(env: HostEnv) -> Pool:
    """The workers of an environment, begun if they are not there; those of any other end.

    Raises:
      EnvError: if the environment's tasks or functions cannot be sent to them.
    """
    if _open:
        other, pool, count = _open[0]
        if (other.simulator, count) == (env.simulator, _asked[-1]):
            return pool
        close()
    pool = Pool(env.simulator, template(env), _crew())
    _open.append((env, pool, _asked[-1]))
    return pool


def close() -> None:
    """Ends all workers; they come again when they are needed."""
    while _open:
        _open.pop()[1].close()


atexit.register(close)


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Within it, what an environment does wrong is an `EnvError`."""
    try:
        yield
    except HostError as error:
        raise EnvError(str(error)) from error


def template(env: HostEnv) -> object:
    """A task with the numbers of its leaves in place of them; raises `EnvError` on structures that
    workers do not know."""
    tasks = jax.eval_shape(lambda: env.sample_tasks(make_key(0), 1))
    tree = jax.tree.structure(tasks)
    found = jax.tree.unflatten(tree, range(tree.num_leaves))
    try:
        known = sorted(numbered(found)) == list(range(tree.num_leaves))
    except TypeError:
        known = False
    if not known:
        raise EnvError(
            f"tasks of {env.name} must be numbers in dictionaries, tuples, named tuples or lists."
        )
    return found


def _crew() -> Crew:
    count = _asked[-1]
    if count == RAY:
        from structlat_jax.envs.host import on_ray

        return on_ray.crew()
    return local.crew(local.cores() if count is None else count)
