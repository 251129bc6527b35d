"""Arrays as JSON that a page unpacks in an instant: base64 of their bytes, and how to read them."""

import base64
from typing import Any

import numpy as np

_STEPS = 2**16 - 2  # of 16 bits; one more value stands for what is not finite
_MISSING = -(2**15)


def exact(values: np.ndarray) -> dict[str, Any]:
    """Any array, as single precision.

    Returns:
      ``shape``, and ``f4``: its numbers, little-endian, in order of the last axis first.
    """
    array = np.asarray(values, "<f4")
    return {"shape": list(array.shape), "f4": _text(array)}


def rounded(values: np.ndarray) -> dict[str, Any]:
    """Half as many bytes, for what is only drawn: each number to 1 part in 65,534 of the range.

    Returns:
      ``shape``, ``low`` and ``step``, and ``i2``: whole numbers n from -32,767 on, each of which
      means ``low + (n + 32767) * step``; -32,768 is what was not finite.
    """
    array = np.asarray(values, float)
    finite = np.isfinite(array)
    known = array[finite] if finite.any() else np.zeros(1)
    low, high = float(known.min()), float(known.max())
    step = (high - low) / _STEPS or 1.0
    whole = np.round((np.where(finite, array, low) - low) / step) + (_MISSING + 1)
    numbers = np.where(finite, whole, _MISSING).astype("<i2")
    return {"shape": list(array.shape), "low": low, "step": step, "i2": _text(numbers)}


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
