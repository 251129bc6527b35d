"""Options of the networks."""

import dataclasses

from structlat_jax.options import option


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """Sizes and initialisation."""

    width: int = option(64, "hidden width of the critics and the policy", low=1)
    depth: int = option(3, "hidden layers of the critics and the policy", low=1)
    encoder_width: int = option(64, "hidden width of the encoder", low=1)
    encoder_depth: int = option(2, "hidden layers of the encoder", low=1)
    encoder_norm: bool = option(True, "LayerNorm in the encoder")
    next_obs_in_context: bool = option(
        False, "tasks differ in their dynamics: show the encoder the next observation too"
    )
    obs_norm: bool = option(
        False,
        "show the networks observations less their running mean, over their running deviation",
    )
    init: str = option("he", "network initialisation: ours or PEARL's", choices=("he", "pearl"))
