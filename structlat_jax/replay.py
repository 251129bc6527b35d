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


def rewarded(replay: Replay, layout: RowLayout, window: int) -> Array:
    """Which episodes of the last ``window`` blocks met any reward, ``[T, window, E]``: 1.0, 0.0, or
    NaN where no block was written yet."""
    age = jnp.arange(window)
    block = (replay.written - 1 - age) % replay.rows.shape[1]
    met = jnp.any(replay.rows[..., layout.reward_column] != 0, axis=-1)[:, block]
    return jnp.where((age < replay.written)[:, None], met, jnp.nan)


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
    index = _pick(jax.random.uniform(key, (tasks.shape[0], size)), filled)
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
      Transitions ``[M, N]``, mask ``[M, N]`` with N = most episodes * H, and the mask of those
      among them whose whole episode went without reward.
    """
    _, blocks, episodes, horizon, _ = replay.rows.shape
    fewest, most = counts
    shape = (tasks.shape[0], most + best_of - 1)
    reach = jnp.minimum(jnp.minimum(replay.written, blocks), window)
    # One draw, cut into parts: every call of the generator costs compile time and a kernel.
    draws = jax.random.uniform(key, (shape[0], 2 * shape[1] + 2))
    for_age, for_episode, for_kind, for_count = jnp.split(
        draws, [shape[1], 2 * shape[1], 2 * shape[1] + 1], axis=1
    )
    age = _pick(for_age, reach)
    block = (replay.written - 1 - age) % blocks
    only_exploring = for_kind < explore_share
    searched = (jnp.arange(shape[1]) < best_of) & (best_of > 1)
    choices = jnp.where(only_exploring & ~searched, exploring, episodes)
    episode = _pick(for_episode, choices)
    if best_of > 1:
        where = (tasks[:, None], block[:, :best_of], episode[:, :best_of])
        returns = jnp.sum(replay.rows[*where, :, layout.reward_column], axis=-1)
        best = jnp.argmax(returns, axis=1, keepdims=True)
        block, episode = (
            jnp.concatenate([jnp.take_along_axis(x, best, axis=1), x[:, best_of:]], axis=1)
            for x in (block, episode)
        )
    count = fewest + _pick(for_count, most + 1 - fewest)
    rows = replay.rows[tasks[:, None], block, episode]  # [M, most, H, row]
    taken = jnp.arange(most) < count
    silent = jnp.all(rows[..., layout.reward_column] == 0, axis=-1)
    masks = (jnp.repeat(m.astype(rows.dtype), horizon, axis=1) for m in (taken, taken & silent))
    return layout.unpack(rows.reshape(tasks.shape[0], most * horizon, -1)), *masks


def _pick(uniform: Array, count: Array | int) -> Array:
    """Uniform numbers in [0, 1) to indices in [0, count), count well below 2^23."""
    scaled = uniform * jnp.asarray(count, jnp.float32)
    return jnp.minimum(jnp.floor(scaled).astype(jnp.int32), count - 1)
