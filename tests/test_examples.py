"""The agents that come with the library: each is what is said of it, and acts."""

import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import structlat_jax as sl
from experiments.examples import best_seed
from structlat_jax.errors import InputError

NAMES = sl.examples.names()


def one_or(mark):
    """The first agent, and the others with a mark."""
    return pytest.mark.parametrize(
        "name", [NAMES[0], *(pytest.param(name, marks=mark) for name in NAMES[1:])]
    )


one_or_slow, one_or_idle = one_or(pytest.mark.slow), one_or(pytest.mark.idle)


@one_or_slow
def test_it_is_what_is_said_of_it(name):
    agent, about = sl.examples.agent(name), sl.examples.about(name)
    assert (agent.config.env.name, str(agent.config.latent_space())) == (
        about["env"],
        about["latent"],
    )
    assert dict(agent.config.env.options) == about["env_options"]
    assert sl.examples.file_of(name).stat().st_size < 2**19


def test_there_are_at_least_five_of_several_environments():
    known = sl.examples.names()
    assert len(known) >= 5
    assert len({sl.examples.about(name)["env"] for name in known}) >= 3
    files = {path.stem for path in sl.examples.FOLDER.glob("*.safetensors")}
    assert files == set(known)


def test_one_acts_and_believes():
    agent = sl.examples.agent("drive_mix-dir1x3-gau2")
    z = agent.sample_z(agent.prior(), jax.random.key(0))
    action = agent.act(np.zeros(agent.env.obs_dim), z)
    assert action.shape == (agent.env.action_dim,)
    assert np.all(np.abs(action) <= 1)
    assert np.any(np.abs(action) > 0.05)  # it has learned something


def test_what_there_is_not():
    with pytest.raises(InputError, match=r"must be one of .*tetrahedron.*, not 'absent'\.$"):
        sl.examples.agent("absent")


def test_the_seed_that_is_shipped_is_the_best_on_training_tasks():
    def run(train, test):
        results = {"train_return": {"per_seed": train}, "test_return": {"per_seed": test}}
        return SimpleNamespace(results=results, path="run")

    assert best_seed(run([1.0, None, 3.0, 2.0], [9.0, None, 1.0, 2.0])) == 2
    with pytest.raises(InputError, match="run has no seed that is finite"):
        best_seed(run([None, None], [None, None]))


@pytest.mark.slow
@one_or_idle
def test_it_returns_what_is_said_of_it(name):
    """On tasks that nobody has seen before; what is said is of ten tasks, so it is not precise."""
    agent, about = sl.examples.agent(name), sl.examples.about(name)
    tasks = agent.env.sample_tasks(jax.random.key(12345), 20)
    found = sl.evaluate(agent, tasks, jax.random.key(1))
    last = float(np.mean(np.asarray(found.returns)[..., -1]))
    assert last > 0.85 * about["test_return"]
    print(dataclasses.asdict(agent.config.env)["name"], last, about["test_return"])
