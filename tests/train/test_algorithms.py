"""The algorithms beside PEARL as programs: keys, traces, seeds, evaluation, agents."""

import collections
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import HORIZON, ORACLE, all_finite, config, dense, flat, line, one_seed, quick_compile

import structlat_jax as sl
from structlat_jax.agent import make_agent
from structlat_jax.config import ConfigError
from structlat_jax.inference.base import Learned
from structlat_jax.train import evaluate as evaluation
from structlat_jax.train import parallel
from structlat_jax.train.learn import init, meta_step
from structlat_jax.train.setup import make_setup

ON_POLICY = ["rl2", "varibad", "maml"]
EVERY = ["pearl-belief", "oracle", *ON_POLICY]
SIZES = {
    "updates_per_step": 4,
    "minibatches": 2,
    "trial_episodes": 4,
    "task_trials": 1,
    "hidden": 3,
    "belief_updates": 2,
    "belief_trials": 2,
    "kept_steps": 2,
    "adapt_episodes": 2,
}
each = pytest.mark.parametrize("algorithm", EVERY)


@functools.cache
def setup(algorithm, **changes):
    return make_setup(config(algorithm=algorithm, **{**SIZES, **changes}), line())


TRACED = collections.Counter()
"""How often each algorithm's meta-step was traced."""


@functools.cache
def stepper(algorithm):
    own = setup(algorithm)

    def step(state):
        TRACED[algorithm] += 1
        return meta_step(own, own.config.hyper, state)

    return jax.jit(step)


@functools.cache
def trained(algorithm):
    """After two meta-steps, under the checker of keys: the state, and the metrics of the last."""
    with jax.debug_key_reuse(True), quick_compile():
        state = jax.jit(lambda key: init(setup(algorithm), key))(jax.random.key(0))
        return stepper(algorithm)(stepper(algorithm)(state)[0])


@each
def test_a_meta_step_changes_all_networks_uses_no_key_twice_and_is_traced_once(algorithm):
    before = init(setup(algorithm), jax.random.key(0)).params
    state, metrics = trained(algorithm)
    assert TRACED[algorithm] == 1
    assert int(state.updates) == 8
    assert float(metrics["not_finite_at"]) == 0.0
    assert all_finite((state.learned, metrics))
    for name in set(before._fields) - {"truth", "temperature"}:
        assert not np.array_equal(flat(getattr(before, name)), flat(getattr(state.params, name)))


def test_a_key_that_is_used_twice_would_be_seen():
    def twice(key):
        return jax.random.normal(key) + jax.random.uniform(key)

    with jax.debug_key_reuse(True), pytest.raises(jax.errors.KeyReuseError):
        jax.jit(twice)(jax.random.key(0))


@pytest.mark.slow
@each
def test_vmap_over_seeds_is_a_loop(algorithm):
    own = setup(algorithm)
    keys = jax.random.split(jax.random.key(2), 2)
    with quick_compile():
        both = jax.jit(jax.vmap(lambda key: init(own, key)))(keys)
        mapped = jax.jit(jax.vmap(lambda s: meta_step(own, own.config.hyper, s)))(both)[0]
        for seed in range(2):
            alone = jax.jit(lambda s: meta_step(own, own.config.hyper, s))(one_seed(both, seed))[0]
            found, expected = flat(one_seed(mapped.learned, seed)), flat(alone.learned)
            np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)
    assert not np.array_equal(flat(one_seed(both.params, 0)), flat(one_seed(both.params, 1)))


def adapted(algorithm, learned, tasks):
    own = setup(algorithm)
    with quick_compile():
        return jax.jit(
            lambda: evaluation.evaluate(own, own.config.hyper, learned, tasks, jax.random.key(3))
        )()


@pytest.mark.slow
@each
def test_an_agent_acts_as_evaluation_does(algorithm):
    """Step by step through the public interface: the same returns, episode by episode."""
    own, state = setup(algorithm), trained(algorithm)[0]
    s = own.structure
    tasks = jnp.array([1.0, -1.0])
    found = adapted(algorithm, state.learned, tasks)
    assert found.returns.shape == (2, s.eval_repeats, s.eval_episodes)
    agent = make_agent(own, state.learned)
    if own.inference.explores:
        return  # its first episodes are random
    for number, task in enumerate(tasks):
        belief = agent.prior(task=task) if algorithm == "oracle" else agent.prior()
        for episode in range(s.eval_episodes):
            position, total = jnp.zeros(1), 0.0
            for _ in range(HORIZON):
                z = agent.sample_z(belief, jax.random.key(0))
                action = agent.act(position, z)
                out = own.env.step(position, action, task)
                seen = (position, action, out.reward, 0.0, out.obs, out.done)
                belief = agent.update(belief, sl.Transition(*seen))
                position, total = out.state, total + float(out.reward)
            np.testing.assert_allclose(total, found.returns[number, 0, episode], atol=1e-4)
    assert agent.mean_z(belief).shape == (own.space.dim,)
    assert agent.kl(belief).shape == (2,)


def test_maml_explores_in_the_episodes_that_it_adapts_to_and_in_no_other():
    learned, tasks, sizes = trained("maml")[0].learned, jnp.zeros(1), {"eval_episodes": 5}
    returns = []
    for prior in (1, 3):
        own = setup("maml", eval_prior_episodes=prior, **sizes)
        given = (own, own.config.hyper, learned, tasks, jax.random.key(3))
        with quick_compile():
            returns.append(jax.jit(functools.partial(evaluation.evaluate, own))(*given[1:]).returns)
    np.testing.assert_array_equal(*returns)
    found = np.asarray(returns[0])[0, 0]
    assert len(set(found[:3].tolist())) == 3
    np.testing.assert_array_equal(found[2:], found[2])


def test_maml_adapts_after_its_exploring_episodes_and_not_before():
    own, state = setup("maml"), trained("maml")[0]
    agent = make_agent(own, state.learned)
    belief, start = agent.prior(), flat(state.params.policy)
    for step in range(3 * HORIZON):
        at = jnp.full(1, 0.1 * step)
        belief = agent.update(belief, sl.Transition(at, 0.1 * at, step % 3 - 1.0, 0.0, at, 0.0))
        given = agent.sample_z(belief, jax.random.key(0))
        assert np.array_equal(given, start) == (step + 1 < 2 * HORIZON)


@pytest.mark.parametrize("algorithm", ["rl2", "varibad"])
def test_what_a_trial_found_out_is_kept_between_its_episodes_and_no_longer(algorithm):
    own, state = setup(algorithm), trained(algorithm)[0]
    inference, learned = own.inference, state.learned
    start = inference.init(learned, None, None)
    assert not np.any(start.hidden)
    seen = sl.Transition(
        *(jnp.ones((HORIZON, n)) for n in (1, 1)),
        *[jnp.ones(HORIZON)] * 2,
        jnp.ones((HORIZON, 1)),
        jnp.zeros(HORIZON),
    )
    after = inference.update(learned, own.config.hyper, start, seen, jnp.int32(HORIZON))
    assert np.any(after.hidden)
    assert int(after.clock) == 0  # the episode is over at the horizon
    part = inference.update(learned, own.config.hyper, start, seen, jnp.int32(2))
    assert int(part.clock) == 2


@pytest.mark.slow
@each
def test_an_untrained_agent_is_paid_what_the_floor_says_it_is_about(algorithm):
    own = setup(algorithm)
    state = init(own, jax.random.key(4))
    with quick_compile():
        found = jax.jit(
            lambda: evaluation.references(own, state.params, jnp.ones(3), jax.random.key(5))
        )()
    assert found.floor.shape == (3,)
    assert np.all(found.floor < 0.7 * ORACLE)


def test_who_must_be_told_needs_an_environment_that_tells():
    with pytest.raises(ConfigError, match="algorithm must be another, since dense has no factors"):
        make_setup(config(algorithm="oracle"), dense())


def test_only_who_has_to_be_told_can_be():
    agent = make_agent(setup("rl2"), trained("rl2")[0].learned)
    with pytest.raises(ValueError, match="rl2 has to find out"):
        agent.prior(task=jnp.float32(1.0))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"updates_per_step": 5}, "updates_per_step"),
        ({"minibatches": 16, "updates_per_step": 16}, "minibatches"),
        ({"algorithm": "maml", "adapt_episodes": 3}, "adapt_episodes"),
        ({"algorithm": "maml", "adapt_episodes": 1}, "adapt_episodes"),
        ({"algorithm": "maml", "eval_episodes": 2, "eval_prior_episodes": 1}, "adapt_episodes"),
    ],
)
def test_sizes_that_do_not_fit_each_other(changes, field):
    with pytest.raises(ConfigError) as caught:
        config(**{"algorithm": "rl2", **SIZES, **changes})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [("pearl", 3), ("pearl-belief", 1), ("oracle", 1), ("rl2", 1), ("varibad", 1), ("maml", 2)],
)
def test_what_was_seen_decides_from_then_on(algorithm, expected):
    own = {**SIZES, "eval_episodes": 5, "eval_prior_episodes": 3}
    assert config(algorithm=algorithm, **own).structure.blind_episodes == expected


@pytest.mark.parametrize("algorithm", ["varibad", "oracle", "maml"])
def test_saved_and_loaded_it_is_the_same_agent(algorithm, tmp_path):
    own = make_setup(config(algorithm=algorithm, **SIZES), sl.envs.make("point_robot"))
    learned = Learned(init(own, jax.random.key(6)).params, {})
    agent = make_agent(own, learned)
    again = sl.load(agent.save(tmp_path / "agent.safetensors"))
    assert again.setup.algorithm.name == algorithm
    z = agent.sample_z(agent.prior(), jax.random.key(0))
    np.testing.assert_array_equal(agent.act(jnp.ones(2), z), again.act(jnp.ones(2), z))


@pytest.mark.slow
def test_programs_over_devices_serve_them_all():
    made = parallel.make_programs(setup("varibad"), 2, jax.devices()[:1])
    hyper = parallel.spread(made, made.setup.config.hyper)
    with quick_compile():
        state = made.init(parallel.seed_numbers(made, 0))
        chex.assert_tree_shape_prefix(state.replay, (2,))
        state, metrics = made.step(hyper, state)
    assert {"kl cat:1x3", "kl gau:1", "learned", "decoder_reward"} < metrics.keys()
