"""The adaptation protocol: what a trained agent does on tasks that it must find out about.

Per task and repeat: E episodes with one z each and a deterministic policy. The first ones draw z
from the prior; the others from the posterior given all that this evaluation has seen so far. The
replay is not an argument, so it cannot be read, and only the task's own reward is used.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from structlat_jax import inference, rollout
from structlat_jax.config import Hyper
from structlat_jax.meta_train import Setup
from structlat_jax.networks import AgentParams
from structlat_jax.types import Array, Key, Task


class Adaptation(NamedTuple):
    """The whole evaluation; all arrays lead with ``[T, repeats, E]``.

    Attributes:
      returns: Return of each episode, ``[T, R, E]``; headlines are reductions of this.
      path: Observations from reset to the end, ``[T, R, E, H + 1, obs_dim]``.
      z: The latent of each episode, ``[T, R, E, D]``.
      belief: Posterior mean of z given what was seen *before* the episode (the prior's mean for
        the first), ``[T, R, E, D]``.
      kl: KL of that posterior to the prior in nats, ``[T, R, E, blocks]``.
    """

    returns: Array
    path: Array
    z: Array
    belief: Array
    kl: Array


def evaluate(setup: Setup, hyper: Hyper, params: AgentParams, tasks: Task, key: Key) -> Adaptation:
    """Runs the protocol on tasks ``[T]``; a pure function of its arguments."""
    s = setup.config.structure
    count = jax.tree.leaves(tasks)[0].shape[0]
    keys = jax.random.split(key, (count, s.eval_repeats))
    per_task = jax.vmap(lambda task, k: _adapt(setup, hyper, params, task, k), in_axes=(None, 0))
    return jax.vmap(per_task)(tasks, keys)


def last_return(adaptation: Adaptation) -> Array:
    """The headline: return of the last episode, mean over tasks and repeats."""
    return jnp.mean(adaptation.returns[..., -1])


def _adapt(setup: Setup, hyper: Hyper, params: AgentParams, task: Task, key: Key) -> Adaptation:
    s = setup.config.structure
    space, env = setup.space, setup.env
    key_prior, key_kl, key_run = jax.random.split(key, 3)
    prior_z = space.sample_prior(key_prior, (s.eval_episodes,))
    key_noise, key_reset = jax.random.split(key_run)
    latent_noise = space.noise(key_noise, (s.eval_episodes,))

    def one_episode(total: Array, inputs: Any):
        index, z_prior, noise, reset_key, step_kl_key = inputs
        posterior = space.posterior(total)
        z_posterior = space.transform(posterior, noise, hard=True)
        z = jnp.where(index < s.eval_prior_episodes, z_prior, z_posterior)

        def act(obs, _):
            return jnp.tanh(setup.networks.policy(params.policy, obs, z)[0])

        no_noise = jnp.zeros((env.horizon, env.action_dim))
        seen = rollout.episode(env, act, task, reset_key, no_noise)
        features = inference.context_features(
            seen, hyper.context_reward_scale, s.next_obs_in_context
        )
        evidence = inference.evidence_of(setup.networks, space, params.encoder, features)
        adaptation = Adaptation(
            returns=jnp.sum(seen.reward),
            path=jnp.concatenate([seen.obs[:1], seen.next_obs]),
            z=z,
            belief=space.mean(posterior),
            kl=space.kl(posterior, step_kl_key),
        )
        return total + space.combine(evidence), adaptation

    inputs = (
        jnp.arange(s.eval_episodes),
        prior_z,
        latent_noise,
        jax.random.split(key_reset, s.eval_episodes),
        jax.random.split(key_kl, s.eval_episodes),
    )
    return jax.lax.scan(one_episode, jnp.zeros(space.stat_dim), inputs)[1]


def oracle_returns(setup: Setup, tasks: Task) -> Array:
    """Return of the controller that knows the task, ``[T]``."""
    return jax.vmap(setup.env.oracle_return)(tasks)
