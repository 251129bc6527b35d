"""What all tests share: how programs are compiled, that shapes are checked, and the fixtures."""

import os
import shutil
import subprocess
import sys
import tempfile

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

settings.register_profile("default", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("default")

# Most of the time of these tests is compiling. Without the emitters of fused kernels, XLA compiles
# for a CPU in half of the time, and without most of its optimisations in less still; what it
# makes is as right, and the tests' sizes are small.
_FLAG = "--xla_cpu_use_fusion_emitters=false"
_FIRST = "PYTEST_XDIST_WORKER" not in os.environ
"""Whether this is the process that starts the others, if there are others."""


def _is_flag(flag: str) -> bool:
    """Whether this XLA knows a flag; one that it does not know ends its process."""
    ask = "from jaxlib import xla_client; xla_client.CompileOptions()"
    env = {**os.environ, "XLA_FLAGS": flag}
    command = [sys.executable, "-c", ask]
    return subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0


if _FIRST:  # before jax is imported; processes that are started from here inherit it
    # All runs of all processes share a cache of compiled programs, which is not the user's. A limit
    # to its size, whatever it is, makes jax lock it.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="structlat-tests-")
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(2**32)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    # Those of -m slow or idle, which measure, get what users get.
    if not any(argument.startswith(("slow", "idle")) for argument in sys.argv):
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    if _is_flag(_FLAG):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}".strip()

# The annotations of these packages are checked at every call, which while testing is mostly once
# per trace: a wrong shape or kind of number raises `jaxtyping.TypeCheckError`.
CHECKED = ("algos", "data", "inference", "latents", "nets", "train", "shapes")
install_import_hook([f"structlat_jax.{name}" for name in CHECKED], "beartype.beartype")

from browsing import *  # noqa: E402, F403
from fixtures import *  # noqa: E402, F403

_MANY_MAPS = 20_000
"""Mapped regions of memory at which a process forgets its programs: each takes some, and at 65,530
Linux refuses more, which ends XLA in the middle of a compilation."""


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Between files, forgets compiled programs where there are very many."""
    if nextitem is None or nextitem.path == item.path or not os.path.exists("/proc/self/maps"):
        return
    with open("/proc/self/maps", "rb") as maps:
        if sum(1 for _ in maps) > _MANY_MAPS:
            sys.modules["jax"].clear_caches()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes the cache."""
    if _FIRST:
        shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
