"""Training and evaluating in a host environment, held against the same one in jax."""

import dataclasses
from functools import cache

import choices
import host_line
import jax
import numpy as np
import pytest
import tiny
from tiny import assert_same, quick_compile

import structlat_jax as sl
from structlat_jax.config import ConfigError
from structlat_jax.envs import EnvError
from structlat_jax.envs.host import pools
from structlat_jax.inference.base import Learned
from structlat_jax.train import parallel, repeats
from structlat_jax.train.setup import assemble, make_setup

SEEDS = 2
FITS = {"updates_per_step": 4, "adapt_episodes": 2}  # what algorithms that learn from trials ask


def slow(kind):
    return pytest.param(kind, marks=pytest.mark.slow)


@pytest.fixture(autouse=True)
def quickly():
    with quick_compile(), pools.workers(1):
        yield
    pools.close()


@cache
def programs(kind, hosted, **changes):
    if kind == "chain":
        env = host_line.chain() if hosted else choices.chain()
    else:
        env = host_line.line(kind) if hosted else tiny.ENVIRONMENTS[kind]()
    return parallel.make_programs(make_setup(tiny.config(**changes), env), SEEDS, jax.devices()[:1])


@cache
def ran(kind, hosted, workers=1, **changes):
    """Two meta-steps and an evaluation; what came of them."""
    made = programs(kind, hosted, **changes)
    hyper = parallel.spread(made, tiny.config(**changes).hyper)
    numbers = parallel.seed_numbers(made, 3)
    with pools.workers(workers):
        state, metrics = made.init(numbers), []
        known = jax.device_get(
            made.references(state.params, state.train_tasks, state.test_tasks, numbers)
        )
        for _ in range(2):
            state, one = made.step(hyper, state)
            metrics.append(jax.device_get(one))
        found = repeats.evaluate(made, hyper, state, numbers, 10)
    return jax.device_get(tiny.keys_to_data(state)), metrics, found, known


def close(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4), one, other)


@pytest.mark.parametrize("kind", ["line", slow("ending"), slow("chain")])
def test_the_same_as_in_jax(kind):
    """The same keys, so the same episodes but for rounding: of the dynamics and of the policy."""
    (state, metrics, found, _), (other, others, expected, _) = ran(kind, True), ran(kind, False)
    if kind == "chain":
        assert set(np.unique(state.replay.rows[..., 1:4])) == {0.0, 1.0}
    close(state.replay, other.replay)
    close(state.params, other.params)
    close(metrics, others)
    assert state.updates.tolist() == [2 * tiny.SIZES["updates_per_step"]] * SEEDS
    np.testing.assert_array_equal(state.key, other.key)
    assert state.replay.success.any()
    if kind == "ending":
        assert (state.replay.length < tiny.HORIZON).any()
    close(found.adaptation, expected.adaptation)
    assert found.adaptation.returns.shape == (SEEDS, 6, 2, 4)


def test_observations_that_are_normalised_as_in_jax():
    """Each seed by its own moments."""
    (_, _, found, _), (_, _, expected, _) = (ran("line", at, obs_norm=True) for at in (True, False))
    close(found, expected)


@pytest.mark.slow
def test_the_inference_that_does_best_is_chosen_as_in_jax():
    changes = {"posterior": "task", "inference": "auto", "decoder_width": 4}
    found, expected = (ran("line", hosted, **changes)[2] for hosted in (True, False))
    close(found.selection.returns, expected.selection.returns)
    np.testing.assert_array_equal(found.selection.chosen, expected.selection.chosen)
    close(found.adaptation, expected.adaptation)


def test_the_same_with_two_workers():
    assert_same(ran("line", True), ran("line", True, workers=2))


def test_references():
    """The controller is measured; the untrained agent has as many draws of z as there are tasks."""
    known = ran("line", True)[3]
    np.testing.assert_allclose(known.oracle, tiny.ORACLE)
    assert known.floor.shape == (SEEDS, 6)
    assert (known.floor < tiny.ORACLE).all()


def test_tasks_of_a_test_of_its_own():
    own = host_line.line()

    def split(key, train, test):
        return own.sample_tasks(key, train), 3.0 + jax.random.uniform(key, (test,))

    tested = dataclasses.replace(own, split=split)
    made = parallel.make_programs(make_setup(tiny.config(), tested), 1)
    state = made.init(parallel.seed_numbers(made, 0))
    assert (np.abs(state.train_tasks) == 1.0).all()
    assert (np.asarray(state.test_tasks) > 3.0).all()
    assert state.test_tasks.shape == (1, 2)


@pytest.mark.slow
def test_evaluating_one_agent_as_in_jax():
    own, other = (make_setup(tiny.config(), e) for e in (host_line.line(), tiny.line()))
    learned = tiny.learned()
    tasks, key = np.array([1.0, -1.0, 1.0], np.float32), jax.random.key(5)
    found = sl.evaluate(learned, tasks, key, setup=own, workers=1)
    close(found, jax.device_get(sl.evaluate(learned, tasks, key, setup=other)))


def test_without_an_inference_that_looks_there_is_no_reset_more(monkeypatch):
    """The encoder's posterior asks for no observation before it chooses z."""
    own = make_setup(tiny.config(inference="amortised"), host_line.line())
    asked = []
    run = pools.Pool.run

    def noted(pool, policies, jobs):
        asked.append(jobs.kind)
        return run(pool, policies, jobs)

    monkeypatch.setattr(pools.Pool, "run", noted)
    parameters = Learned(tiny.learned().agent, own.inference.zeros())
    sl.evaluate(parameters, np.ones(1, np.float32), jax.random.key(0), setup=own)
    assert asked == ["act"] * tiny.SIZES["eval_episodes"]


@pytest.mark.slow
def test_an_agent_that_was_trained_there():
    with quick_compile():
        run = sl.train(tiny.config(), host_line.line(), updates=10, evals=1, workers=1)
    agent = run.agent(0)
    belief = agent.prior()
    assert agent.act(np.zeros(1), agent.sample_z(belief, jax.random.key(0))).shape == (1,)
    assert run.results["oracle_return"] == tiny.ORACLE
    assert run.results["env_steps"] == 2 * 4 * 5 * tiny.HORIZON
    np.testing.assert_allclose(run.adaptation["oracle_test"], tiny.ORACLE)


def test_no_more_than_one_latent_per_episode():
    with pytest.raises(ConfigError, match="eval_draws must be 1 on line, whose episodes run whole"):
        make_setup(tiny.config(eval_draws=2), host_line.line())


def test_an_algorithm_whose_policy_workers_do_not_have(monkeypatch):
    from structlat_jax.train import setup

    def without(parts, inference=None):
        made = assemble(parts, inference)
        algorithm = dataclasses.replace(made.algorithm, portable=None)
        return dataclasses.replace(made, algorithm=algorithm)

    monkeypatch.setattr(setup, "assemble", without)
    with pytest.raises(ConfigError, match="agents of pearl_sac cannot act in other, a host"):
        make_setup(tiny.config(), host_line.line(name="other"))


@pytest.mark.parametrize("algorithm", ["pearl-belief", "rl2", "varibad", "maml"])
def test_who_acts_on_a_belief_cannot_act_there(algorithm):
    with pytest.raises(ConfigError, match=f"agents of {algorithm} cannot act in line, a host"):
        make_setup(tiny.config(algorithm=algorithm, **FITS), host_line.line())


def test_a_mistake_in_the_middle_of_training_is_a_sentence():
    def success(info):
        return info["found"] if info["shaped"] > -1.9 else None

    made = make_setup(tiny.config(), host_line.line(success=success))
    with pytest.raises(EnvError, match=r"success of line must be a number, not None\."):
        sl.train(made, updates=10, evals=1)
