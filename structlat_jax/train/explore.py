"""Explorers: how episodes act that are to find out what there is, without the policy.

Independent noise only walks randomly where actions move a body; an action that is held crosses the
space. Which suits is the environment's affair. Where actions are choices, the largest number of
what would be an action is the choice.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from structlat_jax.envs import AnyEnv
from structlat_jax.nets.heads import choose

_KEEP = 0.9  # of the smooth walk's action from step to step


def held(
    env: AnyEnv, key: PRNGKeyArray, shape: tuple[int, ...]
) -> Float[Array, "... {env.horizon} {env.action_dim}"]:
    """One direction per episode, uniform on the sphere, at full speed throughout; one choice."""
    direction = jax.random.normal(key, (*shape, env.action_dim))
    direction = direction / jnp.max(jnp.abs(direction), axis=-1, keepdims=True)
    wide = (*shape, env.horizon, env.action_dim)
    return jnp.broadcast_to(_allowed(env, direction)[..., None, :], wide)


def uniform(
    env: AnyEnv, key: PRNGKeyArray, shape: tuple[int, ...]
) -> Float[Array, "... {env.horizon} {env.action_dim}"]:
    """A new action at every step, uniform in the box."""
    wide = (*shape, env.horizon, env.action_dim)
    return _allowed(env, jax.random.uniform(key, wide, minval=-1.0, maxval=1.0))


def smooth(
    env: AnyEnv, key: PRNGKeyArray, shape: tuple[int, ...]
) -> Float[Array, "... {env.horizon} {env.action_dim}"]:
    """A stationary autoregressive walk of first order, squashed into the box; of choices, one that
    is kept for some steps."""
    noise = jax.random.normal(key, (env.horizon, *shape, env.action_dim))

    def advance(before, fresh):
        now = _KEEP * before + (1.0 - _KEEP**2) ** 0.5 * fresh
        return now, now

    later = jax.lax.scan(advance, noise[0], noise[1:])[1]
    walk = jnp.concatenate([noise[:1], later])
    return _allowed(env, jnp.tanh(jnp.moveaxis(walk, 0, -2)))


def own(
    env: AnyEnv, key: PRNGKeyArray, shape: tuple[int, ...]
) -> Float[Array, "... {env.horizon} {env.action_dim}"]:
    """As `Env.explore` says."""
    explore = env.explore
    for _ in shape:
        explore = jax.vmap(explore)
    return explore(jax.random.split(key, shape))


def _allowed(env: AnyEnv, action: Float[Array, "*batch A"]) -> Float[Array, "*batch A"]:
    """An action of a box as one of the environment."""
    return choose(action, None) if env.discrete else action


EXPLORERS: dict[str, Callable[[AnyEnv, PRNGKeyArray, tuple[int, ...]], Array]] = {
    "held": held,
    "uniform": uniform,
    "smooth": smooth,
    "own": own,
}
"""``(env, key, shape)`` to the actions of episodes of a shape, ``[*shape, H, action_dim]``."""
