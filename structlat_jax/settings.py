"""Settings of jax: where it keeps what it has compiled, those under which these programs cannot
work, and one under which they crawl."""

import os
from pathlib import Path

import jax

from structlat_jax.errors import InputError

_UNFIT = {
    "jax_enable_x64": True,
    "jax_numpy_rank_promotion": "raise",
    "jax_numpy_dtype_promotion": "strict",
}


def require() -> None:
    """Raises `InputError` if jax is set to what these programs cannot be."""
    for name, value in _UNFIT.items():
        if getattr(jax.config, name) == value:
            shown = int(value) if isinstance(value, bool) else value
            raise InputError(f"{name.upper()} must be unset for these programs, not {shown}.")


def keep_compiled() -> bool:
    """Has jax keep compiled programs in ``~/.cache/structlat_jax``, unless it has its own place
    (``JAX_COMPILATION_CACHE_DIR``); whether there is one: a user may have no home directory."""
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    if jax.config.jax_compilation_cache_dir:
        return True
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return False
    jax.config.update("jax_compilation_cache_dir", str(base / "structlat_jax"))
    return True


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def interpreted() -> bool:
    """Whether jax compiles nothing, for whoever debugs: all runs operation by operation."""
    return bool(jax.config.jax_disable_jit)


SLOWLY = (
    "JAX_DISABLE_JIT is set: everything runs operation by operation, some thousand times as slow; "
    "take the smallest sizes."
)
"""What a run says then."""
