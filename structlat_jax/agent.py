"""A trained agent that adapts online, one transition at a time, without the training code."""

import dataclasses
import importlib
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax import agent_steps as steps
from structlat_jax import paths, settings
from structlat_jax.agent_steps import Belief
from structlat_jax.config import Config
from structlat_jax.envs import AnyEnv, registry
from structlat_jax.inference.base import Learned
from structlat_jax.latents import LatentSpace
from structlat_jax.shapes import Array, Key, Task, Transition, make_key, require_last_axis
from structlat_jax.train.setup import Setup, make_setup


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
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
    def env(self) -> AnyEnv:
        """The environment that it was trained on."""
        return self.setup.env

    @property
    def space(self) -> LatentSpace:
        """Its latent space."""
        return self.setup.space

    def prior(self, obs: Array | None = None, task: Task | None = None) -> Belief:
        """The belief before any transition.

        Args:
          obs: The observation at hand, ``[obs_dim]``, from which an inference that imagines
            episodes starts them; by default one that the environment's reset gives.
          task: Which task it is in, for an agent that has to be told (algorithm: oracle); the mean
            of its training tasks by default.

        Raises:
          ValueError: if ``obs`` has another shape, or the agent has to find out the task.
        """
        if task is not None:
            return steps.told(self.setup, self.start, task)
        if obs is None:
            return self.start
        obs = self._shaped("obs", obs, self.env.obs_dim)
        steps.require_finite("obs", obs)
        return Belief(steps.init(self.setup, self.learned, obs), jnp.zeros((), jnp.int32))

    def update(self, belief: Belief, transition: Transition) -> Belief:
        """The belief after one more transition; in any order the same, unless it is recurrent.

        Args:
          belief: The belief so far.
          transition: A `Transition` of one step; ``train_reward`` is not looked at, and
            ``next_obs`` only if the agent was trained with it. A batch of beliefs ``[...]``, of
            as many tasks, takes one of each, all of whose members lead with ``[...]``.

        Raises:
          ValueError: if one of its members has another shape than in training, or one that is
            looked at is not finite.
        """
        env, lead = self.env, belief.steps.shape
        widths = {"obs": env.obs_dim, "action": env.action_dim, "next_obs": env.obs_dim}
        parts = {
            name: self._shaped(f"transition.{name}", value, widths.get(name), lead)
            for name, value in transition._asdict().items()
        }
        unread = {"train_reward"} | ({"next_obs"} - self._reads)
        for name in parts.keys() - unread:
            steps.require_finite(f"transition.{name}", parts[name])
        mapped = steps.over(lead, lambda *one: steps.update(self.setup, self.learned, *one))
        return mapped(belief, Transition(**parts))

    def sample_z(self, belief: Belief, key: Key) -> Array:
        """A hypothesis about the task, ``[D]``; from the prior while nothing was seen. For a batch
        of beliefs ``[...]``, one of each, ``[..., D]``."""
        lead = belief.steps.shape
        mapped = steps.over(lead, lambda *one: steps.sample_z(self.setup, *one))
        return mapped(belief, jax.random.split(key, lead) if lead else key)

    def greedy_z(
        self, belief: Belief, obs: Array, key: Key, steps_left: int | None = None
    ) -> Array:
        """The hypothesis that promises the most for the steps that are left, ``[D]``; see
        `hypotheses.greedy`. It exploits, where `sample_z` still explores.

        Args:
          belief: The belief, or a batch of them, ``[...]``.
          obs: The observation at hand, ``[obs_dim]``; of a batch, ``[..., obs_dim]``.
          key: For the draws that are compared.
          steps_left: A whole episode by default.

        Raises:
          ValueError: if ``obs`` has another shape, or the agent has no hypotheses to compare.
        """
        lead = belief.steps.shape
        obs = self._shaped("obs", obs, self.env.obs_dim, lead)
        if self.setup.inference.greedy is None:
            raise ValueError(f"{self.setup.inference.name} agents have no hypotheses to compare.")
        left = self.env.horizon if steps_left is None else steps_left
        mapped = steps.over(
            lead, lambda b, o, k: steps.greedy_z(self.setup, self.learned, b, o, left, k)
        )
        return mapped(belief, obs, jax.random.split(key, lead) if lead else key)

    def act(self, obs: Array, z: Array, key: Key | None = None) -> Array:
        """An action ``[..., action_dim]``, the policy's mode; one-hot where actions are choices.

        Args:
          obs: ``[..., obs_dim]``.
          z: ``[..., D]``, broadcast against ``obs``. An agent that acts on its belief (another
            algorithm than PEARL) takes what `sample_z` says of the belief before every step.
          key: For a draw from the policy in place of its mode.

        Raises:
          ValueError: if ``obs`` or ``z`` has another width than in training.
        """
        obs, z = jnp.asarray(obs), jnp.asarray(z)
        require_last_axis("obs", obs, self.env.obs_dim)
        require_last_axis("z", z, self.setup.given)
        return steps.act(self.setup, self.learned, obs, z, key)

    def mean_z(self, belief: Belief) -> Array:
        """The posterior mean of z, ``[D]``; of a batch of beliefs ``[...]``, ``[..., D]``."""
        return self._summary(belief)[0]

    def kl(self, belief: Belief) -> Array:
        """KL of the encoder's posterior to the prior in nats, ``[blocks]``; of a batch of
        beliefs ``[...]``, ``[..., blocks]``."""
        return self._summary(belief)[1]

    def save(self, path: str | Path) -> Path:
        """Writes the agent to one file, which `load` opens; returns its path.

        Raises:
          CheckpointError: (a `ValueError`) if it cannot be written.
        """
        return _lazily("saved_agent").save(self, paths.local("path", path))

    def export(self, path: str | Path, platforms: Sequence[str] = ("cpu",)) -> Path:
        """Writes what the agent does to one file for programs that have jax alone: `act` (its
        mode), `prior`, `sample` and `update`, for any number of tasks at once; returns its path.

        Args:
          path: The file; what reads it stands in docs/guides/export.md.
          platforms: Those that it is to run on: some of cpu, cuda, rocm and tpu.

        Raises:
          ValueError: if the platforms are not allowed.
          CheckpointError: if it cannot be written.
          ImportError: if flatbuffers is not installed (``pip install 'structlat-jax[export]'``).
        """
        return _lazily("exported_agent").export(self, paths.local("path", path), platforms)

    def warm_up(self) -> "Agent":
        """Compiles what a loop of one task calls, so that its first action takes no longer than
        any other; returns the agent."""
        belief, (key, key_act, key_greedy) = self.prior(), jax.random.split(make_key(0), 3)
        obs, action = jnp.zeros(self.env.obs_dim), jnp.zeros(self.env.action_dim)
        z = self.sample_z(belief, key)
        after = self.update(belief, Transition(obs, action, 0.0, 0.0, obs, 0.0))
        made = [self.prior(obs), after, self.act(obs, z), self.act(obs, z, key_act)]
        if self.setup.inference.greedy is not None:
            made.append(self.greedy_z(after, obs, key_greedy))
        jax.block_until_ready((made, self._summary(after)))
        return self

    def __repr__(self) -> str:
        count = sum(x.size for x in jax.tree.leaves(self.learned))
        return (
            f"Agent(env={self.env.name!r}, latent={str(self.space)!r}, "
            f"inference={self.setup.inference.name!r}, parameters={count:,})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Agent):
            return NotImplemented
        mine, its = (jax.tree.flatten((x.learned, x.start)) for x in (self, other))
        spec = self.env.spec
        named = spec is not None and self.config == other.config and spec == other.env.spec
        same = (self.setup is other.setup or named) and mine[1] == its[1]
        return same and all(map(np.array_equal, mine[0], its[0]))

    def __hash__(self) -> int:
        return hash((Agent, self.config))

    def __reduce__(self) -> tuple:
        """A spawned worker makes the environment again from what names it, so it must have that."""
        spec = self.env.spec
        if spec is None or make_setup(self.config, self.env) is not self.setup:
            raise pickle.PicklingError(
                "only an agent whose environment has a name (see envs.make), and whose inference "
                "is the configured one, can be pickled; Agent.save writes any agent."
            )
        return _revived, (self.config, spec, jax.device_get((self.learned, self.start)))

    @property
    def _reads(self) -> set[str]:
        s = self.config.structure
        own = s.inference in ("auto", "decoded", "explained") or s.is_on_policy
        return {"next_obs"} if own or s.next_obs_in_context else set()

    def _summary(self, belief: Belief) -> Any:
        return steps.over(belief.steps.shape, lambda one: steps.summarise(self.setup, one))(belief)

    def _shaped(
        self, name: str, value: Any, width: int | None, lead: tuple[int, ...] = ()
    ) -> Array:
        value, shape = jnp.asarray(value, jnp.float32), lead if width is None else (*lead, width)
        if value.shape != shape:
            batch = f" for beliefs {list(lead)}" if lead else ""
            raise ValueError(
                f"{name} must have shape {list(shape)}{batch}, not {list(value.shape)}."
            )
        return value


def _revived(config: Config, spec: Any, arrays: Any) -> Agent:
    if spec.is_code:  # whoever unpickles runs code anyway
        env = registry.make(spec.name, **dict(spec.options))
    else:
        env = registry.make_safely(spec)
    return Agent(make_setup(config, env), *jax.tree.map(jnp.asarray, arrays))


def make_agent(setup: Setup, learned: Learned) -> Agent:
    """An agent; its hypotheses are always the same draws, so that what it infers depends on what
    it saw alone."""
    obs = steps.first_obs(setup)
    seen = jnp.zeros((), jnp.int32)
    return Agent(setup, learned, Belief(steps.init(setup, learned, obs), seen))


def load(
    path: str | Path,
    seed: int = 0,
    env: AnyEnv | str | Path | None = None,
    best: bool = False,
) -> Agent:
    """Opens a finished or interrupted run, or an agent that `Agent.save` has written.

    Args:
      path: A run folder, or a file.
      seed: Which of the run's seeds, counted from 0; a file holds one agent.
      env: The environment, or what names it for `envs.make`. A built-in one is known from the run;
        one of a file or a module is code, and is not imported unless it is named here.
      best: As of the best evaluation on training tasks, mean over seeds, instead of the last; of a
        run folder.

    Raises:
      FileNotFoundError: if the folder is no run or has no checkpoint yet.
      ValueError: if its configuration cannot be read, if it has fewer seeds, if the environment
        cannot be made or is another one, or if jax is set to what these programs cannot be.
    """
    settings.require()
    settings.keep_compiled()  # or loading would compile for seconds each time
    path = paths.local("path", path)
    if os.path.isfile(path):  # which takes any name, however long
        from structlat_jax import saved_agent

        if best:
            raise ValueError(f"best must be False for {path}, a file, which holds one agent.")
        return saved_agent.read(path, env)
    from structlat_jax.store import checkpoint

    config, _ = checkpoint.read_config(path)
    setup = make_setup(config, env)
    learned = checkpoint.load_learned(path, seed, setup, best)
    return make_agent(setup, learned)


def _lazily(name: str) -> Any:
    """A module that needs this one, or that few need."""
    return importlib.import_module(f"structlat_jax.{name}")
