"""The program of a worker process: ``python -m structlat_jax.envs.host.worker FD``.

It is a program of its own and not a fork of whoever trains, whose threads a fork would break, nor
a second run of its main script, as Python's own spawning would have it.
"""

import os
import pickle
import select
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from structlat_jax.envs.host.runner import HostError, Runner


def main(fd: int) -> None:
    """Serves whoever holds the other end of a socket, until that is closed."""
    # Whoever trains decides what that means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(fd,), daemon=True).start()
    connection = Connection(fd)
    try:
        runner = _begin(connection)
        while runner is not None:
            policies, jobs = pickle.loads(connection.recv_bytes())
            _answer(connection, runner.run, policies, jobs)
    except (EOFError, OSError):
        pass


def _begin(connection: Connection) -> Runner | None:
    sys.path[:], payload = pickle.loads(connection.recv_bytes())
    made: list[Runner] = []
    _answer(connection, lambda: made.append(begun(payload)))
    return made[0] if made else None


def begun(payload: bytes) -> Runner:
    """What runs the episodes, from what `shipping.pack` made of a simulator and a template.

    Raises:
      HostError: if it cannot be imported, or the environment not made.
    """
    try:
        simulator, template = pickle.loads(payload)
    except Exception as error:  # anybody's modules
        words = f"{type(error).__name__}: {error}".rstrip(".")
        raise HostError(f"a worker cannot import the environment: {words}.") from error
    return Runner(simulator, template)


def answer(function: Callable[..., Any], *arguments: Any) -> tuple[bool, Any]:
    """What comes of a call, or the sentence that says what is wrong."""
    try:
        return True, function(*arguments)
    except HostError as error:
        return False, str(error)


def _answer(connection: Connection, function: Callable[..., Any], *arguments: Any) -> None:
    connection.send_bytes(pickle.dumps(answer(function, *arguments), protocol=5))


def _end_with(fd: int) -> None:
    """Ends this process as soon as the other end is closed, were it by a kill, and whatever the
    environment is doing."""
    poll = select.poll()
    poll.register(fd, 0)
    poll.poll()
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
