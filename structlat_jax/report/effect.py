"""What each part of z does to the episodes of a trained agent: shares of the variance."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.agent import Agent
from structlat_jax.envs import AnyEnv, HostEnv
from structlat_jax.inference.base import Learned
from structlat_jax.report.parts import Part
from structlat_jax.report.sobol import Shares, shares_of_variance
from structlat_jax.shapes import keys_to_data, make_key
from structlat_jax.train import players, rollout

DRAWS = 8192
"""Draws of z from the prior behind every share, for episodes of up to `SHORT` steps."""

SHORT = 20

Roll = Callable[[Learned, Any], np.ndarray]
Measure = Callable[[np.ndarray], np.ndarray]
"""Observations ``[K, H + 1, obs_dim]`` to the numbers ``[K, M]`` whose variance is shared out."""


def draws_for(env: AnyEnv) -> int:
    """How many draws are worth their time: fewer of longer episodes."""
    if isinstance(env, HostEnv):
        return min(DRAWS, 64)  # whose steps may take a millisecond
    return max(DRAWS // max(1, -(-env.horizon // SHORT)), min(DRAWS, 512))


def roller(agent: Agent, env: AnyEnv) -> Roll:
    """A function ``(learned, z [K, D])`` to the observations of an episode with each z, from its
    reset to its end, ``[K, H + 1, obs_dim]``; after the end the last one is repeated.

    The policy is deterministic. The episodes are those of one task, which matters where dynamics
    or observations depend on it.
    """
    key_task, key_reset = jax.random.split(make_key(0))
    if isinstance(env, HostEnv):
        return _host_roller(agent, env.sample_tasks(key_task, 1), keys_to_data(key_reset))
    task = jax.tree.map(lambda x: x[0], env.sample_tasks(key_task, 1))
    steps = jnp.arange(env.horizon)

    @jax.jit
    def run(learned, z):
        actor = dataclasses.replace(agent, learned=learned)

        def one(z):
            seen = rollout.episode(env, lambda obs, _: actor.act(obs, z), task, key_reset, steps)
            return rollout.path(seen)

        return jax.vmap(one)(z)

    return lambda learned, z: np.asarray(run(learned, jnp.asarray(z, jnp.float32)))


def _host_roller(agent: Agent, task: Any, reset: Any) -> Roll:
    """`roller` where workers go through the episodes."""

    def run(learned, z):
        count = len(z)
        acting = players.policies(
            agent.setup, jax.tree.map(lambda x: np.asarray(x)[None], learned.agent), 1
        )
        tasks = jax.tree.map(lambda x: np.repeat(np.asarray(x), count, axis=0)[None], task)
        resets = np.broadcast_to(np.asarray(reset), (1, count, 2))
        seen = players.play(agent.setup, acting, tasks, resets, np.asarray(z, np.float32)[None])
        return np.asarray(rollout.path(seen))[0]

    return run


def last_observation(agent: Agent, roll: Roll, draws: int) -> Measure:
    """The measure that any environment has: the last observation of an episode, each of its numbers
    in units of its own spread, so that none counts for more than another."""
    z = agent.space.sample_prior(make_key(2), (draws,))
    last = roll(agent.learned, z)[:, -1]
    spread = last.std(axis=0)
    varies = spread > 1e-6 * (1.0 + np.abs(last).max(axis=0))
    return lambda seen: seen[:, -1] / np.where(varies, spread, np.inf)


def shares(
    agent: Agent,
    roll: Roll,
    parts: Sequence[Part],
    measures: Mapping[str, Measure],
    draws: int = DRAWS,
) -> dict[str, Shares]:
    """How much of the variance of each measure each part of z explains, z drawn from the prior.

    Args:
      agent: Of one seed.
      roll: From `roller`.
      parts: Of z; the prior draws them independently of what they leave out.
      measures: By name.
      draws: From the prior, twice as many in all.
    """
    one, other = np.asarray(agent.space.sample_prior(make_key(1), (2, draws)))
    columns = [part.columns for part in parts]
    return {
        name: shares_of_variance(
            lambda z, measure=measure: measure(roll(agent.learned, z)), one, other, columns
        )
        for name, measure in measures.items()
    }
