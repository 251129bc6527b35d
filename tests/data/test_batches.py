"""What an update sees of a replay whose every row says where it lies, some episodes being short."""

from functools import cache

import jax
import numpy as np
import pytest
from tiny import HORIZON, config, quick_compile, setup

from structlat_jax.data import batches, replay

OWN = setup("ending", train_tasks=4, meta_batch=3, batch_size=16)
S = OWN.structure
SHAPE = (S.train_tasks, OWN.blocks, OWN.episodes_per_step)
HYPER = config(context_reward_scale=2.0, explore_context=0.5, task_focus=1.5).hyper
RNG = np.random.default_rng(0)
LENGTH = RNG.integers(1, HORIZON + 1, SHAPE)
SUCCESS = np.float32(RNG.uniform(size=SHAPE) < [[[0.9]], [[0.5]], [[0.2]], [[0.0]]])
PLACES = np.arange(1, np.prod(SHAPE) * HORIZON + 1).reshape(*SHAPE, HORIZON)


@cache
def rings(written=OWN.blocks):
    """Observation and reward of every row are its number, from 1; zero behind the ends."""
    held = np.where(np.arange(HORIZON) < LENGTH[..., None], PLACES, 0).astype(np.float32)
    held[:, written:] = 0.0
    rows = np.zeros((*held.shape, OWN.layout.width), np.float32)
    rows[..., 0] = rows[..., OWN.layout.reward_column] = held
    length = LENGTH * (np.arange(OWN.blocks) < written)[:, None]
    return jax.device_put(replay.Replay(rows, np.int32(length), SUCCESS, np.int32(written)))


@jax.jit
def make(held, key):
    """Of one update: the batch, and the log-weights of the tasks."""
    seen = batches.view(OWN, HYPER, held)
    sampler = batches.sampler(OWN, HYPER, seen)
    return sampler.make(sampler.draw(key)), seen.log_weights


@cache
def many(written=OWN.blocks):
    """A thousand batches, ``[1000, M, ...]``."""
    keys = jax.random.split(jax.random.key(0), 1000)
    with quick_compile():
        return jax.device_get(jax.vmap(make, in_axes=(None, 0))(rings(written), keys)[0])


def where(numbers):
    """Task, block, episode and step of rows."""
    return np.unravel_index(np.int64(numbers) - 1, (*SHAPE, HORIZON))


@pytest.mark.parametrize("written", [1, OWN.blocks])
def test_transitions_are_those_of_a_task_and_none_lies_behind_an_end(written):
    obs = many(written).transitions.obs[..., 0]
    assert obs.shape == (1000, S.meta_batch, S.batch_size)
    task, block, episode, step = where(obs)
    assert np.all(task == task[..., :1])
    assert np.all(step < LENGTH[task, block, episode])
    assert set(np.unique(block)) == set(range(written))


def test_each_task_is_in_a_batch_once_at_most():
    task = where(many().transitions.obs[:, :, 0, 0])[0]
    assert all(len(set(row)) == S.meta_batch for row in task.tolist())


def test_starts_are_those_of_the_episodes_of_the_first_transitions():
    found = many()
    first = where(found.transitions.obs[:, :, 0, 0])
    start = where(found.start[..., 0])
    np.testing.assert_array_equal(start[:3], first[:3])
    assert not np.any(start[3])
    assert np.any(first[3])


def test_contexts_are_whole_episodes_with_their_lengths_and_failures():
    context = many().context
    taken = np.any(context.owners, axis=1)
    number = context.features[..., 0]
    task, block, episode, step = where(number[..., 0])
    assert not np.any(step)
    np.testing.assert_array_equal(context.length, LENGTH[task, block, episode])
    np.testing.assert_array_equal(context.failed, SUCCESS[task, block, episode] == 0)
    lived = np.arange(HORIZON) < context.length[..., None]
    np.testing.assert_array_equal(number, np.where(lived, number[..., :1] + np.arange(HORIZON), 0))
    np.testing.assert_array_equal(context.features[..., 2], 2.0 * number)  # the scaled reward
    owner = np.argmax(context.owners, axis=1)
    of = np.take_along_axis(where(many().transitions.obs[:, :, 0, 0])[0], owner, axis=1)
    np.testing.assert_array_equal(task[taken], of[taken])


def test_tasks_that_are_seldom_solved_are_drawn_more():
    """By hand, over the blocks of the window and the prior episodes of each."""
    window = [(OWN.blocks - 1 - age) % OWN.blocks for age in range(S.context_window)]
    hits = SUCCESS[:, window, : S.prior_episodes].mean(axis=(1, 2))
    assert len(set(hits)) > 2
    _, log_weights = make(rings(), jax.random.key(0))
    np.testing.assert_allclose(log_weights, np.log((hits + 0.05) ** -1.5), rtol=1e-4)
    one, held = setup("ending", train_tasks=4, meta_batch=1, batch_size=16), rings()

    @jax.jit
    def first(key):
        sampler = batches.sampler(one, HYPER, batches.view(one, HYPER, held))
        return sampler.make(sampler.draw(key)).transitions.obs[0, 0, 0]

    with quick_compile():
        found = where(jax.vmap(first)(jax.random.split(jax.random.key(1), 3000)))[0]
    shares = np.bincount(found, minlength=4) / 3000
    expected = np.exp(log_weights) / np.exp(log_weights).sum()
    np.testing.assert_allclose(shares, expected, atol=0.03)


def test_without_success_all_tasks_are_alike():
    own = setup("dense", train_tasks=4)
    nobody = rings()._replace(success=np.full(SHAPE, np.float32(np.nan)))
    np.testing.assert_array_equal(batches.task_log_weights(own, HYPER, nobody), np.zeros(4))


def test_draws_have_keys_and_ranges_of_their_own():
    draws = jax.device_get(jax.jit(lambda key: batches.draw(OWN, key))(jax.random.key(2)))
    for name in ("transitions", "context"):
        found = getattr(draws, name)
        assert found.min() >= 0
        assert found.max() < 1
    assert draws.action.shape == (S.meta_batch, S.batch_size, 1)
    assert draws.latent.shape == (S.meta_batch, OWN.space.dim)
    numbers = np.concatenate([np.ravel(x) for x in draws[:5]])
    assert len(np.unique(numbers)) == numbers.size
    assert draws.imagined is None


def test_tasks_that_nobody_has_met_have_draws_of_their_own():
    own = setup("ending", train_tasks=4, meta_batch=3, batch_size=16, posterior="task")
    key = jax.random.key(2)
    draws, usual = (
        jax.device_get(jax.jit(lambda key, s=s: batches.draw(s, key))(key)) for s in (own, OWN)
    )
    for ours, its in zip(draws[:5], usual[:5], strict=True):  # whatever else is drawn
        np.testing.assert_array_equal(ours, its)
    found, m = draws.imagined, S.meta_batch
    episodes = batches.context_sampler(own, m).episodes
    assert found.z.shape == (m, own.space.dim)
    assert found.action.shape == (m, S.batch_size, 1)
    assert found.paid.shape == (episodes, own.env.horizon)
    for uniform in (found.blend, found.paid):
        assert 0 <= uniform.min() <= uniform.max() < 1
    numbers = np.concatenate([np.ravel(x) for x in (*draws[:5], *found[1:])])
    assert len(np.unique(numbers)) == numbers.size
