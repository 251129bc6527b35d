"""What is settled before jax starts."""

import subprocess
import sys
from types import SimpleNamespace

import jax
import pytest

import structlat_jax as sl
from structlat_jax import settings
from structlat_jax.errors import InputError
from structlat_jax.run import machine

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
    """The number that a process prints, most often by how many bytes it is larger at its end."""
    command = [sys.executable, "-c", program, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
@pytest.mark.parametrize("how", ["set", "unset"])
def test_large_blocks_go_back_when_they_are_freed(how):
    assert (kept(BLOCKS, how) > 20 * 2**20) == (how == "unset")  # or it would show nothing


SCRATCH = """
import ctypes, resource, sys
from structlat_jax.run import machine
if "set" in sys.argv:
    assert machine.return_freed_arrays()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
if "all" in sys.argv:
    assert libc.mallopt(-3, 2**20)  # every block of a mebibyte
size = 5 * 2**20
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    block = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(block, 1, size)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
@pytest.mark.parametrize("how", ["set", "all"])
def test_what_a_product_needs_for_a_moment_stays(how):
    """Its pages are handed out once, and not 50 times."""
    assert (kept(SCRATCH, how) > 20 * 1280) == (how == "all")  # or it would show nothing


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


def test_without_a_home_there_is_no_cache_and_a_sentence(monkeypatch, capsys):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings.Path, "home", nowhere)
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        assert not settings.keep_compiled()
        assert jax.config.jax_compilation_cache_dir is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    monkeypatch.setattr(settings, "keep_compiled", lambda: False)
    settled = SimpleNamespace(update=lambda name, value: None)  # devices are, already
    monkeypatch.setattr(machine, "jax", SimpleNamespace(config=settled))
    machine.configure(1)
    assert "no home directory" in capsys.readouterr().err


def test_a_cache_of_ones_own_stays(monkeypatch, tmp_path):
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        assert settings.keep_compiled()
        assert jax.config.jax_compilation_cache_dir == before
        jax.config.update("jax_compilation_cache_dir", None)
        assert settings.keep_compiled()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "structlat_jax")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jax_enable_x64", True),
        ("jax_numpy_rank_promotion", "raise"),
        ("jax_numpy_dtype_promotion", "strict"),
    ],
)
def test_settings_for_other_programs_are_refused(name, value):
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        for start in (lambda: machine.configure(1), lambda: sl.load("run"), sl.train):
            with pytest.raises(InputError, match=f"{name.upper()} must be unset"):
                start()
    finally:
        jax.config.update(name, before)


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("no such backend\nat all")])
def test_a_device_that_is_not_there_is_a_sentence(monkeypatch, error):
    def devices():
        raise error

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(jax, "devices", devices)
    with pytest.raises(InputError, match="JAX_PLATFORMS=cuda names no device") as caught:
        machine.require_devices()
    assert "\n" not in str(caught.value)
