"""The policy as workers of host environments have it, without jax."""

import numpy as np

from structlat_jax.envs.host.policy import Policy
from structlat_jax.nets.heads import LOG_STD_RANGE
from structlat_jax.nets.mlp import SEEN, spread_of
from structlat_jax.shapes import Params


def of_mlp(params: Params) -> Policy:
    """The layers of an `MLP` that takes z and has no norm. Where it shows itself observations in
    units of their spread, its first layer does."""
    layers = params["params"]
    if SEEN[0] in layers:
        layers = _standard(layers)
    names = [*map(str, range(sum(name.startswith("kernel_") for name in layers) - 1)), "head"]
    kernels, biases = (
        tuple(layers[f"{part}_{name}"] for name in names) for part in ("kernel", "bias")
    )
    return Policy(kernels, biases, LOG_STD_RANGE)


def _standard(layers: Params) -> Params:
    """The layers of a network that is given observations, and then z, as they are."""
    mean, square = (np.asarray(layers[name]) for name in SEEN)
    kernel = np.array(layers["kernel_0"])
    kernel[: len(mean)] /= np.asarray(spread_of(mean, square))[:, None]
    bias = np.asarray(layers["bias_0"]) - mean @ kernel[: len(mean)]
    return {**layers, "kernel_0": kernel, "bias_0": bias}
