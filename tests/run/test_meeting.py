"""Processes that meet before they start together."""

import concurrent.futures
import socket
import subprocess
import sys
import time

import pytest
from program import ROOT, assert_refused, ended, launch

from structlat_jax.errors import InputError
from structlat_jax.run import hosts, meeting

HOST = "127.0.0.1"


@pytest.fixture
def port():
    """One that is free."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return free.getsockname()[1]


@pytest.fixture
def taken():
    """One at which somebody listens."""
    with socket.create_server((HOST, 0)) as server:
        yield server


def meet(port, processes, process_id, seconds=5.0):
    try:
        return meeting.meet(HOST, port, processes, process_id, seconds)
    except InputError as error:
        return str(error)


def at_once(port, calls):
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [one.result() for one in [pool.submit(meet, port, *call) for call in calls]]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_all_go_on_when_all_are_there(port, order):
    assert at_once(port, [(3, number) for number in order]) == [None] * 3


def test_who_does_not_come_is_named(port):
    first, second = at_once(port, [(3, 0, 0.5), (3, 1)])
    assert "no process 2 has come to --coordinator in 0.5 s (--join-seconds)" in first
    assert "it has ended" in second


def test_processes_that_do_not_fit_are_told(port):
    first, good, twice = at_once(port, [(3, 0, 1.0), (3, 1), (4, 2)])
    assert "no process 2" in first
    assert "it has ended" in good
    assert "does not let this process in: it waits for 2 others" in twice


def test_a_port_that_is_taken_is_said_at_once(taken):
    begin = time.monotonic()
    assert "this machine: Address already in use." in meet(taken.getsockname()[1], 2, 0, 100.0)
    assert time.monotonic() - begin < 20


def test_nobody_listens(port):
    begin = time.monotonic()
    said = meet(port, 2, 1, 0.5)
    assert f"process 0 is not to be found at --coordinator {HOST}:{port} in 0.5 s" in said
    assert "Connection refused" in said
    assert 0.4 < time.monotonic() - begin < 20


def test_what_answers_may_be_something_else(taken):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(meet, taken.getsockname()[1], 2, 1)
        other, _ = taken.accept()
        with other:
            other.sendall(b"HTTP/1.1 400 Bad Request\r\n")
        assert "does not let this process in: HTTP/1.1 400" in waiting.result()


def test_noise_is_no_process(port):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(meet, port, 2, 0)
        for _ in range(50):
            try:
                with socket.create_connection((HOST, port)) as one:
                    one.sendall(b"GET / HTTP/1.1\r\n")
                    assert one.recv(100).startswith(b"it waits for 1 others")
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        assert meet(port, 2, 1) is None
        assert first.result() is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_how_long_to_wait_is_looked_at(seconds):
    with pytest.raises(InputError, match="--join-seconds must be above 0"):
        hosts.join(f"{HOST}:1", 2, 1, False, seconds)


@pytest.mark.slow
@pytest.mark.parametrize("process_id", [0, 1])
def test_programs_end_with_a_sentence(taken, port, tmp_path, process_id):
    """A port that is taken, and a coordinator that is not there."""
    where = f"{HOST}:{taken.getsockname()[1] if process_id == 0 else port}"
    words = ["--coordinator", where, "--processes", 2, "--process-id", process_id]
    more = ["--join-seconds", 1, "--out", "out"]
    line = assert_refused(ended(launch("experiments.sweep", *words, *more, cwd=tmp_path)))
    assert "--coordinator" in line
    assert list(tmp_path.iterdir()) == []


TOGETHER = """
import sys
import jax
from structlat_jax.run import hosts
hosts.join(sys.argv[1], 2, int(sys.argv[2]), False, 60.0)
assert hosts.agreed(lambda: "word") == "word"
jax.distributed.shutdown()
"""


@pytest.mark.slow
def test_jax_starts_where_they_have_met(port):
    command = [sys.executable, "-c", TOGETHER, f"{HOST}:{port}"]
    both = [subprocess.Popen([*command, str(i)], cwd=ROOT, stderr=subprocess.PIPE) for i in (1, 0)]
    for one in both:
        _, err = one.communicate(timeout=120)
        assert one.returncode == 0, err.decode()
