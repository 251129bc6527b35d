"""Seeds as an axis: one program for many seeds does what as many runs of one seed do."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import (
    all_finite,
    assert_same,
    config,
    counting,
    flat,
    go_on,
    line,
    one_seed,
    programs,
    quick_compile,
    setup,
    train,
)

from structlat_jax.shapes import make_key
from structlat_jax.store.checkpoint import Checkpoints, keys_to_data, load_learned
from structlat_jax.train import parallel
from structlat_jax.train.learn import meta_step
from structlat_jax.train.setup import make_setup

STEPS = 10  # of five updates each
FIRST = 3
SEEDS = 4


@pytest.fixture(scope="module")
def together():
    return train(SEEDS, FIRST, STEPS)


def relative(a, b):
    a, b = flat(a), flat(b)
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def test_a_seed_names_the_same_key_under_every_setting():
    with jax.default_prng_impl("rbg"):
        key = make_key(3)
    assert jax.random.key_impl(key) == jax.random.key_impl(make_key(3))
    assert jnp.array_equal(jax.random.key_data(key), jax.random.key_data(make_key(3)))


def test_seeds_in_one_program_equal_single_runs(together):
    state, metrics = together
    for seed in range(SEEDS):
        alone, its_metrics = train(1, FIRST + seed, STEPS)
        assert int(alone.updates[0]) == int(state.updates[seed]) == 5 * STEPS
        assert relative(one_seed(state.learned, seed), one_seed(alone.learned)) < 1e-3
        assert relative(state.replay.rows[seed], alone.replay.rows[0]) < 1e-3
        for part in (agents_metrics, worlds_metrics):
            found, expected = part(metrics[-1]), part(its_metrics[-1])
            assert relative(one_seed(found, seed), one_seed(expected)) < 1e-2


def agents_metrics(metrics):
    return {name: metrics[name] for name in ("q", "v", "policy", "q_mean", "entropy")}


def worlds_metrics(metrics):
    return {name: metrics[name] for name in ("world_dynamics", "world_reward")}


def test_seeds_differ_in_everything_random(together):
    state, _ = together
    assert all_finite(state.learned)
    layout = setup().layout
    actions = layout.unpack(state.replay.rows).action
    learned = (state.params.encoder, state.params.policy, state.inference_params)
    for one in range(SEEDS):
        for other in range(one):
            for part in (*learned, actions, state.key):
                assert not np.allclose(flat(one_seed(part, one)), flat(one_seed(part, other)))


def test_seeds_start_with_their_own_networks_and_tasks():
    made, _ = programs(SEEDS)
    state = made.init(parallel.seed_numbers(made, 0))
    orders = {tuple(np.concatenate([a, b]).tolist()) for a, b in zip(*tasks(state), strict=True)}
    assert len(orders) > 1
    networks = {flat(one_seed(state.params.q, seed)).tobytes() for seed in range(SEEDS)}
    assert len(networks) == SEEDS


def tasks(state):
    return np.asarray(state.train_tasks), np.asarray(state.test_tasks)


@pytest.mark.slow
def test_vmap_equals_a_loop():
    made, hyper = programs(1)
    seeds = range(2)
    starts = [made.init(parallel.seed_numbers(made, seed)) for seed in seeds]
    both = jax.tree.map(lambda *x: jnp.concatenate(x), *starts)
    with quick_compile():
        mapped = jax.jit(jax.vmap(lambda s: meta_step(setup(), config().hyper, s)))
        state, metrics = mapped(mapped(both)[0])
    for seed in seeds:
        alone, its_metrics = go_on(1, made.init(parallel.seed_numbers(made, seed)), 2, hyper)
        assert relative(one_seed(state.learned, seed), one_seed(alone.learned)) < 1e-3
        assert relative(one_seed(metrics, seed), one_seed(its_metrics[-1])) < 1e-2
        np.testing.assert_array_equal(
            jax.random.key_data(state.key[seed]), jax.random.key_data(alone.key[0])
        )


def test_hyper_parameters_may_differ_between_seeds():
    made, _ = programs(SEEDS)
    rates = jnp.array([0.0, 1e-3, 0.0, 1e-3])
    hyper = parallel.spread(made, dataclasses.replace(config().hyper, lr=rates))
    before = flat_seeds(made.init(parallel.seed_numbers(made, 0)).params.policy)
    after = flat_seeds(
        go_on(SEEDS, made.init(parallel.seed_numbers(made, 0)), 1, hyper)[0].params.policy
    )
    moved = np.abs(after - before).max(axis=1) > 0
    assert moved.tolist() == [False, True, False, True]


def flat_seeds(tree, seeds=SEEDS):
    return np.stack([flat(one_seed(tree, seed)) for seed in range(seeds)])


def test_seeds_may_be_given_one_by_one():
    made = parallel.make_programs(setup(), 3, jax.devices()[:1])._replace(padded=4)
    assert parallel.seed_numbers(made, np.array([7, 2, 7])).tolist() == [7, 2, 7, 7]
    assert parallel.seed_numbers(made, 5).tolist() == [5, 6, 7, 8]
    rates = np.array([0.1, 0.2, 0.3])
    hyper = parallel.spread(made, dataclasses.replace(config().hyper, lr=rates))
    np.testing.assert_allclose(hyper.lr, [0.1, 0.2, 0.3, 0.3])
    assert hyper.tau.shape == (4,)


def test_an_unknown_mapping_is_refused():
    with pytest.raises(ValueError, match="vmap or loop"):
        parallel.make_programs(setup(), 2, mapping="scan")


def test_evaluation_keys_never_meet_those_of_training():
    train_key, eval_key = parallel.root_keys(jnp.uint32(7))
    other_train, other_eval = parallel.root_keys(jnp.uint32(8))
    data = {tuple(flat(key).tolist()) for key in (train_key, eval_key, other_train, other_eval)}
    assert len(data) == 4


@pytest.mark.parametrize("seeds", [0, -1])
def test_bad_number_of_seeds(seeds):
    with pytest.raises(ValueError, match="seeds must be at least 1"):
        parallel.make_programs(setup(), seeds)


def test_no_more_devices_than_seeds():
    made, _ = programs(1)
    assert made.padded == made.seeds == made.mesh.devices.size == 1


def test_hyper_parameters_do_not_recompile():
    counted = []
    made = parallel.make_programs(make_setup(config(), counting(line(), counted)), 1)
    numbers = parallel.seed_numbers(made, 0)
    state = jax.eval_shape(made.init, numbers)
    counted.clear()  # the environment was looked at before
    for lr in (1e-3, 1e-2):
        jax.eval_shape(made.step, parallel.spread(made, config(lr=lr).hyper), state)
    assert len(counted) == 1


ON_TWO_DEVICES = """
import sys
from pathlib import Path
import jax
jax.config.update("jax_num_cpu_devices", 2)
import numpy as np
import tiny
from structlat_jax.store import checkpoint
from structlat_jax.train import parallel
from structlat_jax.train.evaluate import references
from structlat_jax.shapes import make_key
first, steps, run = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
made = parallel.make_programs(tiny.setup(), 3)
assert (made.seeds, made.padded, made.mesh.devices.size) == (3, 4, 2)
hyper = parallel.spread(made, tiny.config().hyper)
state = made.init(parallel.seed_numbers(made, first))
assert len(state.params.q["params"]["bias_head"].sharding.device_set) == 2
for _ in range(steps):
    state, metrics = made.step(hyper, state)
params = [tiny.flat(tiny.one_seed(state.learned, seed)) for seed in range(4)]
np.savez(run / "out.npz", params=np.stack(params), q=np.asarray(metrics["q"]))
checkpoint.write_config(run, tiny.config(), seeds=3)
with checkpoint.Checkpoints(run) as saved:
    saved.save(steps, parallel.trim(made, state), [])
"""


@pytest.fixture(scope="module")
def on_two_devices(tmp_path_factory):
    """The folder of a run of three seeds, padded to four, in a process with two devices."""
    run = tmp_path_factory.mktemp("two")
    tests = Path(__file__).parents[1]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)]),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    command = [sys.executable, "-c", ON_TWO_DEVICES, str(FIRST), str(STEPS), str(run)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return run


def assert_close(found, expected):
    """Rows of parameters, one per seed, to one in a thousand."""
    error = np.linalg.norm(found - expected, axis=1)
    assert np.all(error / np.linalg.norm(expected, axis=1) < 1e-3)


@pytest.mark.slow
def test_two_devices_give_the_numbers_of_one(together, on_two_devices):
    state, metrics = together
    with np.load(on_two_devices / "out.npz") as found:
        assert_close(found["params"], flat_seeds(state.learned))
        np.testing.assert_allclose(found["q"], metrics[-1]["q"], rtol=1e-2)


@pytest.mark.slow
def test_a_run_on_two_devices_loads_on_one(together, on_two_devices):
    loaded = [load_learned(on_two_devices, seed, setup()) for seed in range(3)]
    assert_close(np.stack([flat(p) for p in loaded]), flat_seeds(together[0].learned)[:3])


@pytest.mark.slow
def test_a_run_on_two_devices_goes_on_with_one(together, on_two_devices):
    made = parallel.make_programs(setup(), 3, jax.devices()[:1])
    like = jax.eval_shape(made.init, parallel.seed_numbers(made, 0))
    with Checkpoints(on_two_devices) as saved:
        state = parallel.pad(made, saved.restore(like)[0])
    assert_close(flat_seeds(state.learned, 3), flat_seeds(together[0].learned)[:3])


def test_padding_repeats_the_last_seed_and_is_trimmed_again():
    made = parallel.make_programs(setup(), 3, jax.devices()[:1])._replace(padded=5)
    tree = {"x": jnp.arange(6.0).reshape(3, 2), "keys": jax.random.split(jax.random.key(0), 3)}
    plain = keys_to_data(tree)
    padded = parallel.pad(made, plain)
    assert padded["x"].tolist() == [[0, 1], [2, 3], [4, 5], [4, 5], [4, 5]]
    assert_same(parallel.trim(made, padded), plain)
