"""What a process is told about the others."""

import socket
import subprocess
import sys

import jax
import pytest
from program import must_not_start

from structlat_jax.envs import EnvError
from structlat_jax.errors import InputError, LostProcessError
from structlat_jax.options import ConfigError
from structlat_jax.run import hosts
from structlat_jax.store.run_folder import CheckpointError, WriteError


@pytest.mark.parametrize(("total", "count"), [(0, 2), (1, 3), (7, 3), (8, 4), (3, 1)])
def test_shares_cover_everything_once(monkeypatch, total, count):
    monkeypatch.setattr(jax, "process_count", lambda: count)
    covered = []
    for index in range(count):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        first, size = hosts.portion(total)
        covered += range(first, first + size)
        assert size in (total // count, -(-total // count))
    assert covered == list(range(total))


def test_a_single_process_agrees_with_itself():
    assert hosts.agreed(lambda: {"a": 1}) == {"a": 1}
    assert hosts.gather(b"abc") == [b"abc"]
    assert hosts.is_first()


def test_nobody_to_join():
    before = jax.process_count()
    hosts.join(coordinator=None, processes=None, process_id=None, cluster=False)
    assert jax.process_count() == before


ALONE = """
import sys
import jax
from structlat_jax.run import hosts
hosts.join(f"127.0.0.1:{sys.argv[1]}", 1, 0, False)
hosts._put("place", bytes(range(256)))
assert hosts._get("place") == bytes(range(256))
try:
    hosts._client().blocking_key_value_get_bytes("nothing", 50)
except jax.errors.JaxRuntimeError as error:
    assert "DEADLINE_EXCEEDED" in str(error), error
else:
    raise AssertionError("nothing was found")
jax.distributed.shutdown()
"""


def test_jax_has_its_service_where_it_is_looked_for():
    """Its place is not public: this fails first when it moves."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", ALONE, str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Service:
    """Stands for the service of a process that is told of a key after some looks."""

    def __init__(self, held, late=0, dead=False):
        self.held, self.late, self.dead = held, late, dead

    def key_value_set_bytes(self, key, value):
        self.held[key] = value

    def blocking_key_value_get_bytes(self, key, timeout_in_ms):
        if self.dead:
            raise jax.errors.JaxRuntimeError("UNAVAILABLE: task died")
        if self.late:
            self.late -= 1
            raise jax.errors.JaxRuntimeError("DEADLINE_EXCEEDED: not yet")
        return self.held[key]


@pytest.fixture
def played(monkeypatch):
    """Plays one process after the other, all on the same service."""
    held = {}

    def play(index, call, **service):
        monkeypatch.setattr(jax, "process_count", lambda: 3)
        monkeypatch.setattr(jax, "process_index", lambda: index)
        client = Service(held, **service)
        monkeypatch.setattr(hosts, "_client", lambda: client)
        monkeypatch.setattr(hosts, "_numbers", iter([0]))
        return call()

    return play


def test_long_messages_arrive_whole(played):
    long = bytes(range(256)) * 10_000
    assert played(2, lambda: hosts.gather(long)) == []
    assert played(1, lambda: hosts.gather(b"")) == []
    assert played(0, lambda: hosts.gather(b"mine"), late=5) == [b"mine", b"", long]


def test_only_the_first_decides(played):
    assert played(0, lambda: hosts.agreed(lambda: {"a": [1, None]})) == {"a": [1, None]}
    assert played(1, lambda: hosts.agreed(lambda: 1 / 0), late=2) == {"a": [1, None]}


BAD = [
    InputError("--out is a file."),
    CheckpointError("--out is a file."),
    FileNotFoundError("--out is a file."),
    EnvError("--out is a file."),
    ConfigError.free("--out is a file."),
]


@pytest.mark.parametrize("error", BAD, ids=lambda error: type(error).__name__)
def test_bad_input_of_the_first_is_everyones(played, error):
    def bad():
        raise error

    for index in range(3):
        expected = type(error) if index == 0 else InputError
        with pytest.raises(expected, match="--out is a file"):
            played(index, lambda call=bad if index == 0 else must_not_start: hosts.agreed(call))


def test_what_the_first_cannot_write_nobody_can(played):
    def full():
        raise WriteError("x cannot be written: no space left on device.")

    for index in range(3):
        with pytest.raises(WriteError, match="no space left"):
            played(index, lambda call=full if index == 0 else must_not_start: hosts.agreed(call))


def test_a_process_that_ended_is_one_sentence(played):
    with pytest.raises(LostProcessError, match="ended early"):
        played(0, lambda: hosts.gather(b""), dead=True)


@pytest.mark.parametrize("others", [None, jax.errors.JaxRuntimeError("UNAVAILABLE: task died")])
def test_an_interrupted_process_waits_for_the_others(monkeypatch, others):
    waited = []

    def shutdown():
        waited.append(True)
        if others:
            raise others

    monkeypatch.setattr(jax.distributed, "shutdown", shutdown)
    with pytest.raises(KeyboardInterrupt), hosts.leaving_together():
        raise KeyboardInterrupt
    assert waited == [True]


@pytest.mark.parametrize("error", [InputError, WriteError, MemoryError, LostProcessError])
def test_a_process_that_fails_or_ends_well_does_not_wait(monkeypatch, error):
    monkeypatch.setattr(jax.distributed, "shutdown", lambda: pytest.fail("it waited"))
    with hosts.leaving_together():
        pass
    with pytest.raises(error), hosts.leaving_together():
        raise error("no")
