"""The meta-step as a program: random keys, traces, what it collects, what it changes."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import (
    FIRST_TRACES,
    HORIZON,
    TRACES,
    all_finite,
    assert_same,
    config,
    flat,
    following_z,
    go_on,
    line,
    one_seed,
    programs,
    quick_compile,
    setup,
    train,
)

from structlat_jax.algos import pearl_sac
from structlat_jax.algos.schedules import coefficients_at, kl_weight, step_size_share
from structlat_jax.config import Hyper
from structlat_jax.train import parallel
from structlat_jax.train.collect import collect
from structlat_jax.train.learn import init, meta_step
from structlat_jax.train.setup import make_setup


def first_state(seed=0):
    made, _ = programs(1)
    return made.init(parallel.seed_numbers(made, seed))


@pytest.fixture(scope="module")
def lowered():
    made, hyper = programs(1)
    return made.step.lower(hyper, jax.eval_shape(made.init, parallel.seed_numbers(made, 0)))


def test_meta_step_is_one_program_without_callbacks(lowered):
    with quick_compile():
        compiled = lowered.compile().as_text()
    for text in (lowered.as_text(), compiled):
        assert text.count("ENTRY") + text.count("func.func public") == 1
        assert "callback" not in text
        assert "infeed" not in text
        assert "outfeed" not in text


def test_a_callback_would_be_seen():
    def talks(x):
        jax.debug.print("{x}", x=x)
        return x

    assert "callback" in jax.jit(talks).lower(1.0).as_text()


def test_state_is_donated(lowered):
    _, state = lowered.args_info[0]
    assert all(leaf.donated for leaf in jax.tree.leaves(state))
    hyper, _ = lowered.args_info[0]
    assert not any(leaf.donated for leaf in jax.tree.leaves(hyper))


def test_a_donated_state_cannot_be_used_again():
    state = first_state()
    go_on(1, state, 1)
    assert state.replay.rows.is_deleted()
    assert state.params.policy["params"]["kernel_0"].is_deleted()


def test_traced_once_over_many_calls():
    made, _ = programs(1)
    assert FIRST_TRACES[1] == 1
    before = len(TRACES)
    state, _ = go_on(1, first_state(), 2)
    go_on(1, state, 2, parallel.spread(made, config(lr=0.5, kl_weight=0.3).hyper))
    assert len(TRACES) == before


def test_the_library_functions_trace_once_under_jit():
    own = make_setup(config(), line())
    step = jax.jit(chex.assert_max_traces(lambda h, s: meta_step(own, h, s), n=1))
    state = jax.eval_shape(lambda key: init(own, key), jax.random.key(0))
    for lr in (0.1, 0.2):
        state, _ = jax.eval_shape(step, config(lr=lr).hyper, state)


def test_counters():
    state, metrics = train(1, 0, 3)
    per_step = setup().config.structure.updates_per_step
    assert int(state.replay.written[0]) == 3
    assert int(state.updates[0]) == 3 * per_step
    weights = [float(m.kl_weight[0]) for m in metrics]
    assert weights == pytest.approx([0.05, 0.1, 0.1])  # ramps from 0 to 0.1 over ten updates


def test_replay_keeps_the_last_blocks():
    blocks = setup().blocks
    assert blocks == 60 // (5 * HORIZON)
    state, _ = train(1, 0, blocks)
    rows = np.asarray(state.replay.rows[0])
    state, _ = go_on(1, state, 1)
    later = np.asarray(state.replay.rows[0])
    np.testing.assert_array_equal(later[:, 1:], rows[:, 1:])
    assert not np.array_equal(later[:, 0], rows[:, 0])


@pytest.mark.parametrize(
    ("updates", "expected"), [(0, 1.0), (5, 2.0), (10, 3.0), (40, 3.0), (1, 1.2)]
)
def test_kl_ramp(updates, expected):
    hyper = Hyper(kl_weight_start=1.0, kl_weight=3.0, kl_ramp_updates=10.0, silent_kl=0.5)
    assert float(kl_weight(hyper, jnp.int32(updates))) == pytest.approx(expected)
    coefficients = coefficients_at(hyper, jnp.int32(updates))
    assert float(coefficients.kl_weight) == pytest.approx(expected)
    assert float(coefficients.silent_weight) == pytest.approx(0.5 * expected)


def test_kl_weight_without_a_ramp():
    hyper = Hyper(kl_weight_start=1.0, kl_weight=3.0, kl_ramp_updates=0.0)
    assert [float(kl_weight(hyper, jnp.int32(u))) for u in (0, 1, 9)] == [1.0, 3.0, 3.0]


@pytest.mark.parametrize(
    ("updates", "share"), [(0, 1.0), (10, 1.0), (15, 0.875), (20, 0.75), (30, 0.5), (99, 0.5)]
)
def test_step_sizes_and_the_entropy_weight_decay(updates, share):
    decay = {"lr_end": 0.5, "lr_decay_start": 10.0, "lr_decay_end": 30.0}
    hyper = Hyper(lr=2.0, encoder_lr=8.0, entropy_weight=3.0, entropy_end=0.0, **decay)
    assert float(step_size_share(hyper, jnp.int32(updates))) == pytest.approx(share)
    now, before = (coefficients_at(hyper, jnp.int32(u)) for u in (updates, 0))
    assert float(now.lr) == pytest.approx(2.0 * share)
    assert float(now.encoder_lr) == pytest.approx(8.0 * share)
    assert float(now.entropy_weight) == pytest.approx(3.0 * (2.0 * share - 1.0))
    scheduled = {"lr", "encoder_lr", "entropy_weight", "kl_weight", "silent_weight"}
    for name in set(now._fields) - scheduled:
        assert getattr(now, name) == getattr(before, name)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lr_end": 1.0}, [1.0, 1.0, 1.0, 1.0]),
        ({"lr_end": 0.25, "lr_decay_end": 10.0}, [1.0, 1.0, 0.25, 0.25]),  # no span: a step
        ({"lr_end": 0.25, "lr_decay_end": 5.0}, [1.0, 1.0, 0.25, 0.25]),  # an end before the start
    ],
)
def test_step_sizes_without_a_decay(changes, expected):
    hyper = Hyper(**{"lr_decay_start": 10.0, "lr_decay_end": 30.0, **changes})
    shares = [float(step_size_share(hyper, jnp.int32(u))) for u in (0, 10, 11, 99)]
    assert shares == pytest.approx(expected)


def test_nothing_is_learned_once_the_step_sizes_are_zero():
    made, _ = programs(1)
    state, _ = train(1, 0, 1)
    before = jax.tree.map(np.asarray, one_seed(state.params))
    stopped = config(lr_end=0.0, lr_decay_start=0.0, lr_decay_end=1.0).hyper
    after = one_seed(go_on(1, state, 1, parallel.spread(made, stopped))[0].params)
    for name in ("encoder", "q", "v", "policy", "world"):
        assert_same(getattr(after, name), getattr(before, name))


def test_coefficients_come_from_the_hyper_parameters():
    hyper = Hyper(**{name: 0.5 + i for i, name in enumerate(Hyper.__dataclass_fields__)})
    coefficients = coefficients_at(hyper, jnp.int32(0))
    constant = (set(pearl_sac.Coefficients._fields) & set(Hyper.__dataclass_fields__)) - {
        "kl_weight"
    }
    assert len(constant) >= 8
    for name in constant:
        assert getattr(coefficients, name) == getattr(hyper, name)


def split_tasks(seed):
    """The split of a meta-training set of 30 and 10 tasks that are numbered from 0 to 39."""
    env = dataclasses.replace(line(), sample_tasks=lambda key, n: jnp.arange(n))
    own = make_setup(config(train_tasks=30, test_tasks=10), env)
    tasks = jax.jit(lambda key: init(own, key)[-2:])(jax.random.key(seed))
    return [np.asarray(part).tolist() for part in tasks]


def test_tasks_are_split_without_overlap_or_loss():
    training, test = split_tasks(0)
    assert (len(training), len(test)) == (30, 10)
    assert sorted(training + test) == list(range(40))
    assert split_tasks(0)[1] == test
    assert set(split_tasks(1)[1]) != set(test)


def test_start():
    state = first_state()
    assert not np.any(np.asarray(state.replay.rows))
    assert int(state.replay.written[0]) == 0
    assert_same(state.params.v, state.params.target_v)
    assert not np.any(flat((state.optimisers, state.world_moments)))


@pytest.fixture(scope="module")
def collected():
    """`collect` as a program."""
    run = jax.jit(lambda state, key: collect(setup(), config().hyper, state, key))
    with quick_compile():
        run(one_seed(first_state()), jax.random.key(0))
    return run


@pytest.fixture(scope="module")
def block(collected):
    """One collected block, from an empty replay: transitions ``[T, E, H]``."""
    state = one_seed(first_state(1))
    return state, *collected(state, jax.random.key(5))


def test_block_shape_and_order(block):
    state, t, returns = block
    assert t.reward.shape == (4, 5, HORIZON)
    kinds = (t.reward[:, :2], t.reward[:, 2:4], t.reward[:, 4:])
    for kind, mean in zip(kinds, returns, strict=True):
        assert float(mean) == pytest.approx(float(kind.sum(-1).mean()), abs=1e-6)
    np.testing.assert_allclose(
        t.train_reward[..., -1], -np.abs(t.next_obs[..., -1, 0] - state.train_tasks[:, None])
    )
    np.testing.assert_array_equal(t.obs[..., 0, :], 0.0)
    np.testing.assert_array_equal(t.obs[..., 1:, :], t.next_obs[..., :-1, :])


def test_exploring_episodes_hold_one_full_action(block):
    _, t, _ = block
    explore = np.asarray(t.action[:, 2:4])
    np.testing.assert_array_equal(explore, explore[:, :, :1] * np.ones_like(explore))
    np.testing.assert_allclose(np.abs(explore).max(axis=-1), 1.0)
    assert len(np.unique(explore)) == 2  # both directions


def test_other_episodes_follow_the_policy(block):
    _, t, _ = block
    for kind in (t.action[:, :2], t.action[:, 4:]):
        actions = np.asarray(kind).reshape(-1, HORIZON)
        assert np.all(np.abs(actions) < 1.0)
        assert np.all(np.std(actions, axis=1) > 0)
        assert len(np.unique(actions)) == actions.size  # every episode has its own noise


def test_every_episode_has_its_own_z(collected):
    state = one_seed(first_state(1))
    state = state._replace(params=following_z(state.params))
    t, _ = collected(state, jax.random.key(5))
    actions = np.asarray(t.action)[:, [0, 1, 4], :, 0]
    np.testing.assert_allclose(actions, actions[..., :1] * np.ones(HORIZON), atol=1e-5)
    z = np.arctanh(np.clip(actions[..., 0], -0.9999, 0.9999)).ravel()
    assert np.all(np.diff(np.sort(z)) > 1e-4)
    assert 0.3 < z.std() < 3.0  # from the standard normal prior


def test_posterior_episodes_listen_to_the_replay(collected):
    seen = one_seed(train(1, 1, 1)[0])
    seen = seen._replace(params=following_z(seen.params))
    silent = seen._replace(replay=seen.replay._replace(written=jnp.int32(0)))
    t, unseen = (collected(state, jax.random.key(5))[0] for state in (seen, silent))
    np.testing.assert_array_equal(t.action[:, :4], unseen.action[:, :4])
    assert np.all(np.abs(t.action[:, 4, 0] - unseen.action[:, 4, 0]) > 1e-4)


def test_first_meta_step_is_finite():
    _, metrics = train(1, 0, 1)
    assert all_finite(metrics)


def test_parameters_change_and_the_target_lags():
    before = jax.tree.map(np.asarray, one_seed(first_state().params))
    state, _ = train(1, 0, 1)
    after = one_seed(state.params)
    for part in after._fields:
        assert all_finite(getattr(after, part))
        assert not np.array_equal(flat(getattr(after, part)), flat(getattr(before, part)))
    v, target = (
        np.abs(flat(getattr(after, name)) - flat(getattr(before, name))).max()
        for name in ("v", "target_v")
    )
    assert 0 < target < v


def test_the_next_key_is_new():
    keys = [jax.random.key_data(train(1, 0, steps)[0].key[0]).tolist() for steps in (0, 1, 2)]
    assert len({tuple(key) for key in keys}) == 3
