"""The replay in PyTorch: per-task rings of episodes, drawn from as `structlat_jax.data` does."""

import torch
from torch import nn

from benchmarks.torch_pearl.agent import Batch
from structlat_jax.data.batches import context_sampler
from structlat_jax.train.setup import Setup


class Replay:
    """Episodes of all tasks on the device.

    Attributes:
      rows: Packed transitions, ``[T, blocks, E, H, row]``.
      length: Steps of each episode, ``[T, blocks, E]``; 0 where none was written.
      success: 1.0 where it succeeded, else 0.0, ``[T, blocks, E]``; NaN where nobody knows.
      written: Blocks written so far.
    """

    def __init__(
        self,
        setup: Setup,
        rows: torch.Tensor,
        length: torch.Tensor,
        success: torch.Tensor,
        written: int,
    ):
        self.setup, self.rows, self.written = setup, rows, written
        self.length, self.success = length, success
        self.ends = length.flatten(1).cumsum(1)
        self.gapless = bool(((length == 0) | (length == rows.shape[3])).all())
        layout = setup.layout
        o, a = layout.obs_dim, layout.action_dim
        self.widths = [o, a, o, 1, 1, 1]
        self.reward_column = layout.reward_column

    def draw(self, latent_noise: torch.Tensor) -> Batch:
        """The tasks, transitions, contexts and noise of one update."""
        s, h = self.setup.structure, self.setup.config.hyper
        tasks = self._tasks(s, h)
        flat = self.rows.flatten(1, 3)
        places = self._places(tasks, s.batch_size)
        obs, action, next_obs, reward, train_reward, done = self._unpack(
            flat[tasks[:, None], places]
        )
        features, length, owners, failed = self._contexts(s, h, tasks)
        return Batch(
            obs,
            action,
            reward[..., 0],
            train_reward[..., 0],
            next_obs,
            done[..., 0],
            features,
            length,
            owners,
            failed,
            latent_noise,
            torch.randn(s.meta_batch, s.batch_size, self.widths[1]),
            tasks,
        )

    def _places(self, tasks: torch.Tensor, count: int) -> torch.Tensor:
        """Where uniform transitions of each task lie, ``[M, count]``."""
        ends, horizon = self.ends[tasks], self.rows.shape[3]
        filled = ends[:, -1:]
        among = (torch.rand(len(tasks), count) * filled).long().minimum(filled - 1)
        if self.gapless:
            return among
        episode = torch.searchsorted(ends, among, right=True)
        before = ends - self.length.flatten(1)[tasks]
        return episode * horizon + among - before.gather(1, episode)

    def _tasks(self, s, h) -> torch.Tensor:
        """Tasks without replacement; those whose prior episodes seldom succeed more often."""
        if not h.task_focus or self.setup.env.success is None:
            return torch.randperm(s.train_tasks)[: s.meta_batch]
        reach = min(self.written, self.rows.shape[1], s.context_window)
        recent = torch.arange(self.written - reach, self.written) % self.rows.shape[1]
        hits = self.success[:, recent, : s.prior_episodes].mean((1, 2))
        weights = (hits + 0.05) ** -h.task_focus
        return torch.multinomial(weights, s.meta_batch)

    def _contexts(self, s, h, tasks: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Whole recent episodes of all contexts, one after the other: features
        ``[E, H, features]``, lengths ``[E]``, owners ``[M, E]`` and failures ``[E]``."""
        _, blocks, episodes, _, _ = self.rows.shape
        sampler = context_sampler(self.setup, len(tasks))
        reach = min(self.written, blocks, s.context_window)

        def block_of(shape):
            return (self.written - 1 - torch.randint(reach, shape)) % blocks

        spread = sampler.most + 1 - sampler.fewest
        position = torch.randperm(len(tasks)) + torch.rand(1)
        counts = sampler.fewest + (position * spread / len(tasks)).long().clamp(max=spread - 1)
        context = torch.repeat_interleave(counts)[: sampler.episodes]
        block = block_of(context.shape)
        only = torch.rand(len(tasks)) < h.explore_context
        choices = torch.where(only, float(sampler.exploring), float(episodes))[context]
        episode = (torch.rand(context.shape) * choices).long()
        if sampler.best_of > 1:
            shape = (len(tasks), sampler.best_of)
            tries = (tasks[:, None], block_of(shape), torch.randint(episodes, shape))
            best = self.rows[tries][..., self.reward_column].sum(-1).argmax(1, keepdim=True)
            first = counts.cumsum(0) - counts
            for drawn, tried in ((block, tries[1]), (episode, tries[2])):
                drawn[first] = tried.gather(1, best)[:, 0]
        where = (tasks[context], block, episode)
        room = (0, sampler.episodes - len(context))
        rows = nn.functional.pad(self.rows[where], (0, 0, 0, 0, *room))  # [E, H, row]
        length = nn.functional.pad(self.length[where], room)
        failed = nn.functional.pad((self.success[where] == 0).float(), room, value=1.0)
        owners = torch.zeros(len(tasks), sampler.episodes)
        owners[context, torch.arange(len(context))] = 1.0
        obs, action, next_obs, reward, _, _ = self._unpack(rows)
        parts = [obs, action, h.context_reward_scale * reward]
        features = torch.cat(parts + ([next_obs] if s.next_obs_in_context else []), -1)
        return features, length, owners, failed

    def _unpack(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return rows.split(self.widths, dim=-1)
