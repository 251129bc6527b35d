"""Experience on the device: for each task a ring of blocks, one block per meta-step.

A block holds the episodes that one meta-step collected from a task, in a fixed order (prior,
exploring, posterior), so that recency and kind of an episode are index arithmetic.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from structlat_jax.types import Array, Key, Transition


class Replay(NamedTuple):
    """The rings of all tasks.

    Attributes:
      rows: Packed transitions, ``[T, blocks, E, H, row]``.
      written: Blocks written so far, an int32 scalar; the same for every task.
    """

    rows: Array
    written: Array


class RowLayout(NamedTuple):
    """Where a transition's parts lie in its packed row: one row is one gather."""

    obs_dim: int
    action_dim: int

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return 2 * self.obs_dim + self.action_dim + 3

    @property
    def reward_column(self) -> int:
        """Where a row holds the task's own reward."""
        return 2 * self.obs_dim + self.action_dim

    def pack(self, t: Transition) -> Array:
        """Transitions ``[...]`` to rows ``[..., width]``."""
        scalars = jnp.stack([t.reward, t.train_reward, t.done], axis=-1)
        return jnp.concatenate([t.obs, t.action, t.next_obs, scalars], axis=-1)

    def unpack(self, rows: Array) -> Transition:
        """Rows ``[..., width]`` to transitions ``[...]``."""
        o, a = self.obs_dim, self.action_dim
        obs, action, next_obs, scalars = jnp.split(rows, [o, o + a, 2 * o + a], axis=-1)
        reward, train_reward, done = (scalars[..., i] for i in range(3))
        return Transition(obs, action, reward, train_reward, next_obs, done)


def empty(tasks: int, blocks: int, episodes: int, horizon: int, layout: RowLayout) -> Replay:
    """A replay that holds nothing."""
    shape = (tasks, blocks, episodes, horizon, layout.width)
    return Replay(jnp.zeros(shape), jnp.zeros((), jnp.int32))


def write(replay: Replay, layout: RowLayout, block: Transition) -> Replay:
    """Writes one block per task, ``[T, E, H]``, over the oldest."""
    at = replay.written % replay.rows.shape[1]
    rows = replay.rows.at[:, at].set(layout.pack(block))
    return Replay(rows, replay.written + 1)


def sample_batch(
    replay: Replay, layout: RowLayout, key: Key, tasks: Array, size: int
) -> Transition:
    """Uniform transitions of everything kept.

    Args:
      replay: With at least one block written.
      layout: Of its rows.
      key: One key for the batch.
      tasks: Task indices, ``[M]``.
      size: Transitions per task, B.

    Returns:
      Transitions ``[M, B]``.
    """
    _, blocks, episodes, horizon, _ = replay.rows.shape
    filled = jnp.minimum(replay.written, blocks) * episodes * horizon
    flat = replay.rows.reshape(replay.rows.shape[0], blocks * episodes * horizon, -1)
    index = jax.random.randint(key, (tasks.shape[0], size), 0, filled)
    return layout.unpack(flat[tasks[:, None], index])


def sample_context(
    replay: Replay,
    layout: RowLayout,
    key: Key,
    tasks: Array,
    counts: tuple[int, int],
    window: int,
    exploring: int,
    explore_share: Array,
    best_of: int = 1,
) -> tuple[Transition, Array, Array]:
    """Recent whole episodes, a random number of them per task.

    Contexts are like those of evaluation: whole episodes, each drawn from the last ``window``
    blocks. A share of the contexts leaves the posterior's episodes out, as the first posterior of
    an evaluation does.

    Args:
      replay: With at least one block written.
      layout: Of its rows.
      key: One key for the batch.
      tasks: Task indices, ``[M]``.
      counts: Fewest and most episodes per context, both included.
      window: Blocks to look back.
      exploring: Episodes at the start of a block that did not use a posterior.
      explore_share: Probability that a context has only those (but for its first episode, if
        ``best_of`` is above 1).
      best_of: The first episode is the one with the highest return of this many draws, so that a
        context is seldom silent once the task's reward has been found.

    Returns:
      Transitions ``[M, N]``, mask ``[M, N]`` with N = most episodes * H, and the mask of the same
      context without its first episode.
    """
    _, blocks, episodes, horizon, _ = replay.rows.shape
    key_age, key_kind, key_episode, key_count = jax.random.split(key, 4)
    fewest, most = counts
    shape = (tasks.shape[0], most + best_of - 1)
    reach = jnp.minimum(jnp.minimum(replay.written, blocks), window)
    age = jax.random.randint(key_age, shape, 0, reach)
    block = (replay.written - 1 - age) % blocks
    only_exploring = jax.random.uniform(key_kind, (shape[0], 1)) < explore_share
    searched = (jnp.arange(shape[1]) < best_of) & (best_of > 1)
    choices = jnp.where(only_exploring & ~searched, exploring, episodes)
    episode = jax.random.randint(key_episode, shape, 0, choices)
    if best_of > 1:
        where = (tasks[:, None], block[:, :best_of], episode[:, :best_of])
        returns = jnp.sum(replay.rows[*where, :, layout.reward_column], axis=-1)
        best = jnp.argmax(returns, axis=1, keepdims=True)
        block, episode = (
            jnp.concatenate([jnp.take_along_axis(x, best, axis=1), x[:, best_of:]], axis=1)
            for x in (block, episode)
        )
    count = jax.random.randint(key_count, (shape[0], 1), fewest, most + 1)
    rows = replay.rows[tasks[:, None], block, episode]  # [M, most, H, row]
    taken = jnp.arange(most) < count
    masks = (
        jnp.repeat(m.astype(rows.dtype), horizon, axis=1)
        for m in (taken, taken & (jnp.arange(most) > 0))
    )
    return layout.unpack(rows.reshape(tasks.shape[0], most * horizon, -1)), *masks
