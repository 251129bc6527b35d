"""Processes that are to start together meet first, at the address where process 0 listens.

The service by which jax has them find each other ends a process without a word when its port is
taken or when somebody does not come. So they meet on a plain socket at the same address before it
starts, and whoever waits in vain says so.
"""

import contextlib
import os
import socket
import time

from structlat_jax.errors import InputError

_HELLO = b"structlat %d of %d\n"
_WELCOME = b"welcome\n"
_LONGEST = 200  # bytes of a message
_PATIENCE = 2.0  # seconds for the words of somebody who has called
_PAUSE = 0.2  # seconds between two calls, and between two looks at the time


def meet(host: str, port: int, processes: int, process_id: int, seconds: float) -> None:
    """Returns when all processes are there.

    Args:
      host, port: Where process 0 listens; the port, on all addresses of its machine.
      processes: How many there are.
      process_id: Which of them this one is.
      seconds: How long to wait for the others.

    Raises:
      InputError: if the port cannot be listened at, if somebody has not come in time, or if the
        processes do not fit each other.
    """
    if process_id == 0:
        _wait(port, processes, seconds)
    else:
        _call(host, port, _HELLO % (process_id, processes), seconds)


def _wait(port: int, processes: int, seconds: float) -> None:
    end, absent = time.monotonic() + seconds, set(range(1, processes))
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_listening(port))
        come = []
        while absent:
            if time.monotonic() > end:
                who = ", ".join(map(str, sorted(absent)))
                raise InputError(
                    f"--processes is {processes}, but no process {who} has come to --coordinator "
                    f"in {seconds:g} s (--join-seconds)."
                )
            with contextlib.suppress(OSError):  # nobody yet, or somebody who has hung up
                one = stack.enter_context(server.accept()[0])
                if _let_in(one, absent, processes):
                    come.append(one)
        for one in come:
            with contextlib.suppress(OSError):  # jax will miss it
                one.sendall(_WELCOME)


def _listening(port: int) -> socket.socket:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        server = socket.create_server(("", port), family=family, dualstack_ipv6=both)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error  # its own text repeats the address
        raise InputError(
            f"--coordinator: nothing can listen at port {port} of this machine: {why}."
        ) from None
    server.settimeout(_PAUSE)
    return server


def _let_in(one: socket.socket, absent: set[int], processes: int) -> bool:
    """Whether somebody who has called is one of those that are awaited; others are told why not."""
    one.settimeout(_PATIENCE)
    words = one.recv(_LONGEST)
    for number in absent:
        if words == _HELLO % (number, processes):
            absent.remove(number)
            return True
    one.sendall(f"it waits for {processes - 1} others, each of another --process-id\n".encode())
    one.close()
    return False


def _call(host: str, port: int, hello: bytes, seconds: float) -> None:
    end, where, why = time.monotonic() + seconds, f"--coordinator {host}:{port}", "no answer"
    while (left := end - time.monotonic()) > 0:
        try:
            answer = _asked(host.strip("[]"), port, hello, left)
        except OSError as error:
            why = error.strerror or "no answer"
            time.sleep(min(_PAUSE, left))
            continue
        if answer == _WELCOME:
            return
        words = answer.decode(errors="replace").strip() or "it has ended"
        raise InputError(f"process 0 at {where} does not let this process in: {words[:100]}.")
    raise InputError(
        f"process 0 is not to be found at {where} in {seconds:g} s (--join-seconds): {why}."
    )


def _asked(host: str, port: int, hello: bytes, seconds: float) -> bytes:
    with socket.create_connection((host, port), timeout=seconds) as one:
        one.sendall(hello)
        return one.recv(_LONGEST)
