"""What is settled before jax starts."""

import subprocess
import sys

import pytest

BLOCKS = """
import ctypes, sys, psutil
from structlat_jax.run import machine
if "set" in sys.argv:
    assert machine.return_freed_arrays()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
size = 24 * 2**20
libc.free(libc.malloc(ctypes.c_size_t(size)))  # from here on glibc keeps blocks of this size
before = psutil.Process().memory_info().rss
block = libc.malloc(ctypes.c_size_t(size))
ctypes.memset(block, 1, size)
libc.free(block)
print(psutil.Process().memory_info().rss - before)
"""


def kept(program, how):
    """Bytes by which a process is larger after it has freed everything, as it prints them."""
    command = [sys.executable, "-c", program, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
@pytest.mark.parametrize("how", ["set", "unset"])
def test_large_blocks_go_back_when_they_are_freed(how):
    assert (kept(BLOCKS, how) > 20 * 2**20) == (how == "unset")  # or it would show nothing


PIECES = """
import ctypes, sys, psutil
from structlat_jax.run import machine
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
before = psutil.Process().memory_info().rss
blocks = [libc.malloc(ctypes.c_size_t(4096)) for _ in range(20_000)]
for block in blocks:
    ctypes.memset(block, 1, 4096)
for block in blocks[:-1]:  # the last one keeps the heap from shrinking by itself
    libc.free(block)
if "ask" in sys.argv:
    assert machine.return_freed_pieces()
print(psutil.Process().memory_info().rss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a function of glibc")
@pytest.mark.parametrize("how", ["ask", "wait"])
def test_small_blocks_go_back_when_they_are_asked_for(how):
    assert (kept(PIECES, how) > 40 * 2**20) == (how == "wait")  # or it would show nothing
