"""Explorers: how episodes act that are to find out what there is, without the policy.

Independent noise only walks randomly where actions move a body; an action that is held crosses the
space. Which suits is the environment's affair.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from structlat_jax.envs import Env

_KEEP = 0.9  # of the smooth walk's action from step to step


def held(
    env: Env, key: PRNGKeyArray, shape: tuple[int, ...]
) -> Float[Array, "... {env.horizon} {env.action_dim}"]:
    """One direction per episode, uniform on the sphere, at full speed throughout."""
    direction = jax.random.normal(key, (*shape, env.action_dim))
    direction = direction / jnp.max(jnp.abs(direction), axis=-1, keepdims=True)
    wide = (*shape, env.horizon, env.action_dim)
    return jnp.broadcast_to(direction[..., None, :], wide)


def uniform(
    env: Env, key: PRNGKeyArray, shape: tuple[int, ...]
) -> Float[Array, "... {env.horizon} {env.action_dim}"]:
    """A new action at every step, uniform in the box."""
    wide = (*shape, env.horizon, env.action_dim)
    return jax.random.uniform(key, wide, minval=-1.0, maxval=1.0)


def smooth(
    env: Env, key: PRNGKeyArray, shape: tuple[int, ...]
) -> Float[Array, "... {env.horizon} {env.action_dim}"]:
    """A stationary autoregressive walk of first order, squashed into the box."""
    noise = jax.random.normal(key, (env.horizon, *shape, env.action_dim))

    def advance(before, fresh):
        now = _KEEP * before + (1.0 - _KEEP**2) ** 0.5 * fresh
        return now, now

    later = jax.lax.scan(advance, noise[0], noise[1:])[1]
    walk = jnp.concatenate([noise[:1], later])
    return jnp.tanh(jnp.moveaxis(walk, 0, -2))


def own(
    env: Env, key: PRNGKeyArray, shape: tuple[int, ...]
) -> Float[Array, "... {env.horizon} {env.action_dim}"]:
    """As `Env.explore` says."""
    explore = env.explore
    for _ in shape:
        explore = jax.vmap(explore)
    return explore(jax.random.split(key, shape))


EXPLORERS: dict[str, Callable[[Env, PRNGKeyArray, tuple[int, ...]], Array]] = {
    "held": held,
    "uniform": uniform,
    "smooth": smooth,
    "own": own,
}
"""``(env, key, shape)`` to the actions of episodes of a shape, ``[*shape, H, action_dim]``."""
