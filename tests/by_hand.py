"""Equations in NumPy and double precision, for tests to hold programs against."""

from typing import Any

import jax
import numpy as np


def mlp(params: Any, x: np.ndarray, norm: bool = False) -> np.ndarray:
    """A network of `nets.mlp` on its concatenated input."""
    p, given = jax.tree.map(np.float64, params["params"]), x
    for layer in range(sum(name.startswith("kernel_") for name in p) - 1):
        x = x @ p[f"kernel_{layer}"] + p[f"bias_{layer}"]
        if norm:
            x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
            x = x * p[f"norm_{layer}"]["scale"] + p[f"norm_{layer}"]["bias"]
        x = np.maximum(x, 0.0)
    out = x @ p["kernel_head"] + p["bias_head"]
    return out + given @ p["linear"] if "linear" in p else out
