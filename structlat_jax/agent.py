"""A trained agent that adapts online, one transition at a time, without the training code."""

import dataclasses
import os
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.config import Config
from structlat_jax.envs import Env
from structlat_jax.inference.base import Learned
from structlat_jax.latents import LatentSpace
from structlat_jax.train.setup import Setup, make_setup
from structlat_jax.types import Array, Key, Transition, make_key, require_last_axis


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Belief:
    """What the agent knows of its task, O(1) in the number of steps.

    Attributes:
      state: What its inference carries; see `Inference`.
      steps: Transitions seen, an int32 scalar.
    """

    state: Any
    steps: Array


@dataclasses.dataclass(frozen=True)
class Agent:
    """Acts on z, and infers z from transitions.

    Attributes:
      setup: What it was trained with, its environment included.
      learned: Its parameters.
      start: The belief before any transition, in an episode that starts as the environment's do.
    """

    setup: Setup
    learned: Learned
    start: Belief

    @property
    def config(self) -> Config:
        """The configuration that it was trained with."""
        return self.setup.config

    @property
    def env(self) -> Env:
        """The environment that it was trained on."""
        return self.setup.env

    @property
    def space(self) -> LatentSpace:
        """Its latent space."""
        return self.setup.space

    def prior(self, obs: Array | None = None) -> Belief:
        """The belief before any transition.

        Args:
          obs: The observation at hand, ``[obs_dim]``, from which an inference that imagines
            episodes starts them; by default one that the environment's reset gives.

        Raises:
          ValueError: if ``obs`` has another shape.
        """
        if obs is None:
            return self.start
        obs = self._single("obs", obs, self.env.obs_dim)
        return Belief(_init(self.setup, self.learned, obs), jnp.zeros((), jnp.int32))

    def update(self, belief: Belief, transition: Transition) -> Belief:
        """The belief after one more transition; adding two in any order gives the same.

        Args:
          belief: The belief so far.
          transition: A `Transition` of one step; ``train_reward`` is not looked at, and
            ``next_obs`` only if the agent was trained with it. For a batch of beliefs, map this
            function over them with `jax.vmap`.

        Raises:
          ValueError: if one of its members has another shape than in training.
        """
        env = self.env
        widths = {"obs": env.obs_dim, "action": env.action_dim, "next_obs": env.obs_dim}
        parts = {
            name: self._single(f"transition.{name}", value, widths.get(name))
            for name, value in transition._asdict().items()
        }
        return _update(self.setup, self.learned, belief, Transition(**parts))

    def sample_z(self, belief: Belief, key: Key) -> Array:
        """A hypothesis about the task, ``[D]``; from the prior while nothing was seen."""
        return _sample_z(self.setup, belief, key)

    def greedy_z(
        self, belief: Belief, obs: Array, key: Key, steps_left: int | None = None
    ) -> Array:
        """The hypothesis that promises the most for the steps that are left, ``[D]``; see
        `hypotheses.greedy`. It exploits, where `sample_z` still explores.

        Args:
          belief: The belief.
          obs: The observation at hand, ``[obs_dim]``.
          key: For the draws that are compared.
          steps_left: A whole episode by default.

        Raises:
          ValueError: if ``obs`` has another shape, or the agent has no hypotheses to compare.
        """
        obs = self._single("obs", obs, self.env.obs_dim)
        if self.setup.inference.greedy is None:
            raise ValueError("an agent of --inference amortised has no hypotheses to compare.")
        left = self.env.horizon if steps_left is None else steps_left
        return _greedy_z(self.setup, self.learned, belief, obs, left, key)

    def act(self, obs: Array, z: Array, key: Key | None = None) -> Array:
        """An action ``[..., action_dim]``: the policy's mode, or a draw if a key is given.

        Args:
          obs: ``[..., obs_dim]``.
          z: ``[..., D]``, broadcast against ``obs``.
          key: For a stochastic action.

        Raises:
          ValueError: if ``obs`` or ``z`` has another width than in training.
        """
        obs, z = jnp.asarray(obs), jnp.asarray(z)
        require_last_axis("obs", obs, self.env.obs_dim)
        require_last_axis("z", z, self.space.dim)
        return _act(self.setup, self.learned, obs, z, key)

    def mean_z(self, belief: Belief) -> Array:
        """The posterior mean of z, ``[D]``."""
        return _summary(self.setup, belief)[0]

    def kl(self, belief: Belief) -> Array:
        """KL of the encoder's posterior to the prior in nats, ``[blocks]``."""
        return _summary(self.setup, belief)[1]

    def save(self, path: str | Path) -> Path:
        """Writes the agent to one file, which `load` opens; returns its path.

        Raises:
          CheckpointError: if it cannot be written.
        """
        return _save(self, Path(path))

    def _single(self, name: str, value: Any, width: int | None) -> Array:
        value, shape = jnp.asarray(value), () if width is None else (width,)
        if value.shape != shape:
            raise ValueError(f"{name} must have shape {list(shape)}, not {list(value.shape)}.")
        return value


def make_agent(setup: Setup, learned: Learned) -> Agent:
    """An agent; its hypotheses are always the same draws, so that what it infers depends on what
    it saw alone."""
    key_task, key_reset = jax.random.split(make_key(0), 3)[:2]
    task = jax.tree.map(lambda x: x[0], setup.env.sample_tasks(key_task, 1))
    obs = setup.env.observe(setup.env.reset(key_reset, task))
    steps = jnp.zeros((), jnp.int32)
    return Agent(setup, learned, Belief(_init(setup, learned, obs), steps))


def load(path: str | Path, seed: int = 0, env: Env | str | Path | None = None) -> Agent:
    """Opens a finished or interrupted run, or an agent that `Agent.save` has written.

    Args:
      path: A run folder, or a file.
      seed: Which of the run's seeds, counted from 0; a file holds one agent.
      env: The environment, or what names it for `envs.make`. A built-in one is known from the run;
        one of a file or a module is code, and is not imported unless it is named here.

    Raises:
      FileNotFoundError: if the folder is no run or has no checkpoint yet.
      ValueError: if its configuration cannot be read, if it has fewer seeds, or if the environment
        cannot be made or is another one.
    """
    path = Path(path)
    if os.path.isfile(path):  # which takes any name, however long
        from structlat_jax import saved_agent

        return saved_agent.read(path, env)
    from structlat_jax.store import checkpoint

    config, _ = checkpoint.read_config(path)
    setup = make_setup(config, env)
    learned = checkpoint.load_learned(path, seed, setup)
    return make_agent(setup, learned)


def _save(agent: Agent, path: Path) -> Path:
    from structlat_jax import saved_agent

    return saved_agent.save(agent, path)


@partial(jax.jit, static_argnums=0)
def _init(setup, learned, obs):
    key = jax.random.split(make_key(0), 3)[2]
    return setup.inference.init(learned, key, obs)


@partial(jax.jit, static_argnums=0)
def _update(setup, learned, belief, transition):
    seen = jax.tree.map(lambda x: x[None], transition)  # an episode of one step
    one = jnp.ones((), jnp.int32)
    state = setup.inference.update(learned, setup.config.hyper, belief.state, seen, one)
    return Belief(state, belief.steps + 1)


@partial(jax.jit, static_argnums=0)
def _sample_z(setup, belief, key):
    return setup.inference.sample(belief.state, key)


@partial(jax.jit, static_argnums=(0, 4))
def _greedy_z(setup, learned, belief, obs, left, key):
    return setup.inference.greedy(learned, belief.state, obs, left, key)


@partial(jax.jit, static_argnums=0)
def _act(setup, learned, obs, z, key):
    act, width = setup.algorithm.act, setup.env.action_dim
    if key is None:
        return act(learned.agent, obs, z, None)
    shape = (*jnp.broadcast_shapes(obs.shape[:-1], z.shape[:-1]), width)
    return act(learned.agent, obs, z, jax.random.normal(key, shape))


@partial(jax.jit, static_argnums=0)
def _summary(setup, belief):
    note = setup.inference.note(belief.state)
    return setup.inference.summary(note, make_key(0))
