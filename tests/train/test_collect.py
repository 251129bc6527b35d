"""What a meta-step collects: kinds of episodes, how each acts, and where its z comes from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import HORIZON, config, following_z, one_seed, programs, quick_compile, setup, train

from structlat_jax.train import parallel
from structlat_jax.train.collect import collect


def first_state(seed=0):
    made, _ = programs(1)
    return one_seed(made.init(parallel.seed_numbers(made, seed)))


@pytest.fixture(scope="module")
def collected():
    """`collect` as a program."""
    run = jax.jit(lambda state, key: collect(setup(), config().hyper, state, key))

    def on_one_device(state, key):  # wherever the state comes from: another place compiles again
        with quick_compile():
            return run(*jax.device_put((state, key), jax.devices()[0]))

    return on_one_device


@pytest.fixture(scope="module")
def block(collected):
    """One collected block, from an empty replay: transitions ``[T, E, H]``."""
    state = first_state(1)
    return state, *collected(state, jax.random.key(5))


def test_block_shape_and_order(block):
    state, episodes, metrics = block
    t = episodes.transitions
    assert t.reward.shape == (4, 5, HORIZON)
    kinds = {"prior": t.reward[:, :2], "explore": t.reward[:, 2:4], "posterior": t.reward[:, 4:]}
    assert len(metrics) == 3
    for kind, reward in kinds.items():
        mean = float(metrics[f"collected_{kind}_return"])
        assert mean == pytest.approx(float(reward.sum(-1).mean()), abs=1e-6)
    np.testing.assert_array_equal(episodes.length, HORIZON)
    np.testing.assert_array_equal(episodes.success, np.any(t.reward != 0, axis=-1))
    np.testing.assert_allclose(
        t.train_reward[..., -1], -np.abs(t.next_obs[..., -1, 0] - state.train_tasks[:, None])
    )
    np.testing.assert_array_equal(t.obs[..., 0, :], 0.0)
    np.testing.assert_array_equal(t.obs[..., 1:, :], t.next_obs[..., :-1, :])


def test_exploring_episodes_hold_one_full_action(block):
    t = block[1].transitions
    explore = np.asarray(t.action[:, 2:4])
    np.testing.assert_array_equal(explore, explore[:, :, :1] * np.ones_like(explore))
    np.testing.assert_allclose(np.abs(explore).max(axis=-1), 1.0)
    assert len(np.unique(explore)) == 2  # both directions


def test_other_episodes_follow_the_policy(block):
    t = block[1].transitions
    for kind in (t.action[:, :2], t.action[:, 4:]):
        actions = np.asarray(kind).reshape(-1, HORIZON)
        assert np.all(np.abs(actions) < 1.0)
        assert np.all(np.std(actions, axis=1) > 0)
        assert len(np.unique(actions)) == actions.size  # every episode has its own noise


def test_every_episode_has_its_own_z(collected):
    state = first_state(1)
    state = state._replace(params=following_z(state.params))
    t = collected(state, jax.random.key(5))[0].transitions
    actions = np.asarray(t.action)[:, [0, 1, 4], :, 0]
    np.testing.assert_allclose(actions, actions[..., :1] * np.ones(HORIZON), atol=1e-5)
    z = np.arctanh(np.clip(actions[..., 0], -0.9999, 0.9999)).ravel()
    assert np.all(np.diff(np.sort(z)) > 1e-4)
    assert 0.3 < z.std() < 3.0  # from the standard normal prior


def test_posterior_episodes_listen_to_the_replay(collected):
    seen = one_seed(train(1, 1, 1)[0])
    seen = seen._replace(params=following_z(seen.params))
    silent = seen._replace(replay=seen.replay._replace(written=jnp.int32(0)))
    t, unseen = (collected(state, jax.random.key(5))[0].transitions for state in (seen, silent))
    np.testing.assert_array_equal(t.action[:, :4], unseen.action[:, :4])
    assert np.all(np.abs(t.action[:, 4, 0] - unseen.action[:, 4, 0]) > 1e-4)


def test_posterior_episodes_listen_to_their_own_task_alone(collected):
    seen = one_seed(train(1, 1, 1)[0])
    seen = seen._replace(params=following_z(seen.params))
    rows = seen.replay.rows.at[1].add(1.0)
    other = seen._replace(replay=seen.replay._replace(rows=rows))
    first, second = (collected(state, jax.random.key(5))[0].transitions for state in (seen, other))
    changed = np.abs(first.action - second.action)[:, 4, 0, 0] > 1e-4
    assert changed.tolist() == [False, True, False, False]
