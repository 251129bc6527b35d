"""What changes along a run by plan: the KL weight ramps up, step sizes and entropy weight decay."""

import jax.numpy as jnp

from structlat_jax.algos import pearl_sac
from structlat_jax.config import Hyper
from structlat_jax.shapes import Array


def kl_weight(hyper: Hyper, updates: Array) -> Array:
    """The KL weight after ``updates``: a linear ramp from ``kl_weight_start``."""
    progress = jnp.clip(
        updates.astype(jnp.float32) / jnp.maximum(hyper.kl_ramp_updates, 1.0), 0.0, 1.0
    )
    return hyper.kl_weight_start + (hyper.kl_weight - hyper.kl_weight_start) * progress


def step_size_share(hyper: Hyper, updates: Array) -> Array:
    """What is left of the step sizes after ``updates``: 1, then a linear decay to ``lr_end``."""
    return 1.0 + (hyper.lr_end - 1.0) * _decayed(hyper, updates)


def entropy_weight(hyper: Hyper, updates: Array) -> Array:
    """The entropy weight after ``updates``; it decays while the step sizes do."""
    return hyper.entropy_weight * (1.0 + (hyper.entropy_end - 1.0) * _decayed(hyper, updates))


def open_blocks(hyper: Hyper, updates: Array) -> Array:
    """How many blocks of z are open after ``updates``, which may be more than there are."""
    opened = 1.0 + updates.astype(jnp.float32) // jnp.maximum(hyper.block_delay, 1.0)
    return jnp.where(hyper.block_delay > 0, opened, jnp.inf)


def _decayed(hyper: Hyper, updates: Array) -> Array:
    span = jnp.maximum(hyper.lr_decay_end - hyper.lr_decay_start, 1.0)
    return jnp.clip((updates.astype(jnp.float32) - hyper.lr_decay_start) / span, 0.0, 1.0)


def coefficients_at(hyper: Hyper, updates: Array) -> pearl_sac.Coefficients:
    """The scalars of one update; all KL terms follow the ramp of the KL weight."""
    weight, share = kl_weight(hyper, updates), step_size_share(hyper, updates)
    scheduled = {
        "kl_weight": weight,
        "silent_weight": hyper.silent_kl * weight,
        "aggregate_weight": hyper.aggregate_kl * weight,
        "lr": hyper.lr * share,
        "encoder_lr": hyper.encoder_lr * share,
        "entropy_weight": entropy_weight(hyper, updates),
        "open_blocks": open_blocks(hyper, updates),
    }
    constant = set(pearl_sac.Coefficients._fields) - set(scheduled)
    return pearl_sac.Coefficients(**scheduled, **{name: getattr(hyper, name) for name in constant})


def ended(hyper: Hyper, updates: int) -> list[str]:
    """What has changed by plan and does not change any more after ``updates``, in words."""
    decayed = updates >= hyper.lr_decay_end
    known = {
        f"the KL weight at {hyper.kl_weight:g}": (
            hyper.kl_weight != hyper.kl_weight_start and updates >= hyper.kl_ramp_updates
        ),
        f"the step sizes at {hyper.lr_end:g} of their start": decayed and hyper.lr_end != 1.0,
        f"the entropy weight at {hyper.entropy_end:g} of its start": (
            decayed and hyper.entropy_end != 1.0
        ),
    }
    return [words for words, over in known.items() if over]
