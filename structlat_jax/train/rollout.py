"""One episode as a scan; the caller vmaps over tasks and episodes. All that acts, acts here."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray

from structlat_jax.envs import Env
from structlat_jax.shapes import UNKNOWN, Episodes, Task, Transition, within

Act = Callable[[Array, Any], Array]
"""``(obs [obs_dim], what this step is given)`` to an action ``[action_dim]``."""


class Part(NamedTuple):
    """Some steps of an episode.

    Attributes:
      state: The environment's state behind them.
      ended: Whether the episode has ended, a bool scalar.
      episode: What happened.
    """

    state: Any
    ended: Bool[Array, ""]
    episode: Episodes


def episode(env: Env, act: Act, task: Task, key: PRNGKeyArray, given: Any) -> Episodes:
    """Runs one episode.

    Args:
      env: The environment.
      act: What acts.
      task: One task.
      key: For the reset.
      given: What `act` is given at each step, a pytree ``[H, ...]`` (for instance its noise, drawn
        at once outside the scan).

    Returns:
      One episode, its transitions ``[H]``.
    """
    return steps(env, act, task, env.reset(key, task), jnp.bool_(False), given).episode


def steps(
    env: Env, act: Act, task: Task, state: Any, ended: Bool[ArrayLike, ""], given: Any
) -> Part:
    """Some steps of an episode from one of its states; see `episode`.

    Behind the end of an episode the environment goes on being stepped, and what it says is taken
    for nothing: zeros, whatever its numbers have become. At the end itself, a number observed that
    is not finite is taken to be the last one that was.
    """

    def advance(carry, step_given):
        state, ended = carry
        obs = env.observe(state)
        action = act(obs, step_given)
        out = env.step(state, action, task)
        reward, train_reward, done = map(_number, (out.reward, out.train_reward, out.done))
        # The observation at an episode's end is of nothing that goes on; it need not be a number.
        next_obs = jnp.where((done > 0) & ~jnp.isfinite(out.obs), obs, out.obs)
        t = Transition(obs, action, reward, train_reward, next_obs, done)
        return (out.state, ended | (done > 0)), jax.tree.map(lambda x: jnp.where(ended, 0.0, x), t)

    before = ended
    (state, ended), seen = jax.lax.scan(advance, (state, ended), given)
    # Outside the loop, where each of them would be one more operation per step.
    most, stops = seen.done.shape[0], seen.done > 0
    length = jnp.where(jnp.any(stops), 1 + jnp.argmax(stops), most)
    length = jnp.where(before, 0, length).astype(jnp.int32)
    return Part(state, ended, Episodes(seen, length, _success(env, task, seen, length)))


def _success(env: Env, task: Task, seen: Transition, length: Int[Array, ""]) -> Float[Array, ""]:
    """`Episodes.success` of transitions ``[n]``, the first ``length`` of which count."""
    if env.success is None:
        return jnp.full((), UNKNOWN)
    each = jax.vmap(lambda t: _number(env.success(t, task)))(seen)
    return jnp.max(jnp.where(within(length, each.shape[0]), each, 0.0))


def join(parts: list[Episodes]) -> Episodes:
    """Consecutive parts of one episode as one."""
    transitions = jax.tree.map(lambda *x: jnp.concatenate(x), *(p.transitions for p in parts))
    length = sum(p.length for p in parts)
    return Episodes(transitions, length, jnp.max(jnp.stack([p.success for p in parts])))


def path(seen: Episodes) -> Float[Array, "... {seen.transitions.obs.shape[-2]+1} obs_dim"]:
    """Observations of episodes from their reset to their end, ``[..., H + 1, obs_dim]``; behind the
    end the last one stays."""
    t = seen.transitions
    every = jnp.concatenate([t.obs[..., :1, :], t.next_obs], axis=-2)
    at = jnp.minimum(jnp.arange(every.shape[-2]), seen.length[..., None])
    return jnp.take_along_axis(every, at[..., None], axis=-2)


def _number(x: Any) -> Float[Array, ""]:
    return jnp.asarray(x, jnp.float32)
