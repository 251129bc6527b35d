"""What the posterior episodes of a meta-step know when they begin: contexts from the replay."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.config import Hyper
from structlat_jax.data.batches import Context, context_sampler, draw_contexts
from structlat_jax.data.replay import Replay
from structlat_jax.shapes import Array, Key
from structlat_jax.train.setup import Setup


def over_tasks(
    setup: Setup,
    hyper: Hyper,
    rings: Replay,
    of_task: Callable[[Array, Context, Any], Any],
    given: Any,
    key: Key,
) -> Any:
    """What is made of a context for each posterior episode, drawn as in training.

    Args:
      setup: Static.
      hyper: Traced.
      rings: A replay that holds something.
      of_task: ``(task, contexts of its P posterior episodes, what it is given)`` to a pytree.
      given: ``[T, ...]``.
      key: For the contexts.

    Returns:
      That of all training tasks, ``[T, ...]``.
    """
    s = setup.structure
    sampler = context_sampler(setup, s.posterior_episodes)
    draws = jax.random.uniform(key, (s.train_tasks, sampler.draws))

    def one(inputs):
        task, own_draws, own = inputs
        same = jnp.full((s.posterior_episodes,), task)
        return of_task(task, draw_contexts(setup, hyper, rings, own_draws, same), own)

    # One task after the other: all contexts at once would not fit into a cache.
    return jax.lax.map(one, (jnp.arange(s.train_tasks), draws, given))
