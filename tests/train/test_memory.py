"""Nothing grows with the number of meta-steps but the metrics."""

import gc

import jax
import psutil
import pytest
from tiny import go_on, programs, setup

from structlat_jax.train import parallel

ALLOWED = 0.02


def resident():
    """Resident memory of this process, in bytes."""
    gc.collect()
    return psutil.Process().memory_info().rss


def growth(steps):
    """By how much resident memory grows over so many meta-steps after the first ten, as a share."""
    made, hyper = programs(1)
    state, _ = go_on(1, made.init(parallel.seed_numbers(made, 0)), 10, hyper)
    begin = resident()
    for _ in range(steps // 10):
        state, metrics = go_on(1, state, 10, hyper)
    jax.block_until_ready(metrics)
    return resident() / begin - 1.0


def test_memory_is_flat():
    assert growth(100) < ALLOWED


@pytest.mark.slow
@pytest.mark.idle
def test_memory_is_flat_for_long():
    share = growth(300)
    print(f"{100 * share:+.2f} %")
    assert abs(share) < ALLOWED


@pytest.mark.slow
def test_a_loop_over_seeds_fills_no_second_state_beside_the_first():
    def sizes(seeds):
        made = parallel.make_programs(setup(), seeds, jax.devices()[:1], mapping="loop")
        hyper = parallel.spread(made, setup().config.hyper)
        state = jax.eval_shape(made.init, parallel.seed_numbers(made, 0))
        memory = made.step.lower(hyper, state).compile().memory_analysis()
        return memory.argument_size_in_bytes, memory.temp_size_in_bytes

    (state, scratch), (larger_state, larger_scratch) = sizes(2), sizes(10)
    assert larger_scratch - scratch < 0.5 * (larger_state - state)


def test_live_arrays_do_not_add_up():
    made, hyper = programs(1)
    state = go_on(1, made.init(parallel.seed_numbers(made, 0)), 3, hyper)[0]
    before = len(jax.live_arrays())
    state = go_on(1, state, 20, hyper)[0]
    assert len(jax.live_arrays()) <= before
