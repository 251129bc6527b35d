"""A body in the plane, at rest at first, whose velocity is observed: what `speed_mix` and
`drive_mix` have in common. Their tasks have the ``weights`` of a mixture; pictures sort by the
first of them.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.envs import given, mixtures
from structlat_jax.envs.base import Env, Preset
from structlat_jax.shapes import Array, Key


def keep_of(friction: float) -> float:
    """The share of a velocity that is left after a step that loses the share ``friction`` of it.

    Raises:
      ValueError: unless friction is above 0 and at most 1.
    """
    given.require_positive(friction=friction)
    if friction > 1:
        raise ValueError(f"friction must be at most 1, not {friction!r}.")
    return 1.0 - friction


def mixture_and_style(
    key: Key, n: int, classes: int, concentration: float, style: float
) -> tuple[Array, Array]:
    """The numbers of ``n`` tasks: weights ``[n, classes]`` from a symmetric Dirichlet, and a style
    per axis ``[n, 2]``, normal with mean 0 and the standard deviation ``style``."""
    key_weights, key_style = jax.random.split(key)
    weights = jax.random.dirichlet(key_weights, jnp.full(classes, concentration), (n,))
    return weights, style * jax.random.normal(key_style, (n, 2))


def env(name: str, horizon: int, **functions: Callable[..., Any]) -> Env:
    """The environment.

    Args:
      name: Its `Env.name`.
      horizon: Steps in an episode.
      **functions: ``sample_tasks``, ``step`` (its state and its observation are the velocity
        ``[2]``), ``oracle_return`` and ``factors``, as `Env` has them.
    """

    def reset(key, task):
        del key, task  # every episode starts at rest
        return jnp.zeros(2)

    return Env(
        name=name,
        obs_dim=2,
        action_dim=2,
        horizon=horizon,
        reset=reset,
        observe=lambda state: state,
        label=lambda task: task.weights[0],
        # Held actions say little of a body with inertia; what an action does differs between tasks.
        presets={
            "cpu": Preset(
                30_000, {**mixtures.SETTINGS, "explorer": "smooth", "next_obs_in_context": True}
            ),
        },
        **functions,
    )
