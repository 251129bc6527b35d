"""The interface that every family of latent variables offers."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from structlat_jax.options import check, option

BRIDGES = ("projected", "corrected", "printed")
KLS = ("bridge", "exact")
PRECISIONS = ("softplus", "exp")

LARGEST = 9999
"""The greatest number that `whole_numbers` reads."""

_WHOLE = re.compile("[0-9]{1,4}")


@dataclasses.dataclass(frozen=True)
class LatentOptions:
    """Choices that the families share; each family reads those that concern it.

    The defaults are those that training uses. PEARL's are ``prior_factor=False`` and
    ``precision="softplus"``.

    Attributes:
      bridge: How a logit-normal becomes a Dirichlet: one of `BRIDGES`.
      kl: KL of a Dirichlet block: through the bridge, or exactly; one of `KLS`.
      alpha: Concentration of the symmetric Dirichlet prior, above 0.
      prior_factor: Multiply the prior into the product of evidence as one more factor.
      precision: Link from the encoder's output to a precision: ``softplus`` is PEARL's
        ``1 / softplus(raw)``, ``exp`` is ``exp(raw - 2)``, with which one transition starts with
        little to say (so it has in families whose evidence is no precision: what the encoder
        puts out is scaled by `natural.FAINT` then); one of `PRECISIONS`.
      temperature: Of the relaxed categorical sample, above 0.
      kl_samples: Points of the randomised quasi-Monte Carlo rule of ``kl="exact"``: few are
        enough for training; 4096 measure to 0.01 nats.

    Raises:
      ConfigError: on a value that is not allowed.
    """

    bridge: str = option("projected", "logit-normal to Dirichlet map", choices=BRIDGES)
    kl: str = option("bridge", "KL of Dirichlet blocks", choices=KLS)
    alpha: float = option(0.2, "concentration of the Dirichlet prior", above=0.0)
    prior_factor: bool = option(True, "count the prior as one more factor of the posterior")
    precision: str = option("exp", "encoder output to precision", choices=PRECISIONS)
    temperature: float = option(0.5, "of the relaxed categorical in training", above=0.0)
    kl_samples: int = option(
        256, "quadrature points of the exact KL", low=2, where={"kl": ("exact",)}
    )

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
      kind: ``simplex`` if the numbers of a variable are weights that add up to one, else ``real``.
      discrete: Whether a variable of a simplex is one-hot when acting.
      rest: Where one variable stands while another is traversed, ``[size]``.
      traverse: Without arguments to `traversal`, which is large where classes are many.
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
      log_prob: ``(posterior, z [..., dim])`` to the log-density of z in nats ``[...]``, for
        posteriors that have seen a transition; each family says with respect to which measure.
      mean: posterior to the posterior mean of z ``[..., dim]``.
      kl_between: ``(posterior, other posterior)`` to the KL of the first to the second in nats
        ``[...]``, or an upper bound of it that the family states; None where it has no closed form.
    """

    spec: str
    family: str
    groups: tuple[int, int]
    kind: str
    discrete: bool
    # Blocks are static arguments of compiled programs, which hash them; arrays have no hash.
    rest: Float[np.ndarray, " size"] = dataclasses.field(compare=False)
    traverse: Callable[[], np.ndarray]
    stat_dim: int
    evidence: Callable[[Array], Array]
    posterior: Callable[[Array], Any]
    noise: Callable[..., Array]
    transform: Callable[[Any, Array], Array]
    transform_hard: Callable[[Any, Array], Array]
    sample_prior: Callable[..., Array]
    empty: Callable[[Any], Array]
    kl: Callable[[Any, Any], Array]
    log_prob: Callable[[Any, Array], Array]
    mean: Callable[[Any], Array]
    kl_between: Callable[[Any, Any], Array] | None = None

    @property
    def dim(self) -> int:
        """Numbers that the block adds to z."""
        return self.groups[0] * self.groups[1]

    @property
    def traversal(self) -> Float[np.ndarray, "N {self.groups[1]}"]:
        """The values that one variable takes in a traversal, in order, ``[N, size]``."""
        return self.traverse()


@dataclasses.dataclass(frozen=True)
class Family:
    """How the blocks of a family are written, and how they are made.

    Attributes:
      name: What stands before the colon of a spec.
      form: What stands behind it, for instance ``VxK``.
      text: What that means, for instance ``V Dirichlet variables of K classes``.
      example: Such a spec, for instance ``dir:2x4``.
      make: ``(sizes, options)`` to a block. The sizes are the text behind the colon; it raises
        `ValueError`, with what they must be, where they are not of the form.
    """

    name: str
    form: str
    text: str
    example: str
    make: Callable[[str, LatentOptions], Block]


def whole_numbers(sizes: str, **least: int) -> tuple[int, ...]:
    """Reads sizes such as ``2x4``.

    Args:
      sizes: Whole numbers up to `LARGEST`, with an ``x`` between them.
      **least: The least that each may be, by its letter in the family's form: ``V=1, K=2``.

    Returns:
      One number per letter.

    Raises:
      ValueError: if their number or one of them is wrong.
    """
    parts = sizes.split("x")
    if len(parts) != len(least) or not all(_WHOLE.fullmatch(part) for part in parts):
        numbers = "a whole number" if len(least) == 1 else "whole numbers"
        raise ValueError(f"{' and '.join(least)} must be {numbers} of at most {LARGEST}")
    numbers = tuple(int(part) for part in parts)
    for number, (letter, low) in zip(numbers, least.items(), strict=True):
        if number < low:
            raise ValueError(f"{letter} must be at least {low}")
    return numbers
