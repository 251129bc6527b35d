"""The meta-step as a program: random keys, traces, what it changes and what it reports."""

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
    go_on,
    line,
    one_seed,
    programs,
    quick_compile,
    setup,
    train,
)

from structlat_jax.inference.base import Learned
from structlat_jax.train import parallel
from structlat_jax.train.learn import first_not_finite, init, meta_step
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
    weights = [float(m["kl_weight"][0]) for m in metrics]
    # It ramps from 0 to 0.1 over ten updates; these are means of five.
    assert weights == pytest.approx([0.02, 0.07, 0.1])


def test_replay_keeps_the_last_blocks():
    blocks = setup().blocks
    assert blocks == 60 // (5 * HORIZON)
    state, _ = train(1, 0, blocks)
    rows = np.asarray(state.replay.rows[0])
    state, _ = go_on(1, state, 1)
    later = np.asarray(state.replay.rows[0])
    np.testing.assert_array_equal(later[:, 1:], rows[:, 1:])
    assert not np.array_equal(later[:, 0], rows[:, 0])


def test_nothing_is_learned_once_the_step_sizes_are_zero():
    made, _ = programs(1)
    state, _ = train(1, 0, 1)
    before = jax.tree.map(np.asarray, one_seed(state.learned))
    stopped = config(lr_end=0.0, lr_decay_start=0.0, lr_decay_end=1.0).hyper
    after = one_seed(go_on(1, state, 1, parallel.spread(made, stopped))[0].learned)
    assert_same(after.inference, before.inference)
    for name in ("encoder", "q", "v", "policy"):
        assert_same(getattr(after.agent, name), getattr(before.agent, name))


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
    assert not np.any(flat((state.moments, state.inference_moments)))


METRICS = {
    *("q", "v", "policy", "q_mean", "entropy", "kl cat:1x3", "kl gau:1", "kl_weight"),
    *("world_dynamics", "world_reward", "not_finite_at"),
    *(f"collected_{kind}_return" for kind in ("prior", "explore", "posterior")),
}


def test_metrics_are_scalars_by_name():
    _, metrics = train(1, 0, 1)
    assert set(metrics[0]) == METRICS
    assert all(x.shape == (1,) for x in metrics[0].values())
    assert all_finite(metrics)
    assert int(metrics[0]["not_finite_at"][0]) == 0


def test_the_first_update_that_is_not_finite_is_named():
    fine = jnp.ones((4, 2))
    bad = fine.at[2, 1].set(jnp.nan).at[3, 0].set(jnp.inf)
    learned = Learned({"w": jnp.ones(3)}, {"w": jnp.ones(2)})
    assert int(first_not_finite({"a": fine, "b": fine[:, 0]}, learned)) == 0
    assert int(first_not_finite({"a": fine[:, 0], "b": bad}, learned)) == 3
    for field in ("agent", "inference"):  # of the parameters only those at the end are looked at
        spoiled = learned._replace(**{field: {"w": jnp.array([1.0, jnp.nan])}})
        assert int(first_not_finite({"a": fine}, spoiled)) == 4
        assert int(first_not_finite({"a": bad}, spoiled)) == 3


def test_updates_that_are_not_finite_are_counted_over_the_whole_run():
    made, _ = programs(1)
    state, metrics = go_on(1, first_state(), 1)
    assert int(metrics[0]["not_finite_at"][0]) == 0
    burst = parallel.spread(made, config(lr=1e30).hyper)
    _, metrics = go_on(1, state, 1, burst)
    assert 5 < int(metrics[0]["not_finite_at"][0]) <= 10


def test_parameters_change_and_the_target_lags():
    before = jax.tree.map(np.asarray, one_seed(first_state().params))
    state, _ = train(1, 0, 1)
    after = one_seed(state.params)
    assert all_finite(state.learned)
    for part in (name for name in after._fields if getattr(after, name)):
        assert not np.array_equal(flat(getattr(after, part)), flat(getattr(before, part)))
    v, target = (
        np.abs(flat(getattr(after, name)) - flat(getattr(before, name))).max()
        for name in ("v", "target_v")
    )
    assert 0 < target < v


def test_the_next_key_is_new():
    keys = [jax.random.key_data(train(1, 0, steps)[0].key[0]).tolist() for steps in (0, 1, 2)]
    assert len({tuple(key) for key in keys}) == 3
