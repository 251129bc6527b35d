"""Settings of jax under which these programs cannot work, and one under which they crawl."""

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


def interpreted() -> bool:
    """Whether jax compiles nothing, for whoever debugs: all runs operation by operation."""
    return bool(jax.config.jax_disable_jit)


SLOWLY = (
    "JAX_DISABLE_JIT is set: everything runs operation by operation, some thousand times as slow; "
    "take the smallest sizes."
)
"""What a run says then."""
