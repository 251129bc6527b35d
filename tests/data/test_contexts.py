"""Rows carry tags: what comes out says which task, block, episode and step it was written for."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_replay import EPISODES, HORIZON, LAYOUT, TASKS, filled, lengths

from structlat_jax.data.contexts import ContextSampler
from structlat_jax.shapes import UNKNOWN

EXPLORING = 2
CONTEXTS = 900  # always, because each shape compiles a program
TASK = jnp.arange(CONTEXTS) % TASKS


def sampler(counts=(1, 4), window=2, best_of=1, contexts=CONTEXTS):
    return ContextSampler(contexts, *counts, window, EXPLORING, best_of)


def contexts(blocks=4, counts=(1, 4), window=2, share=0.5, best_of=1, seed=0, early=False):
    """What was drawn, by name: block, episode, length ``[E]``, step ``[E, H]``, owners ``[M, E]``,
    failure ``[E]``, and ``of [E]``, the context of each episode, -1 for none."""
    made = sampler(counts, window, best_of)
    draws = np.random.default_rng(seed).uniform(size=made.draws).astype(np.float32)
    run = compiled(counts, window, best_of)
    t, length, owners, failed = jax.device_get(run(filled(blocks, early), draws, share))
    assert t.reward.shape == (made.episodes, HORIZON)
    assert owners.shape == (CONTEXTS, made.episodes)
    assert failed.shape == length.shape == (made.episodes,)
    lived = np.arange(HORIZON) < length[:, None]
    for tag in (t.obs[..., 0], t.obs[..., 1], t.action[..., 0]):
        np.testing.assert_array_equal(tag, tag[:, :1] * lived)  # an episode is whole
    taken = owners.any(0)
    of = np.where(taken, owners.argmax(0), -1)
    np.testing.assert_array_equal(t.obs[taken, 0, 0], np.asarray(TASK)[of[taken]])
    return {
        "block": t.obs[:, 0, 1],
        "episode": t.action[:, 0, 0],
        "time": t.action[..., 1],
        "owners": owners,
        "length": length,
        "task": t.obs[:, 0, 0],
        "failed": failed,
        "of": of,
    }


@cache
def compiled(counts, window, best_of):
    """One program for all shares and replays."""
    made = sampler(counts, window, best_of)
    return jax.jit(lambda rings, draws, share: made.sample(rings, LAYOUT, draws, TASK, share))


def first_of(c):
    """Which episodes are the first of their context, and which are others of one."""
    changes = np.diff(c["of"], prepend=-1) != 0
    return changes & (c["of"] >= 0), ~changes & (c["of"] >= 0)


@pytest.mark.parametrize(("blocks", "window"), [(1, 2), (3, 2), (9, 2), (9, 10)])
def test_contexts_come_from_the_last_blocks_of_their_task(blocks, window):
    block = contexts(blocks, window=window)["block"]
    reach = min(blocks, window, 4)
    assert set(np.unique(block)) == set(range(blocks - reach + 1, blocks + 1))


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("best_of", [1, 3])
def test_contexts_are_whole_episodes_in_order(best_of, early):
    """Up to the end of each, and zero behind it."""
    c = contexts(6, best_of=best_of, early=early)
    every = np.stack([lengths(number, early) for number in range(7)])
    expected = every[np.int32(c["block"]), np.int32(c["task"]), np.int32(c["episode"])]
    np.testing.assert_array_equal(c["length"], expected)
    steps = np.arange(HORIZON)
    np.testing.assert_array_equal(c["time"], steps * (steps < expected[:, None]))
    assert (len(np.unique(expected)) > 1) == early


@pytest.mark.parametrize("counts", [(1, 4), (2, 2), (2, 5)])
def test_every_count_between_the_limits_is_as_frequent(counts):
    owners = contexts(counts=counts)["owners"]
    assert set(np.unique(owners)) == {0.0, 1.0}
    found = owners.sum(1)
    allowed = np.arange(counts[0], counts[1] + 1)
    share = [np.mean(found == count) for count in allowed]
    np.testing.assert_allclose(share, 1 / len(allowed), atol=0.01)
    # Which context has which count is by chance: the first half is like the second.
    np.testing.assert_allclose(found[:450].mean(), allowed.mean(), atol=0.2)


def test_an_episode_belongs_to_one_context_and_contexts_follow_each_other():
    c = contexts(counts=(2, 5))
    assert c["owners"].sum(0).max() == 1
    taken = c["of"] >= 0
    assert np.all(np.diff(c["of"][taken]) >= 0)
    assert not np.any(np.diff(taken.astype(int)) > 0)  # those that belong to none come last


@pytest.mark.parametrize(
    ("number", "counts", "room"), [(8, (1, 8), 36), (8, (3, 3), 24), (2, (1, 2), 3), (3, (1, 2), 5)]
)
def test_there_is_room_for_all_episodes_and_not_for_many_more(number, counts, room):
    made = sampler(counts, contexts=number)
    assert made.episodes == room
    tasks = jnp.zeros(number, int)
    rings = filled(4)
    run = jax.jit(lambda draws: made.sample(rings, LAYOUT, draws, tasks, 0.5).owners)
    for seed in range(20):
        draws = np.random.default_rng(seed).uniform(size=made.draws).astype(np.float32)
        found = np.asarray(run(draws)).sum(1)
        assert counts[0] <= found.min()
        assert found.max() <= counts[1]
        assert room - number < found.sum() <= room


@pytest.mark.parametrize("best_of", [1, 3])
def test_failure_is_an_episode_without_success(best_of):
    c = contexts(best_of=best_of)
    np.testing.assert_array_equal(c["failed"], c["episode"] == 0)
    assert np.any(c["failed"])


def test_nothing_failed_where_nobody_says_what_success_is():
    rings = filled(4)
    nobody = rings._replace(success=jnp.full_like(rings.success, UNKNOWN))
    made = sampler()
    draws = np.random.default_rng(0).uniform(size=made.draws).astype(np.float32)
    assert not np.any(compiled((1, 4), 2, 1)(nobody, draws, 0.5).failed)


@pytest.mark.parametrize(("share", "kinds"), [(1.0, range(EXPLORING)), (0.0, range(EPISODES))])
def test_explore_share_limits_the_kinds_of_episodes(share, kinds):
    assert set(np.unique(contexts(share=share)["episode"])) == set(kinds)


def test_explore_share_is_a_share_of_contexts():
    c = contexts(counts=(4, 4), share=0.3)
    exploring_only = (c["owners"] @ (c["episode"] < EXPLORING)) == 4
    by_chance = (EXPLORING / EPISODES) ** 4
    np.testing.assert_allclose(np.mean(exploring_only), 0.3 + 0.7 * by_chance, atol=0.05)


@pytest.mark.parametrize("best_of", [1, 3])
def test_first_episode_is_the_best_of_several_by_its_own_reward(best_of):
    c = contexts(share=0.0, best_of=best_of)
    first, others = first_of(c)
    assert first.sum() == CONTEXTS
    hit = 1 - (1 - 1 / EPISODES) ** best_of
    last = c["episode"] == EPISODES - 1
    np.testing.assert_allclose(np.mean(last[first]), hit, atol=0.05)
    np.testing.assert_allclose(np.mean(last[others]), 1 / EPISODES, atol=0.05)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_search_for_a_rewarded_episode_looks_at_all_kinds(share):
    c = contexts(share=share, best_of=3)
    first, _ = first_of(c)
    assert set(np.unique(c["episode"][first])) == set(range(EPISODES))
