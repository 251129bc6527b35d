"""A trained agent that adapts online, one transition at a time, without the training code."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.config import Config
from structlat_jax.inference import hypotheses
from structlat_jax.inference.additive import context_features, evidence_of
from structlat_jax.latents import LatentSpace
from structlat_jax.nets.networks import AgentParams, Networks, squash
from structlat_jax.train.setup import Setup, make_setup
from structlat_jax.types import Array, Key, Transition, require_last_axis


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Belief:
    """What the agent knows of its task: the sum of the evidence, O(1) in the number of steps.

    Attributes:
      total: Summed natural parameters of the encoder's posterior, ``[stat_dim]``.
      steps: Transitions seen, an int32 scalar.
      log_weights: Of the agent's hypotheses, ``[N]``; N is 0 for an agent that infers z by the
        encoder's posterior alone.
    """

    total: Array
    steps: Array
    log_weights: Array


@dataclasses.dataclass(frozen=True)
class Agent:
    """Acts on z, and infers z from transitions.

    Attributes:
      config: The configuration that it was trained with.
      space: Its latent space.
      networks: Its networks.
      params: Their parameters.
      hypotheses: Draws from the prior, ``[N, D]``, that `update` weighs and `sample_z` picks from;
        with N = 0, z comes from the encoder's posterior.
      outcomes: Where each leads, ``[N, obs_dim]``; see `world_model.outcome`.
      horizon: Steps in an episode.
    """

    config: Config
    space: LatentSpace
    networks: Networks
    params: AgentParams
    hypotheses: Array
    outcomes: Array
    horizon: int

    def prior(self) -> Belief:
        """The belief before any transition."""
        weights = jnp.zeros(self.hypotheses.shape[0])
        return Belief(jnp.zeros(self.space.stat_dim), jnp.zeros((), jnp.int32), weights)

    def update(self, posterior: Belief, transition: Transition) -> Belief:
        """The belief after one more transition; adding two in any order gives the same.

        Args:
          posterior: The belief so far.
          transition: A `Transition` of single steps; ``train_reward`` is not looked at, and
            ``next_obs`` only if the agent was trained with it.

        Raises:
          ValueError: if an observation or an action has another width than in training.
        """
        _, obs_dim, action_dim, _ = self.networks.widths
        transition = Transition(*map(jnp.asarray, transition))
        require_last_axis("transition.obs", transition.obs, obs_dim)
        require_last_axis("transition.action", transition.action, action_dim)
        return _update(
            *(self.networks, self.space, self.config),
            *(self.params, self.hypotheses, self.outcomes, posterior, transition),
        )

    def distribution(self, posterior: Belief) -> tuple[Any, ...]:
        """The encoder's posterior, one per block of the latent space."""
        return self.space.posterior(posterior.total)

    def sample_z(self, posterior: Belief, key: Key) -> Array:
        """A hypothesis about the task, ``[D]``; from the prior while nothing was seen."""
        return _sample_z(self.space, self.hypotheses, posterior, key)

    def greedy_z(self, posterior: Belief, obs: Array, key: Key) -> Array:
        """The hypothesis that promises the most for the next episode, ``[D]``; see
        `hypotheses.greedy`. It exploits, where `sample_z` still explores.

        Args:
          posterior: The belief.
          obs: First observation of the episode, ``[obs_dim]``.
          key: For the draws that are compared.

        Raises:
          ValueError: if ``obs`` has another shape, or the agent has no hypotheses to compare.
        """
        obs, width = jnp.asarray(obs), self.networks.widths[1]
        if obs.shape != (width,):
            raise ValueError(f"obs must have shape [{width}], not {list(obs.shape)}.")
        if not posterior.log_weights.size:
            raise ValueError("an agent of --inference amortised has no hypotheses to compare.")
        weighed = hypotheses.Hypotheses(self.hypotheses, self.outcomes, posterior.log_weights)
        return _greedy_z(self.networks, self.params, weighed, obs, self.horizon, key)

    def act(self, obs: Array, z: Array, key: Key | None = None) -> Array:
        """An action ``[..., action_dim]``: the policy's mode, or a draw if a key is given.

        Args:
          obs: ``[..., obs_dim]``.
          z: ``[..., D]``, broadcast against ``obs``.
          key: For a stochastic action.

        Raises:
          ValueError: if ``obs`` or ``z`` has another width than in training.
        """
        _, obs_dim, _, latent = self.networks.widths
        obs, z = jnp.asarray(obs), jnp.asarray(z)
        require_last_axis("obs", obs, obs_dim)
        require_last_axis("z", z, latent)
        return _act(self.networks, self.params, obs, z, key)


def load(path: str | Path, seed: int = 0) -> Agent:
    """Opens a finished or interrupted run.

    Args:
      path: A run folder.
      seed: Which of the run's seeds, counted from 0.

    Raises:
      FileNotFoundError: if the folder is no run or has no checkpoint yet.
      ValueError: if its configuration cannot be read or it has fewer seeds.
    """
    from structlat_jax import checkpoint  # needs orbax, which the library itself does not

    config, params = checkpoint.load_params(Path(path), seed)
    setup = make_setup(config)
    _require_fit(setup, params, path)
    z, outcomes = _draw_hypotheses(setup, params)
    horizon = setup.env.horizon
    return Agent(config, setup.space, setup.networks, params, z, outcomes, horizon)


def _require_fit(setup: Setup, params: AgentParams, path: str | Path) -> None:
    expected = jax.eval_shape(setup.networks.init, jax.random.key(0))
    same = jax.tree.map(lambda x, y: x.shape == y.shape, params, expected)
    if not all(jax.tree.leaves(same)):
        raise ValueError(f"the parameters in {path} do not fit {setup.env.name}'s networks.")


def _draw_hypotheses(setup: Setup, params: AgentParams) -> tuple[Array, Array]:
    """Always the same draws, so that what an agent infers depends on what it saw alone."""
    s, env = setup.config.structure, setup.env
    if s.inference == "amortised":
        return jnp.zeros((0, setup.space.dim)), jnp.zeros((0, env.obs_dim))
    key_task, key_reset, key_draw = jax.random.split(jax.random.key(0), 3)
    task = jax.tree.map(lambda x: x[0], env.sample_tasks(key_task, 1))
    start = env.observe(env.reset(key_reset, task))
    drawn = hypotheses.draw(
        *(setup.networks, setup.space, params, start, env.horizon, s.hypotheses, key_draw)
    )
    return drawn.z, drawn.outcome


@partial(jax.jit, static_argnums=(0, 1, 2))
def _update(networks, space, config, params, drawn, outcomes, belief, transition):
    features = context_features(
        transition,
        config.hyper.context_reward_scale,
        config.structure.next_obs_in_context,
    )
    evidence = evidence_of(networks, space, params.encoder, features)
    log_weights = belief.log_weights
    if log_weights.size:
        episode = jax.tree.map(lambda x: x[None], transition)  # one step long
        before = hypotheses.Hypotheses(drawn, outcomes, log_weights)
        weight = config.hyper.evidence_weight
        after = hypotheses.update(networks, params, before, episode, weight)
        log_weights = after.log_weights
    return Belief(belief.total + evidence, belief.steps + 1, log_weights)


@partial(jax.jit, static_argnums=0)
def _sample_z(space, drawn, belief, key):
    if belief.log_weights.size:
        return drawn[jax.random.categorical(key, belief.log_weights)]
    return space.sample(space.posterior(belief.total), key, hard=True)


_greedy_z = partial(jax.jit, static_argnums=(0, 4))(hypotheses.greedy)


@partial(jax.jit, static_argnums=0)
def _act(networks, params, obs, z, key):
    mean, log_std = networks.policy(params.policy, obs, z)
    if key is None:
        return jnp.tanh(mean)
    return squash(mean, log_std, jax.random.normal(key, mean.shape))[0]
