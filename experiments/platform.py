"""What must be settled before jax starts: devices and the compilation cache."""

import os
from pathlib import Path

import jax


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def configure(seeds: int) -> None:
    """One virtual CPU device per core (no more than seeds), and a persistent compilation cache.

    One device per core beats one device on all cores: the products are too small to be split.
    Accelerators are not affected. ``JAX_COMPILATION_CACHE_DIR`` moves the cache.
    """
    jax.config.update("jax_num_cpu_devices", max(1, min(cores(), seeds)))
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(base / "structlat_jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
