"""The gated recurrent unit, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structlat_jax.nets import recurrent

INPUTS, WIDTH, STEPS, BATCH = 3, 4, 5, 2


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    zeros = recurrent.zeros(INPUTS, WIDTH)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), zeros)


@pytest.fixture
def given():
    rng = np.random.default_rng(1)
    return rng.normal(size=(BATCH, WIDTH)), rng.normal(size=(BATCH, STEPS, INPUTS))


def by_hand(params, state, x):
    """One step of one state, in double precision."""

    def sigmoid(v):
        return 1.0 / (1.0 + np.exp(-v))

    def linear(name, v):
        return v @ np.asarray(params[name]["kernel_head"], float) + params[name]["bias_head"]

    one, other = (np.split(linear(*pair), 3) for pair in (("input", x), ("state", state)))
    reset, keep = (sigmoid(one[i] + other[i]) for i in (0, 1))
    return keep * state + (1 - keep) * np.tanh(one[2] + reset * other[2])


def test_a_step_is_what_the_formula_says(params, given):
    start, x = given
    found = recurrent.advance(params, jnp.float32(start), jnp.float32(x[:, 0]))
    expected = [by_hand(params, start[i], x[i, 0]) for i in range(BATCH)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_states_of_a_sequence_are_its_steps_and_gaps_change_nothing(params, given):
    start, x = given
    valid = np.array([[1, 1, 0, 1, 1], [1, 0, 0, 1, 0]], bool)
    found = recurrent.states(params, jnp.float32(start), jnp.float32(x), jnp.asarray(valid))
    assert found.shape == (BATCH, STEPS + 1, WIDTH)
    for i in range(BATCH):
        state = start[i]
        np.testing.assert_allclose(found[i, 0], state, rtol=1e-6)
        for step in range(STEPS):
            state = by_hand(params, state, x[i, step]) if valid[i, step] else state
            np.testing.assert_allclose(found[i, step + 1], state, rtol=1e-4, atol=1e-5)
