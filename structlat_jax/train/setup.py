"""The static half of a run: what a compiled program closes over."""

import dataclasses

from structlat_jax.config import Config
from structlat_jax.data.replay import RowLayout
from structlat_jax.envs import Env, point_robot
from structlat_jax.latents import LatentSpace
from structlat_jax.nets.networks import Networks, make_networks


@dataclasses.dataclass(frozen=True)
class Setup:
    """A configuration with everything static that follows from it.

    Attributes:
      config: The configuration.
      env: The environment.
      space: The latent space.
      networks: The networks.
      layout: Of a packed transition.
    """

    config: Config
    env: Env
    space: LatentSpace
    networks: Networks
    layout: RowLayout

    @property
    def blocks(self) -> int:
        """Blocks that the replay keeps per task."""
        s = self.config.structure
        steps_per_block = self.episodes_per_step * self.env.horizon
        return max(1, s.context_window, s.replay_steps // steps_per_block)

    @property
    def episodes_per_step(self) -> int:
        """Episodes that a meta-step collects from each training task."""
        s = self.config.structure
        return s.prior_episodes + s.explore_episodes + s.posterior_episodes

    @property
    def env_steps_per_step(self) -> int:
        """Environment steps that a meta-step takes, over all training tasks."""
        return self.config.structure.train_tasks * self.episodes_per_step * self.env.horizon


def make_setup(config: Config, env: Env | None = None) -> Setup:
    """The static half of a run; the point robot of the configuration unless ``env`` is given."""
    s = config.structure
    if env is None:
        env = point_robot.make(anchors=(s.anchor_start, s.anchor_end))
    space = config.latent_space()
    networks = make_networks(s, env.obs_dim, env.action_dim, space.dim, space.stat_dim)
    return Setup(config, env, space, networks, RowLayout(env.obs_dim, env.action_dim))
