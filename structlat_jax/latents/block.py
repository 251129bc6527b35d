"""The interface that every family of latent variables offers."""

import dataclasses
from collections.abc import Callable
from typing import Any

from structlat_jax.options import check, option
from structlat_jax.types import Array

BRIDGES = ("projected", "corrected", "printed")
KLS = ("bridge", "exact")
PRECISIONS = ("softplus", "exp")


@dataclasses.dataclass(frozen=True)
class LatentOptions:
    """Choices that the families share; each family reads those that concern it.

    Attributes:
      bridge: How a logit-normal becomes a Dirichlet: one of `BRIDGES`.
      kl: KL of a Dirichlet block: through the bridge, or exactly; one of `KLS`.
      alpha: Concentration of the symmetric Dirichlet prior, above 0.
      prior_factor: Multiply the prior into the product of evidence as one more factor.
      precision: Link from the encoder's output to a precision: ``softplus`` is PEARL's
        ``1 / softplus(raw)``, ``exp`` is ``exp(raw - 2)``, with which one transition starts with
        little to say (so does a categorical block, whose logits are scaled by 0.02 then); one of
        `PRECISIONS`.
      temperature: Of the relaxed categorical sample, above 0.
      kl_samples: Points of the randomised quasi-Monte Carlo rule of ``kl="exact"``; the default
        is for measuring (errors near 0.01 nats), training makes do with fewer.
    """

    bridge: str = option("projected", "logit-normal to Dirichlet map", choices=BRIDGES)
    kl: str = option("bridge", "KL of Dirichlet blocks", choices=KLS)
    alpha: float = option(0.2, "concentration of the Dirichlet prior", above=0.0)
    prior_factor: bool = option(True, "count the prior as one more factor of the posterior")
    precision: str = option("exp", "encoder output to precision", choices=PRECISIONS)
    temperature: float = option(0.5, "of the relaxed categorical in training", above=0.0)
    kl_samples: int = option(256, "quadrature points of --kl exact", low=2)

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class Block:
    """Several independent variables of one family, as a record of pure functions.

    Evidence is a vector of natural parameters: the evidence of many transitions is its sum, and a
    posterior is a function of that sum alone. A total of zero means that nothing was seen; the
    posterior is then the prior.

    Attributes:
      spec: The block's own spec, for instance ``dir:2x4``.
      family: The part before the colon.
      groups: ``(variables, numbers per variable)``; their product is `dim`.
      stat_dim: Width of the evidence.
      evidence: raw encoder output ``[..., stat_dim]`` to evidence ``[..., stat_dim]``.
      posterior: total evidence ``[..., stat_dim]`` to a pytree of arrays with leading ``[...]``.
      noise: ``(key, shape)`` to the noise ``[*shape, dim]`` that `transform` consumes.
      transform: ``(posterior, noise)`` to a reparameterised draw ``[..., dim]``; it holds for
        posteriors that have seen a transition, the only ones that training meets.
      transform_hard: The same draw for acting: one-hot where `transform` is a relaxation.
      sample_prior: ``(key, shape)`` to draws from the prior ``[*shape, dim]``.
      empty: posterior to a mask ``[...]``: has it seen nothing?
      kl: ``(posterior, key)`` to the KL to the prior in nats ``[...]``.
      mean: posterior to the posterior mean of z ``[..., dim]``.
    """

    spec: str
    family: str
    groups: tuple[int, int]
    stat_dim: int
    evidence: Callable[[Array], Array]
    posterior: Callable[[Array], Any]
    noise: Callable[..., Array]
    transform: Callable[[Any, Array], Array]
    transform_hard: Callable[[Any, Array], Array]
    sample_prior: Callable[..., Array]
    empty: Callable[[Any], Array]
    kl: Callable[[Any, Any], Array]
    mean: Callable[[Any], Array]

    @property
    def dim(self) -> int:
        """Numbers that the block adds to z."""
        return self.groups[0] * self.groups[1]
