"""What jax has for whoever debugs: nothing compiled, keys watched."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import assert_same, setup

from structlat_jax.shapes import data_to_keys, keys_to_data, make_key
from structlat_jax.train import parallel
from structlat_jax.train.evaluate import evaluate
from structlat_jax.train.learn import init


def test_whoever_debugs_sees_every_seed_in_python():
    """Without compiling, the numbers of a seed are at hand while its function runs."""
    mesh, seen = parallel.make_programs(setup(), 1, jax.devices()[:1]).mesh, []

    def double(x, y):
        seen.append(float(x))  # of a traced number, there is none
        return {"both": x + y}

    with jax.disable_jit():
        mapped = parallel.over_seeds(double, mesh, 3, carried=0)
        out = mapped(jnp.arange(3.0), jnp.ones(3))
    assert seen == [0.0, 1.0, 2.0]
    np.testing.assert_array_equal(out["both"], [1.0, 2.0, 3.0])


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"inference": "amortised"}], ids=str)
def test_the_checker_of_keys_reads_a_whole_evaluation(changes):
    """All tasks and repeats, the greedy choice included."""
    own = setup(**changes)
    state = jax.eval_shape(lambda key: init(own, key), make_key(0))

    def run(state, key):
        return evaluate(own, own.config.hyper, state.learned, state.test_tasks, key)

    with jax.debug_key_reuse(True):
        jax.jit(run).lower(state, jax.eval_shape(make_key, 0))


def test_keys_come_back_under_every_default_generator():
    keys = {"key": make_key(3), "not": jnp.ones(2)}
    with jax.default_prng_impl("rbg"):
        again = data_to_keys(keys_to_data(keys), keys)
    assert again["key"].dtype == keys["key"].dtype
    assert_same(again, keys)
