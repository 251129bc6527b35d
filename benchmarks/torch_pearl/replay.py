"""The replay in PyTorch: per-task rings of episodes, drawn from as `structlat_jax.replay` does."""

import torch

from benchmarks.torch_pearl.agent import Batch
from structlat_jax.setup import Setup


class Replay:
    """Episodes of all tasks on the device.

    Attributes:
      rows: Packed transitions, ``[T, blocks, E, H, row]``.
      written: Blocks written so far.
    """

    def __init__(self, setup: Setup, rows: torch.Tensor, written: int):
        self.setup, self.rows, self.written = setup, rows, written
        layout = setup.layout
        o, a = layout.obs_dim, layout.action_dim
        self.widths = [o, a, o, 1, 1, 1]
        self.reward_column = layout.reward_column

    def draw(self, latent_noise: torch.Tensor) -> Batch:
        """The tasks, transitions, contexts and noise of one update."""
        s, h = self.setup.config.structure, self.setup.config.hyper
        tasks = self._tasks(s, h)
        flat = self.rows.flatten(1, 3)
        _, blocks, episodes, horizon, _ = self.rows.shape
        filled = min(self.written, blocks) * episodes * horizon
        index = torch.randint(filled, (s.meta_batch, s.batch_size))
        obs, action, next_obs, reward, train_reward, done = self._unpack(
            flat[tasks[:, None], index]
        )
        features, mask, silent = self._context(s, h, tasks)
        return Batch(
            obs,
            action,
            reward[..., 0],
            train_reward[..., 0],
            next_obs,
            done[..., 0],
            features,
            mask,
            silent,
            latent_noise,
            torch.randn(s.meta_batch, s.batch_size, self.widths[1]),
        )

    def _tasks(self, s, h) -> torch.Tensor:
        """Tasks without replacement; those whose prior episodes seldom meet a reward more often."""
        if not h.task_focus:
            return torch.randperm(s.train_tasks)[: s.meta_batch]
        reach = min(self.written, self.rows.shape[1], s.context_window)
        recent = torch.arange(self.written - reach, self.written) % self.rows.shape[1]
        prior = self.rows[:, recent, : s.prior_episodes, :, self.reward_column]
        hits = (prior != 0).any(-1).float().mean((1, 2))
        weights = (hits + 0.05) ** -h.task_focus
        return torch.multinomial(weights, s.meta_batch)

    def _context(self, s, h, tasks: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Whole recent episodes: features ``[M, N, features]``, mask and silent mask ``[M, N]``."""
        _, blocks, episodes, horizon, _ = self.rows.shape
        most, best_of = s.context_episodes, s.context_best_of
        shape = (len(tasks), most + best_of - 1)
        age = torch.randint(min(self.written, blocks, s.context_window), shape)
        block = (self.written - 1 - age) % blocks
        choices = torch.full(shape, float(episodes))
        only = torch.rand(len(tasks), 1) < h.explore_context
        searched = (torch.arange(shape[1]) < best_of) & (best_of > 1)
        choices[only & ~searched] = s.prior_episodes + s.explore_episodes
        episode = (torch.rand(shape) * choices).long()
        if best_of > 1:
            tried = self.rows[tasks[:, None], block[:, :best_of], episode[:, :best_of]]
            best = tried[..., self.reward_column].sum(-1).argmax(1, keepdim=True)
            block, episode = (
                torch.cat([x.gather(1, best), x[:, best_of:]], 1) for x in (block, episode)
            )
        rows = self.rows[tasks[:, None], block, episode]  # [M, most, H, row]
        counts = torch.randint(s.context_episodes_min, most + 1, (len(tasks), 1))
        taken = torch.arange(most) < counts
        silent = taken & (rows[..., self.reward_column] == 0).all(-1)
        masks = (m.float().repeat_interleave(horizon, 1) for m in (taken, silent))
        obs, action, next_obs, reward, _, _ = self._unpack(rows.flatten(1, 2))
        parts = [obs, action, h.context_reward_scale * reward]
        return torch.cat(parts + ([next_obs] if s.next_obs_in_context else []), -1), *masks

    def _unpack(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return rows.split(self.widths, dim=-1)
