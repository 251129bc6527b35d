"""Contexts drawn from the replay: recent whole episodes, like those that an evaluation has seen.

The contexts of an update lie one after the other, episode by episode, with no padding in between: a
context of one episode takes up an eighth of one of eight. Which episode counts for which context is
a matrix of zeros and ones, so that sums over a context are a product with it.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, ScalarLike

from structlat_jax.data.replay import Replay, RowLayout, pick
from structlat_jax.shapes import Transition

_GRAIN = 1024


class Contexts(NamedTuple):
    """Contexts of M tasks, E episodes together.

    Attributes:
      transitions: ``[E, H]``.
      length: Steps of each episode, ``[E]``.
      owners: 1 where an episode belongs to a context, ``[M, E]``. Episodes at the end that belong
        to none fill the shape up.
      failed: 1 for episodes without success, ``[E]``; 0 where nobody knows.
    """

    transitions: Transition
    length: Int[Array, " E"]
    owners: Float[Array, "M E"]
    failed: Float[Array, " E"]


@dataclasses.dataclass(frozen=True)
class ContextSampler:
    """How contexts are drawn; static.

    Attributes:
      contexts: How many at once, M.
      fewest, most: Episodes of a context, both included.
      window: Blocks to look back.
      exploring: Episodes at the start of a block that did not use a posterior.
      best_of: The first episode of a context is the one with the highest return of this many draws,
        so that a context seldom says nothing once a task's reward has been found.
    """

    contexts: int
    fewest: int
    most: int
    window: int
    exploring: int
    best_of: int = 1

    @property
    def episodes(self) -> int:
        """Room for episodes, E: the most that the counts of M contexts can add up to."""
        spread = self.most + 1 - self.fewest
        steps = range(1, self.contexts + 1)
        return sum(self.fewest - 1 - (-spread * i // self.contexts) for i in steps)

    @property
    def draws(self) -> int:
        """Uniform numbers that `sample` consumes."""
        tried = 2 * self.best_of if self.best_of > 1 else 0
        return 2 * self.episodes + self.contexts * (tried + 2) + 1

    def sample(
        self,
        replay: Replay,
        layout: RowLayout,
        draws: Float[ArrayLike, " {self.draws}"],
        tasks: Int[ArrayLike, " {self.contexts}"],
        explore_share: ScalarLike,
    ) -> Contexts:
        """Draws one context per task index.

        Args:
          replay: With at least one block written.
          layout: Of its rows.
          draws: Uniform in [0, 1), ``[self.draws]``.
          tasks: Task indices, ``[M]``.
          explore_share: Probability that a context has no posterior episodes (but for its first, if
            `best_of` is above 1), as the first posterior of an evaluation has none.
        """
        blocks, per_block = replay.rows.shape[1:3]
        sizes = [self.contexts] * 2 + [1] + [self.episodes] * 2
        *parts, for_tries = jnp.split(draws, [sum(sizes[: i + 1]) for i in range(len(sizes))])
        for_count, for_kind, for_shift, for_age, for_episode = parts
        reach = jnp.minimum(jnp.minimum(replay.written, blocks), self.window)

        def block_of(uniform):
            return (replay.written - 1 - pick(uniform, reach)) % blocks

        counts = self._counts(for_count, for_shift)
        ends = jnp.cumsum(counts)
        slots = jnp.arange(self.episodes)
        owners = (slots >= (ends - counts)[:, None]) & (slots < ends[:, None])
        context = jnp.minimum(jnp.sum(slots >= ends[:, None], axis=0), self.contexts - 1)
        explores = (for_kind < explore_share)[context]
        block = block_of(for_age)
        episode = pick(for_episode, jnp.where(explores, self.exploring, per_block))
        if self.best_of > 1:
            tries = for_tries.reshape(2, self.contexts, self.best_of)
            tried = (tasks[:, None], block_of(tries[0]), pick(tries[1], per_block))
            rewards = replay.rows[*tried, :, layout.reward_column].astype(jnp.float32)
            returns = jnp.sum(rewards, axis=-1)
            best = jnp.argmax(returns, axis=1, keepdims=True)
            first = slots == (ends - counts)[context]
            block, episode = (
                jnp.where(first, jnp.take_along_axis(found, best, axis=1)[context, 0], drawn)
                for found, drawn in zip(tried[1:], (block, episode), strict=True)
            )
        where = (tasks[context], block, episode)
        rows = replay.rows[where]  # [E, H, row]
        as_numbers = (x.astype(jnp.float32) for x in (owners, replay.success[where] == 0))
        return Contexts(layout.unpack(rows), replay.length[where], *as_numbers)

    def _counts(
        self, for_rank: Float[Array, " M"], for_shift: Float[Array, "1"]
    ) -> Int[Array, " M"]:
        """Episodes per context, ``[M]``: each uniform by itself, together a randomly shifted
        systematic sample (Cochran 1977, chapter 8), so that their sum hardly varies."""
        rank = jnp.sum(for_rank < for_rank[:, None], axis=1)
        position = rank * _GRAIN + pick(for_shift, _GRAIN)
        spread = self.most + 1 - self.fewest
        return self.fewest + position * spread // (self.contexts * _GRAIN)
