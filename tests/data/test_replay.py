"""Rows carry tags: what comes out says which task, block, episode and step it was written for."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structlat_jax.data import replay
from structlat_jax.types import Transition

LAYOUT = replay.RowLayout(obs_dim=2, action_dim=3)
TASKS, BLOCKS, EPISODES, HORIZON = 3, 4, 5, 6
write = jax.jit(replay.write, static_argnums=1)
sample_batch = jax.jit(replay.sample_batch, static_argnums=1)


def tagged_block(number):
    """Block ``number`` (from 1, since an unwritten row is 0) of every task."""
    task, episode, time = np.meshgrid(
        np.arange(TASKS), np.arange(EPISODES), np.arange(HORIZON), indexing="ij"
    )
    obs = np.stack([task, np.full_like(task, number)], -1)
    action = np.stack([episode, time, 0 * time], -1)
    reward = np.where(time == 2, episode, 0)  # returns grow with the episode; the first has none
    fields = (obs, action, reward, -time - 1.0, obs + 0.25, task * 0.0)
    return Transition(*(jnp.asarray(x, jnp.float32) for x in fields))


@cache
def filled(blocks):
    """A replay after so many writes."""
    rings = replay.empty(TASKS, BLOCKS, EPISODES, HORIZON, LAYOUT)
    for number in range(1, blocks + 1):
        rings = write(rings, LAYOUT, tagged_block(number))
    return rings


def drawn(rings, seed, tasks, size):
    """A batch from uniform numbers of a seed."""
    draws = np.random.default_rng(seed).uniform(size=(len(tasks), size)).astype(np.float32)
    return jax.device_get(sample_batch(rings, LAYOUT, draws, tasks))


def test_pack_then_unpack_is_the_identity():
    shapes = ((2,), (3,), (), (), (2,), ())
    rng = np.random.default_rng(0)
    given = Transition(*(np.float32(rng.normal(size=(4, 7, *shape))) for shape in shapes))
    rows = LAYOUT.pack(given)
    assert rows.shape == (4, 7, LAYOUT.width)
    jax.tree.map(np.testing.assert_array_equal, LAYOUT.unpack(rows), given)


def test_empty_holds_nothing():
    rings = replay.empty(TASKS, BLOCKS, EPISODES, HORIZON, LAYOUT)
    assert rings.rows.shape == (TASKS, BLOCKS, EPISODES, HORIZON, LAYOUT.width)
    assert rings.written == 0


@pytest.mark.parametrize("blocks", [1, 3, 4, 5, 11])
def test_ring_keeps_the_newest_blocks(blocks):
    rings = filled(blocks)
    obs = np.asarray(jax.jit(LAYOUT.unpack)(rings.rows).obs)
    tasks, held = obs[..., 0], obs[..., 1]
    newest = set(range(max(1, blocks - BLOCKS + 1), blocks + 1))
    assert set(np.unique(held)) - {0.0} == newest
    assert rings.written == blocks
    assert np.all(held == held[:, :, :1, :1])  # a slot holds one block
    written = held > 0
    assert np.all((tasks == np.arange(TASKS)[:, None, None, None])[written])


@pytest.mark.parametrize("blocks", [1, 3, 9])
def test_batches_hold_only_what_was_written_for_the_task(blocks):
    tasks = jnp.array([2, 0, 2, 1])
    t = drawn(filled(blocks), 0, tasks, 800)
    assert t.reward.shape == (4, 800)
    np.testing.assert_array_equal(t.obs[..., 0], np.broadcast_to(tasks[:, None], (4, 800)))
    kept = min(blocks, BLOCKS)
    expected = {
        (b, e, h)
        for b in range(blocks - kept + 1, blocks + 1)
        for e in range(EPISODES)
        for h in range(HORIZON)
    }
    tags = np.stack([t.obs[..., 1], t.action[..., 0], t.action[..., 1]], axis=-1)
    assert set(map(tuple, tags.reshape(-1, 3))) == expected
    np.testing.assert_array_equal(t.next_obs, t.obs + 0.25)
    expected_reward = np.where(t.action[..., 1] == 2, t.action[..., 0], 0.0)
    np.testing.assert_array_equal(t.reward, expected_reward)
    np.testing.assert_array_equal(t.train_reward, -t.action[..., 1] - 1.0)


def test_batches_are_uniform_and_differ_by_draw_and_task():
    rings, tasks = filled(4), jnp.array([0, 0])
    t = drawn(rings, 0, tasks, 6000)
    counts = np.bincount(np.int32(t.obs[0, :, 1]), minlength=5)[1:]
    np.testing.assert_allclose(counts / 6000, 0.25, atol=0.03)
    other = drawn(rings, 1, tasks, 6000)
    assert np.any(t.action[0] != t.action[1])
    assert np.any(t.action != other.action)


@pytest.mark.parametrize("blocks", [0, 1, 3, 6])
def test_rewarded_tells_silent_episodes_apart_newest_block_first(blocks):
    """The n-th block has no reward in its first n episodes; more blocks than the ring holds too."""
    rings = replay.empty(TASKS, BLOCKS, EPISODES, HORIZON, LAYOUT)
    for number in range(1, blocks + 1):
        block = tagged_block(number)
        silent = (np.arange(EPISODES) < number)[:, None]
        rings = write(rings, LAYOUT, block._replace(reward=jnp.where(silent, 0.0, block.reward)))
    found = np.asarray(replay.rewarded(rings, LAYOUT, window=3))
    assert found.shape == (TASKS, 3, EPISODES)
    for age in range(3):
        number = blocks - age
        expected = np.arange(EPISODES) >= number if number > 0 else np.full(EPISODES, np.nan)
        np.testing.assert_array_equal(found[:, age], np.tile(expected, (TASKS, 1)))
