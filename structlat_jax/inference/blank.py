"""What inferences have in common that choose no z: those parts of the record that say so."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.inference.base import Inference, Learned, Randomness
from structlat_jax.latents import LatentSpace
from structlat_jax.shapes import Array


def make(
    space: LatentSpace,
    name: str,
    init: Callable[[Learned, Any, Any], Any],
    update: Callable[..., Any],
    condition: Callable[[Learned, Any], Array],
    given: Callable[[Any], Array],
    total: Callable[[Any], Array],
    **more: Any,
) -> Inference:
    """An inference that acts on its belief.

    Args:
      space: The latent space, in which its belief is shown.
      name: For tables.
      init, update, condition: As `Inference` has them.
      given: belief to what the policy is given, ``[C]``, as `condition` but of what the belief
        holds: it stands for z where somebody asks for one.
      total: belief to the evidence about z, ``[stat_dim]``; zero where it has none, which is the
        prior.
      **more: Other members of the record.
    """

    def randomness(key, episodes, strata, parts):
        del episodes, strata, parts
        key_reset, key_choices, key_summary = jax.random.split(key, 3)
        return Randomness(None, None, key_choices, key_reset, key_summary)

    def summary(notes, key):
        posterior = space.posterior(notes)
        return space.mean(posterior), space.kl(posterior, key)

    return Inference(
        name=name,
        randomness=randomness,
        init=init,
        update=update,
        sample=lambda belief, key: given(belief),
        note=total,
        summary=summary,
        spread=lambda totals: space.deviation(space.posterior(totals)),
        condition=condition,
        **more,
    )


def nothing(space: LatentSpace) -> Array:
    """The evidence of who has none, ``[stat_dim]``."""
    return jnp.zeros(space.stat_dim)
