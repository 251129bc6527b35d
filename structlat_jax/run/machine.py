"""What must be settled before jax starts, devices and the compilation cache; and freed memory."""

import ctypes
import os
import sys
from typing import Any

import jax

from structlat_jax import settings
from structlat_jax.errors import InputError
from structlat_jax.settings import cores

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_... of malloc.h
_LARGE = 2**24  # bytes


def return_freed_arrays(large: int = _LARGE) -> bool:
    """Has the C library give blocks of ``large`` bytes back as soon as they are freed, and keep
    those that the products of an evaluation come and go with; whether it obeyed.

    By default glibc learns to keep blocks of up to 32 MiB, and a replay's copies, written by ever
    new threads at every checkpoint, add up to hundreds of mebibytes. But where every block of some
    mebibytes is given back, a quarter of an evaluation goes into handing out their pages anew.
    Other libraries lack the call.
    """
    set_option = _of_libc("mallopt")
    if set_option is None:
        return False
    return bool(set_option(_MMAP_THRESHOLD, large) and set_option(_TRIM_THRESHOLD, large // 2))


def return_freed_pieces() -> bool:
    """Has the C library give back what is free now; whether it gave anything.

    A compiler leaves some 0.8 GiB of small blocks behind. It takes milliseconds.
    """
    trim = _of_libc("malloc_trim")
    return bool(trim and trim(ctypes.c_size_t(0)))


def _of_libc(name: str) -> Any:
    """A function of glibc, or None where there is another library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def configure(seeds: int) -> None:
    """One virtual CPU device per core (no more than seeds), and a persistent compilation cache.

    One device per core beats one device on all cores: the products are too small to be split.
    Accelerators are not affected. ``JAX_COMPILATION_CACHE_DIR`` moves the cache; without a home
    directory there is none, and a sentence says so.

    Raises:
      InputError: if jax is set to what its programs cannot be.
    """
    settings.require()
    return_freed_arrays()
    jax.config.update("jax_num_cpu_devices", max(1, min(cores(), seeds)))
    if not settings.keep_compiled():
        print(
            "there is no home directory, so compiled programs are not kept; "
            "JAX_COMPILATION_CACHE_DIR says where they may be.",
            file=sys.stderr,
        )


def require_devices() -> None:
    """Raises `InputError` if jax finds none of the devices that it is told to use. It starts jax:
    processes must have joined before."""
    try:
        jax.devices()
    except (AssertionError, RuntimeError) as error:
        asked = os.environ.get("JAX_PLATFORMS", "")
        why = " ".join(str(error).split()) or "no plugin for it is installed"
        raise InputError(
            f"JAX_PLATFORMS={asked} names no device that jax can use here: {why[:200].rstrip('.')}."
        ) from None
