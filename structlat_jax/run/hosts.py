"""Several processes of one program, on one host or many: joining, agreeing, gathering.

Seeds never communicate, so each process trains its portion on its own devices, with its own
program, at its own pace. All that ever crosses the network is a word at the start and the results
at the end.
"""

import contextlib
import itertools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax._src import distributed  # where jax itself finds the service

from structlat_jax.envs import EnvError
from structlat_jax.errors import InputError, LostProcessError
from structlat_jax.options import ConfigError
from structlat_jax.run import meeting
from structlat_jax.store.run_folder import CheckpointError, WriteError

JOIN_SECONDS = 120.0
"""How long processes wait for each other by default."""
MOST_SECONDS = 10**6


def join(
    coordinator: str | None,
    processes: int | None,
    process_id: int | None,
    cluster: bool,
    join_seconds: float = JOIN_SECONDS,
) -> None:
    """Joins the other processes, if there are any; before jax has touched a device.

    Args:
      coordinator: ``HOST:PORT`` where process 0 listens.
      processes: How many there are.
      process_id: Which of them this one is.
      cluster: Learn all three from the cluster.
      join_seconds: How long to wait for the others.

    Raises:
      InputError: if the options do not fit each other, or if the others are not found.
    """
    explicit = (coordinator, processes, process_id)
    if cluster and any(value is not None for value in explicit):
        raise InputError("--cluster finds the processes; it takes no --coordinator etc.")
    if not cluster and explicit == (None, None, None):
        return
    if not 0 < join_seconds <= MOST_SECONDS:
        raise InputError(
            f"--join-seconds must be above 0 and at most {MOST_SECONDS}, not {join_seconds:g}."
        )
    if not cluster:
        if None in explicit:
            raise InputError("--coordinator, --processes and --process-id go together.")
        if process_id >= processes:
            raise InputError(
                f"--process-id must be below --processes ({processes}), not {process_id}."
            )
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise InputError(f"--coordinator must be HOST:PORT, not {coordinator!r}.")
        meeting.meet(host, int(port), processes, process_id, join_seconds)
    wait = max(1, math.ceil(join_seconds))
    try:
        jax.distributed.initialize(coordinator, processes, process_id, initialization_timeout=wait)
    except (ValueError, RuntimeError) as error:
        where = "the cluster" if cluster else f"--coordinator {coordinator}"
        reason = str(error).splitlines()[0] if str(error) else "no answer"
        raise InputError(f"the processes of {where} cannot be joined: {reason}") from None


_EXPECTED = (CheckpointError, ConfigError, EnvError, FileNotFoundError, InputError)


@contextlib.contextmanager
def leaving_together() -> Iterator[None]:
    """Within it, a process that is interrupted waits for the others, which are saving, too: they
    could not go on without process 0."""
    try:
        yield
    except KeyboardInterrupt:
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            jax.distributed.shutdown()
        raise


def is_first() -> bool:
    """Whether this is process 0, which writes the results."""
    return jax.process_index() == 0


def portion(total: int) -> tuple[int, int]:
    """This process's part of ``total`` things: the first, and how many; 0 if there are too few."""
    size, longer = divmod(total, jax.process_count())
    i = jax.process_index()
    return i * size + min(i, longer), size + (i < longer)


def agreed(call: Callable[[], Any]) -> Any:
    """What ``call`` returns on process 0, which alone runs it, for all processes.

    Args:
      call: Returns something that JSON can hold.

    Raises:
      InputError: on all others, if process 0 met bad input, of which it raises its own error.
      WriteError: on all processes, if it could not write.
    """
    if jax.process_count() == 1:
        return call()
    place = f"agreed/{next(_numbers)}"
    if is_first():
        try:
            value = call()
        except _EXPECTED as error:  # the others wait for a word
            said = {"error": str(error), "unwritten": isinstance(error, WriteError)}
            _put(place, json.dumps(said).encode())
            raise
        _put(place, json.dumps({"value": value}).encode())
        return value
    said = json.loads(_get(place))
    if "error" in said:
        raise (WriteError if said.get("unwritten") else InputError)(said["error"])
    return said["value"]


def gather(data: bytes) -> list[bytes]:
    """What every process hands in, in their order, for process 0, which waits for all of them;
    the others go on at once, with an empty list.

    Raises:
      LostProcessError: if another process has ended.
    """
    if jax.process_count() == 1:
        return [data]
    place = f"gather/{next(_numbers)}"
    if not is_first():
        _put(f"{place}/{jax.process_index()}", data)
        return []
    return [data, *(_get(f"{place}/{i}") for i in range(1, jax.process_count()))]


def wait_for_first() -> None:
    """Returns when process 0 has come here.

    Raises:
      LostProcessError: if it has ended.
    """
    agreed(lambda: None)


# Messages go through the service by which the processes found each other, not through collective
# operations of the devices: portions may end hours apart, only process 0 is to receive them, and
# they need no room on a device.
_PATIENCE = 2000  # milliseconds between two looks; a signal is heeded in between
_PIECE = 2**20  # bytes of one message
_numbers = itertools.count()  # all processes come by the same exchanges in the same order


def _client() -> Any:
    return distributed.global_state.client


def _put(place: str, data: bytes) -> None:
    pieces = [data[i : i + _PIECE] for i in range(0, len(data), _PIECE)]
    with _or_sentence():
        for i, piece in enumerate(pieces):
            _client().key_value_set_bytes(f"{place}/{i}", piece)
        _client().key_value_set_bytes(f"{place}/count", str(len(pieces)).encode())


def _get(place: str) -> bytes:
    def one(name):
        while True:
            try:
                return _client().blocking_key_value_get_bytes(f"{place}/{name}", _PATIENCE)
            except jax.errors.JaxRuntimeError as error:
                if "DEADLINE_EXCEEDED" not in str(error):
                    raise

    with _or_sentence():
        return b"".join(one(i) for i in range(int(one("count"))))


@contextlib.contextmanager
def _or_sentence() -> Iterator[None]:
    try:
        yield
    except jax.errors.JaxRuntimeError:
        raise LostProcessError(
            "another process has ended early; start all of them again with --resume."
        ) from None
