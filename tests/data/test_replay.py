"""Rows carry tags: what comes out says which task, block, episode and step it was written for."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from structlat_jax.data import replay
from structlat_jax.shapes import Episodes, Transition

LAYOUT = replay.RowLayout(obs_dim=2, action_dim=3)
TASKS, BLOCKS, EPISODES, HORIZON = 3, 4, 5, 6
write = jax.jit(replay.write, static_argnums=1)
shares = jax.jit(replay.success_shares, static_argnums=(1, 2))


def lengths(number, early):
    """Steps of the episodes of a block ``[T, E]``: all of them, or other ones for each."""
    task, episode = np.meshgrid(np.arange(TASKS), np.arange(EPISODES), indexing="ij")
    short = 1 + (task + 2 * episode + number) % HORIZON
    return np.int32(short if early else np.full_like(short, HORIZON))


def tagged_block(number, early=False):
    """Block ``number`` (from 1, since an unwritten row is 0) of every task. All that stands behind
    the end of an episode is 0."""
    task, episode, time = np.meshgrid(
        np.arange(TASKS), np.arange(EPISODES), np.arange(HORIZON), indexing="ij"
    )
    obs = np.stack([task, np.full_like(task, number)], -1)
    action = np.stack([episode, time, 0 * time], -1)
    reward = np.where(time == 2, episode, 0)  # returns grow with the episode; the first has none
    length = lengths(number, early)
    done = (time == length[..., None] - 1) & early
    fields = (obs, action, reward, -time - 1.0, obs + 0.25, done)
    t = Transition(*(np.asarray(x, np.float32) for x in fields))
    lived = time < length[..., None]
    t = jax.tree.map(lambda x: x * lived.reshape(*lived.shape, *[1] * (x.ndim - 3)), t)
    return Episodes(t, length, np.float32(np.any(t.reward != 0, axis=-1)))


@cache
def filled(blocks, early=False):
    """A replay after so many writes."""
    rings = replay.empty(TASKS, BLOCKS, EPISODES, HORIZON, LAYOUT)
    for number in range(1, blocks + 1):
        rings = write(rings, LAYOUT, tagged_block(number, early))
    return rings


@jax.jit
def sample(rings, draws, tasks):
    places = replay.choose(replay.index(rings), HORIZON, draws, tasks)
    return replay.gather(rings, LAYOUT, places, tasks)


def drawn(rings, seed, tasks, size):
    """A batch from uniform numbers of a seed."""
    draws = np.random.default_rng(seed).uniform(size=(len(tasks), size)).astype(np.float32)
    return jax.device_get(sample(rings, draws, tasks))


def tags(t):
    """Block, episode and step of transitions, ``[..., 3]``."""
    return np.stack([t.obs[..., 1], t.action[..., 0], t.action[..., 1]], axis=-1)


def test_pack_then_unpack_is_the_identity():
    shapes = ((2,), (3,), (), (), (2,), ())
    rng = np.random.default_rng(0)
    given = Transition(*(np.float32(rng.normal(size=(4, 7, *shape))) for shape in shapes))
    rows = LAYOUT.pack(given)
    assert rows.shape == (4, 7, LAYOUT.width)
    jax.tree.map(np.testing.assert_array_equal, LAYOUT.unpack(rows), given)
    np.testing.assert_array_equal(rows[..., LAYOUT.reward_column], given.reward)


def test_empty_holds_nothing():
    rings = replay.empty(TASKS, BLOCKS, EPISODES, HORIZON, LAYOUT)
    assert rings.rows.shape == (TASKS, BLOCKS, EPISODES, HORIZON, LAYOUT.width)
    assert rings.length.shape == rings.success.shape == (TASKS, BLOCKS, EPISODES)
    assert rings.written == 0
    assert not np.any(rings.length)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("blocks", [1, 3, 4, 5, 11])
def test_ring_keeps_the_newest_blocks(blocks, early):
    rings = filled(blocks, early)
    obs = np.asarray(jax.jit(LAYOUT.unpack)(rings.rows).obs)[..., 0, :]  # of the first steps
    tasks, held = obs[..., 0], obs[..., 1]
    newest = set(range(max(1, blocks - BLOCKS + 1), blocks + 1))
    assert set(np.unique(held)) - {0.0} == newest
    assert rings.written == blocks
    assert np.all(held == held[:, :, :1])  # a slot holds one block
    written = held > 0
    assert np.all((tasks == np.arange(TASKS)[:, None, None])[written])
    for number in newest:
        block = tagged_block(number, early)
        at = (number - 1) % BLOCKS
        np.testing.assert_array_equal(rings.length[:, at], block.length)
        np.testing.assert_array_equal(rings.success[:, at], block.success)


def expected_tags(task, blocks, early):
    """What a task's transitions are, by hand."""
    newest = range(max(1, blocks - BLOCKS + 1), blocks + 1)
    return {
        (b, e, h)
        for b in newest
        for e in range(EPISODES)
        for h in range(lengths(b, early)[task, e])
    }


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("blocks", [1, 3, 9])
def test_batches_hold_only_what_was_written_for_the_task(blocks, early):
    tasks = jnp.array([2, 0, 2, 1])
    t = drawn(filled(blocks, early), 0, tasks, 1200)
    assert t.reward.shape == (4, 1200)
    np.testing.assert_array_equal(t.obs[..., 0], np.broadcast_to(tasks[:, None], (4, 1200)))
    for i, task in enumerate(tasks):
        assert set(map(tuple, tags(t)[i])) == expected_tags(int(task), blocks, early)
    np.testing.assert_array_equal(t.next_obs, t.obs + 0.25)
    expected_reward = np.where(t.action[..., 1] == 2, t.action[..., 0], 0.0)
    np.testing.assert_array_equal(t.reward, expected_reward)
    np.testing.assert_array_equal(t.train_reward, -t.action[..., 1] - 1.0)
    assert np.any(t.done) == early


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("blocks", [2, 6])
def test_every_transition_is_drawn_as_often_as_every_other(blocks, early):
    """Exactly so for evenly spaced numbers; short episodes do not weigh more than their steps."""
    room = BLOCKS * EPISODES * HORIZON * 3
    for task in range(TASKS):
        expected = expected_tags(task, blocks, early)
        count = 3 * len(expected)
        even = np.ones((1, room), np.float32) * 0.5
        even[0, :count] = (np.arange(count) + 0.5) / count
        t = jax.device_get(sample(filled(blocks, early), even, jnp.array([task])))
        found, times = np.unique(tags(t)[0, :count], axis=0, return_counts=True)
        assert set(map(tuple, found)) == expected
        assert set(times) == {3}


@pytest.mark.parametrize("early", [False, True])
def test_the_ends_of_the_draws_are_the_first_and_the_last_transition(early):
    rings = filled(3, early)
    edges = np.float32([[0.0, 1.0 - 2**-24]])
    first, last = tags(jax.device_get(sample(rings, edges, jnp.array([1]))))[0]
    np.testing.assert_array_equal(first, [1, 0, 0])
    np.testing.assert_array_equal(last, [3, EPISODES - 1, lengths(3, early)[1, -1] - 1])


def test_the_index_says_whether_every_slot_holds_something():
    assert [bool(replay.index(filled(b, e)).gapless) for b in (1, 6) for e in (False, True)] == [
        True,
        False,
        True,
        False,
    ]


def test_batches_differ_by_draw_and_task():
    rings, tasks = filled(4), jnp.array([0, 0])
    t, other = drawn(rings, 0, tasks, 1200), drawn(rings, 1, tasks, 1200)
    assert np.any(t.action[0] != t.action[1])
    assert np.any(t.action != other.action)


@pytest.mark.parametrize("blocks", [0, 1, 3, 6])
@pytest.mark.parametrize("episodes", [1, 3, EPISODES])
def test_success_is_counted_over_recent_blocks(blocks, episodes):
    """The n-th block has no success in its first n episodes; more blocks than the ring holds, too;
    and what a ring that is not full does not hold yet counts for nothing."""
    rings = replay.empty(TASKS, BLOCKS, EPISODES, HORIZON, LAYOUT)
    for number in range(1, blocks + 1):
        found = np.tile(np.float32(np.arange(EPISODES) >= number), (TASKS, 1))
        found[0] = 1.0  # but the first task succeeds always
        rings = write(rings, LAYOUT, tagged_block(number)._replace(success=found))
    got = np.asarray(shares(rings, 3, episodes))
    recent = [np.arange(episodes) >= n for n in range(max(1, blocks - 2), blocks + 1)]
    expected = np.mean(recent) if recent else np.nan
    np.testing.assert_allclose(got, [1.0 if blocks else np.nan, expected, expected], rtol=1e-6)


def test_where_nobody_says_what_success_is_there_is_no_share():
    nobody = tagged_block(1)._replace(success=np.full((TASKS, EPISODES), np.float32(np.nan)))
    rings = write(replay.empty(TASKS, BLOCKS, EPISODES, HORIZON, LAYOUT), LAYOUT, nobody)
    assert np.all(np.isnan(shares(rings, 3, 2)))


def test_a_wrong_shape_raises():
    with pytest.raises(TypeCheckError, match="rows"):
        LAYOUT.unpack(jnp.zeros((2, LAYOUT.width + 1)))
    tasks = jnp.zeros(3, jnp.int32)
    with pytest.raises(TypeCheckError, match="tasks"):
        replay.choose(replay.index(filled(1)), HORIZON, jnp.zeros((2, 4)), tasks)


@pytest.mark.parametrize(("dtype", "kept"), [("float16", 0.33325195), ("bfloat16", 0.33398438)])
def test_half_precision_keeps_what_it_can(dtype, kept):
    """A third as both have it; half of the memory; and float16 keeps within its range."""
    layout = LAYOUT._replace(dtype=dtype)
    t = Transition(
        jnp.full((2,), 1 / 3), jnp.zeros(3), jnp.float32(1e6), jnp.zeros(()), jnp.zeros(2), 1.0
    )
    row = layout.pack(jax.tree.map(jnp.asarray, t))
    assert row.dtype == dtype
    back = layout.unpack(row)
    np.testing.assert_allclose(back.obs, kept, rtol=1e-7)
    assert back.obs.dtype == jnp.float32
    most = 65504.0 if dtype == "float16" else 999424.0
    assert float(back.reward) == most
    half = replay.empty(TASKS, BLOCKS, EPISODES, HORIZON, layout)
    assert (
        2 * half.rows.nbytes == replay.empty(TASKS, BLOCKS, EPISODES, HORIZON, LAYOUT).rows.nbytes
    )
