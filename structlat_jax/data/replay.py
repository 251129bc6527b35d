"""Experience on the device: for each task a ring of blocks, one block per meta-step.

A block holds the episodes that one meta-step collected from a task, in a fixed order (prior,
exploring, posterior), so that recency and kind of an episode are index arithmetic.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from structlat_jax.shapes import Episodes, Transition


class Replay(NamedTuple):
    """The rings of all tasks.

    Attributes:
      rows: Packed transitions, ``[T, blocks, E, H, row]``; zero behind the end of an episode.
      length: Steps of each episode, int32 ``[T, blocks, E]``; 0 where none was written yet.
      success: As in `Episodes`, ``[T, blocks, E]``.
      written: Blocks written so far, an int32 scalar; the same for every task.
    """

    rows: Float[Array, "T blocks E H row"]
    length: Int[Array, "T blocks E"]
    success: Float[Array, "T blocks E"]
    written: Int[Array, ""]


class RowLayout(NamedTuple):
    """Where a transition's parts lie in its packed row, and how its numbers are kept: one row is
    one gather."""

    obs_dim: int
    action_dim: int
    dtype: str = "float32"

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return 2 * self.obs_dim + self.action_dim + 3

    @property
    def reward_column(self) -> int:
        """Where a row holds the task's own reward."""
        return 2 * self.obs_dim + self.action_dim

    def pack(self, t: Transition) -> Float[Array, "... {self.width}"]:
        """Transitions ``[...]`` to rows ``[..., width]``."""
        scalars = jnp.stack([t.reward, t.train_reward, t.done], axis=-1)
        rows = jnp.concatenate([t.obs, t.action, t.next_obs, scalars], axis=-1)
        if self.dtype == "float32":
            return rows
        most = float(jnp.finfo(self.dtype).max)  # a number beyond it would become infinite
        return jnp.clip(rows, -most, most).astype(self.dtype)

    def unpack(self, rows: Float[ArrayLike, "... {self.width}"]) -> Transition:
        """Rows ``[..., width]`` to transitions ``[...]``."""
        o, a = self.obs_dim, self.action_dim
        rows = rows.astype(jnp.float32)
        obs, action, next_obs, scalars = jnp.split(rows, [o, o + a, 2 * o + a], axis=-1)
        reward, train_reward, done = (scalars[..., i] for i in range(3))
        return Transition(obs, action, reward, train_reward, next_obs, done)


def empty(tasks: int, blocks: int, episodes: int, horizon: int, layout: RowLayout) -> Replay:
    """A replay that holds nothing."""
    shape = (tasks, blocks, episodes)
    return Replay(
        rows=jnp.zeros((*shape, horizon, layout.width), layout.dtype),
        length=jnp.zeros(shape, jnp.int32),
        success=jnp.zeros(shape),
        written=jnp.zeros((), jnp.int32),
    )


def write(replay: Replay, layout: RowLayout, block: Episodes) -> Replay:
    """Writes one block per task, ``[T, E]`` episodes, over the oldest."""
    at = replay.written % replay.rows.shape[1]
    return Replay(
        rows=replay.rows.at[:, at].set(layout.pack(block.transitions)),
        length=replay.length.at[:, at].set(block.length),
        success=replay.success.at[:, at].set(block.success),
        written=replay.written + 1,
    )


def success_shares(replay: Replay, window: int, episodes: int) -> Float[Array, " T"]:
    """Share of the first ``episodes`` of each of the last ``window`` blocks that succeeded, per
    task, ``[T]``, of an environment that says whether they did."""
    age = jnp.arange(min(window, replay.rows.shape[1]))
    block = (replay.written - 1 - age) % replay.rows.shape[1]
    found = replay.success[:, block, :episodes]
    return jnp.mean(found, axis=(1, 2), where=(age < replay.written)[:, None])


class Index(NamedTuple):
    """Which of a replay's slots hold transitions; made once, after a write.

    Attributes:
      ends: How many transitions a task's episodes hold up to each and including it, in the order in
        which they lie, ``[T, blocks * E]``.
      gapless: Whether no episode ended before the horizon, a scalar.
    """

    ends: Int[Array, "T blocks*E"]
    gapless: Bool[Array, ""]


def index(replay: Replay) -> Index:
    """The index of what is kept."""
    horizon, lengths = replay.rows.shape[3], replay.length
    ends = jnp.cumsum(lengths.reshape(lengths.shape[0], -1), axis=1)
    return Index(ends, jnp.all((lengths == 0) | (lengths == horizon)))


def choose(
    index: Index, horizon: int, draws: Float[ArrayLike, "M B"], tasks: Int[ArrayLike, " M"]
) -> Int[Array, "M B"]:
    """Places of uniform transitions of everything kept; slots behind an episode's end hold none.

    Args:
      index: Of a replay with at least one block written.
      horizon: H; static.
      draws: Uniform in [0, 1), ``[M, B]``, one per transition.
      tasks: Task indices, ``[M]``.

    Returns:
      Places in a task's rows, whose blocks, episodes and steps count as one axis, ``[M, B]``.
    """
    ends = index.ends[tasks]
    among = pick(draws, ends[:, -1:])

    def search():
        episode = jax.vmap(lambda e, a: jnp.searchsorted(e, a, side="right"))(ends, among)
        before = jnp.take_along_axis(ends, jnp.maximum(episode - 1, 0), axis=1)
        return episode * horizon + among - jnp.where(episode > 0, before, 0)

    # To look up each of them would cost some percent of an update, and most environments' episodes
    # never end early.
    return jax.lax.cond(index.gapless, lambda: among, search)


def gather(
    replay: Replay, layout: RowLayout, places: Int[ArrayLike, "M B"], tasks: Int[ArrayLike, " M"]
) -> Transition:
    """The transitions ``[M, B]`` at places from `choose`."""
    tasks_, blocks, episodes, horizon, _ = replay.rows.shape
    flat = replay.rows.reshape(tasks_, blocks * episodes * horizon, -1)
    return layout.unpack(flat[tasks[:, None], places])


def pick(uniform: Float[ArrayLike, "*batch"], count: Int[ArrayLike, "..."]) -> Int[Array, "*batch"]:
    """Uniform numbers in [0, 1) to indices in [0, count), count well below 2^23."""
    scaled = uniform * jnp.asarray(count, jnp.float32)
    return jnp.minimum(jnp.floor(scaled).astype(jnp.int32), count - 1)
