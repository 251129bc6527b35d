"""The policy as workers of host environments have it, without jax."""

from structlat_jax.envs.host.policy import Policy
from structlat_jax.nets.heads import LOG_STD_RANGE
from structlat_jax.shapes import Params


def of_mlp(params: Params) -> Policy:
    """The layers of an `MLP` that takes z and has no norm."""
    layers = params["params"]
    names = [*map(str, range(sum(name.startswith("kernel_") for name in layers) - 1)), "head"]
    kernels, biases = (
        tuple(layers[f"{part}_{name}"] for name in names) for part in ("kernel", "bias")
    )
    return Policy(kernels, biases, LOG_STD_RANGE)
