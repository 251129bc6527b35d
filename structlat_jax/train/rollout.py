"""One episode as a scan; the caller vmaps over tasks and episodes. All that acts, acts here."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray

from structlat_jax.config import Hyper
from structlat_jax.envs import Env
from structlat_jax.inference.base import Inference, Learned
from structlat_jax.shapes import (
    UNKNOWN,
    Episodes,
    Task,
    Transition,
    data_to_keys,
    keys_to_data,
    within,
)

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
    return _steps(env, lambda _, *seen: act(*seen), None, task, state, ended, (), given)[1]


def trial(
    env: Env,
    inference: Inference,
    act: Callable[[Array, Array, Any], Array],
    learned: Learned,
    hyper: Hyper,
    task: Task,
    belief: Any,
    resets: Array,
    given: Any,
) -> tuple[Episodes, Any]:
    """Consecutive episodes of an agent that acts on its belief; see `Inference.condition`.

    Args:
      env: The environment.
      inference: With a `condition`.
      act: ``(obs, condition, what this step is given)`` to an action.
      learned, hyper: As `Inference.update` takes them.
      task: One task.
      belief: Before the first step.
      resets: Keys of the resets, ``[E]``.
      given: ``[E, H, ...]``.

    Returns:
      Episodes ``[E]``, and what `Inference.note` says of the belief before each.
    """

    def step_on(belief, obs, step_given):
        return act(obs, inference.condition(learned, belief), step_given)

    def remember(belief, t):
        one = jax.tree.map(lambda x: x[None], t)
        return inference.update(learned, hyper, belief, one, jnp.ones((), jnp.int32))

    def one_episode(belief, inputs):
        data, episode_given = inputs
        if inference.rest is not None:
            belief = inference.rest(learned, hyper, belief)
        note, state = inference.note(belief), env.reset(data_to_keys(data, resets), task)
        start = (state, jnp.bool_(False), belief)
        belief, part = _steps(env, step_on, remember, task, *start, episode_given)
        return belief, (part.episode, note)

    return jax.lax.scan(one_episode, belief, (keys_to_data(resets), given))[1]


def _steps(
    env: Env,
    act: Callable[[Any, Array, Any], Array],
    remember: Callable[[Any, Transition], Any] | None,
    task: Task,
    state: Any,
    ended: Bool[ArrayLike, ""],
    memory: Any,
    given: Any,
) -> tuple[Any, Part]:
    """`steps` of what acts on a memory, which each step changes until the episode has ended."""

    def advance(carry, step_given):
        state, ended, memory = carry
        obs = env.observe(state)
        action = act(memory, obs, step_given)
        out = env.step(state, action, task)
        reward, train_reward, done = map(_number, (out.reward, out.train_reward, out.done))
        # The observation at an episode's end is of nothing that goes on; it need not be a number.
        next_obs = jnp.where((done > 0) & ~jnp.isfinite(out.obs), obs, out.obs)
        t = Transition(obs, action, reward, train_reward, next_obs, done)
        t = jax.tree.map(lambda x: jnp.where(ended, 0.0, x), t)
        if remember is not None:
            after = remember(memory, t)
            memory = jax.tree.map(lambda old, new: jnp.where(ended, old, new), memory, after)
        return (out.state, ended | (done > 0), memory), t

    before = ended
    (state, ended, memory), seen = jax.lax.scan(advance, (state, ended, memory), given)
    # Outside the loop, where each of them would be one more operation per step.
    most, stops = seen.done.shape[0], seen.done > 0
    length = jnp.where(jnp.any(stops), 1 + jnp.argmax(stops), most)
    length = jnp.where(before, 0, length).astype(jnp.int32)
    part = Part(state, ended, Episodes(seen, length, _success(env, task, seen, length)))
    return memory, part


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
