"""What every record of a run is made from: a configuration and everything static in it."""

import dataclasses

from structlat_jax.config import Config, Structure
from structlat_jax.data.replay import RowLayout
from structlat_jax.envs import AnyEnv
from structlat_jax.latents import LatentSpace
from structlat_jax.nets.networks import DiscreteNetworks, Networks, make_networks


@dataclasses.dataclass(frozen=True)
class Parts:
    """A configuration with everything static that follows from it.

    Attributes:
      config: The configuration.
      env: The environment.
      space: The latent space.
      networks: The agent's networks.
      layout: Of a packed transition.
    """

    config: Config
    env: AnyEnv
    space: LatentSpace
    networks: Networks | DiscreteNetworks
    layout: RowLayout

    @property
    def structure(self) -> Structure:
        """The static half of the configuration."""
        return self.config.structure

    @property
    def blocks(self) -> int:
        """Blocks that the replay keeps per task."""
        steps_per_block = self.episodes_per_step * self.env.horizon
        return max(1, self.structure.replay_steps // steps_per_block)

    @property
    def episodes_per_step(self) -> int:
        """Episodes that a meta-step collects from each training task."""
        s = self.structure
        return s.prior_episodes + s.explore_episodes + s.posterior_episodes

    @property
    def env_steps_per_step(self) -> int:
        """Environment steps that a meta-step takes at most, over all training tasks."""
        s = self.structure
        if s.is_on_policy:
            return s.train_tasks * s.task_trials * s.trial_episodes * self.env.horizon
        return self.structure.train_tasks * self.episodes_per_step * self.env.horizon


def make_parts(config: Config, env: AnyEnv) -> Parts:
    """The parts of a configuration on an environment."""
    space = config.latent_space()
    sizes = (env.obs_dim, env.action_dim)
    networks = make_networks(config.structure, *sizes, space.dim, space.stat_dim, env.discrete)
    return Parts(config, env, space, networks, RowLayout(*sizes, config.structure.replay_precision))
