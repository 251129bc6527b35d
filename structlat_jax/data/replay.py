"""Experience on the device: for each task a ring of blocks, one block per meta-step.

A block holds the episodes that one meta-step collected from a task, in a fixed order (prior,
exploring, posterior), so that recency and kind of an episode are index arithmetic.
"""

from typing import NamedTuple

import jax.numpy as jnp

from structlat_jax.types import Array, Transition


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


def sample_batch(replay: Replay, layout: RowLayout, draws: Array, tasks: Array) -> Transition:
    """Uniform transitions of everything kept.

    Args:
      replay: With at least one block written.
      layout: Of its rows.
      draws: Uniform in [0, 1), ``[M, B]``, one per transition.
      tasks: Task indices, ``[M]``.

    Returns:
      Transitions ``[M, B]``.
    """
    _, blocks, episodes, horizon, _ = replay.rows.shape
    filled = jnp.minimum(replay.written, blocks) * episodes * horizon
    flat = replay.rows.reshape(replay.rows.shape[0], blocks * episodes * horizon, -1)
    return layout.unpack(flat[tasks[:, None], pick(draws, filled)])


def pick(uniform: Array, count: Array | int) -> Array:
    """Uniform numbers in [0, 1) to indices in [0, count), count well below 2^23."""
    scaled = uniform * jnp.asarray(count, jnp.float32)
    return jnp.minimum(jnp.floor(scaled).astype(jnp.int32), count - 1)
