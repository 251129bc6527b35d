"""Training, evaluating, saving and loading from Python."""

import json
import signal

import jax
import numpy as np
import own_env
import pytest
from folders import assert_same_run, listing, results_of, rows_of
from own_env import times_run
from program import PER_STEP
from tiny import assert_same, line, quick_compile, setup

import structlat_jax as sl
from structlat_jax.envs import EnvError
from structlat_jax.errors import InputError
from structlat_jax.run.loggers import silent
from structlat_jax.store.run_folder import CheckpointError
from structlat_jax.train import repeats

SEEDS, FIRST = 2, 3
PLAN = {"seeds": SEEDS, "seed": FIRST, "updates": 18, "evals": 2}


@pytest.fixture(autouse=True)
def quickly(kept_programs):
    with quick_compile():
        yield


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def shared():
    return {}


@pytest.fixture
def trained(place, shared):
    """A run on the line that nothing was written of."""
    if not shared:
        shared["run"] = sl.train(setup(), **PLAN)
    return shared["run"]


def test_in_memory(place, monkeypatch):
    asked, evaluate = [], repeats.evaluate

    def noted(*arguments, **options):
        asked.append((arguments[4], options["repeats"]))
        return evaluate(*arguments, **options)

    monkeypatch.setattr(repeats, "evaluate", noted)
    trained = sl.train(setup(), **PLAN)
    assert asked == [(2 * PER_STEP, 1), (4 * PER_STEP, None)]  # once, and as often as configured
    assert list(place.iterdir()) == []
    assert trained.path is None
    found, s = trained.results, setup().structure
    assert (found["env"], found["seeds"], found["first_seed"]) == ("line", SEEDS, FIRST)
    assert found["updates"] == 4 * PER_STEP
    assert [row["updates"] for row in trained.metrics] == [5, 5, 10, 10, 15, 15, 20, 20]
    returns = trained.adaptation["returns_test"]
    assert returns.shape == (SEEDS, s.test_tasks, s.eval_repeats, s.eval_episodes)
    last = returns[..., -1].mean(axis=(1, 2))
    assert found["test_return"]["per_seed"] == pytest.approx(last.tolist())
    assert trained.metrics[-1]["test_return"] == pytest.approx(last[-1])
    assert "outcome" not in repr(trained)


def test_an_agent_of_each_seed(trained):
    agents = [trained.agent(seed) for seed in range(SEEDS)]
    z = agents[0].sample_z(agents[0].prior(), jax.random.key(0))
    actions = [agent.act(np.zeros(1), z) for agent in agents]
    assert not np.allclose(*actions)
    for seed in (-1, SEEDS):
        with pytest.raises(ValueError, match=f"seed must be from 0 to 1, not {seed}"):
            trained.agent(seed)


def test_a_folder_holds_what_is_in_memory(trained, place):
    run = sl.train(setup(), **PLAN, out="run")
    assert str(run.path) == "run"
    assert results_of(run.path) == {"schema_version": 1, **json.loads(json.dumps(run.results))}
    assert rows_of(run.path) == [{k: str(v) for k, v in row.items()} for row in filled(run.metrics)]
    with np.load(run.path / "adaptation.npz") as stored:
        assert stored.keys() - {"axes"} == run.adaptation.keys()
        for name, values in run.adaptation.items():
            np.testing.assert_array_equal(values, trained.adaptation[name])
            np.testing.assert_array_equal(values, stored[name])
    assert (run.path / "learning_curve.png").exists()
    for seed in range(SEEDS):
        agent = sl.load("run", seed, env=line())
        assert_same(agent.learned, run.agent(seed).learned)
        assert_same(agent.learned, trained.agent(seed).learned)
    # The setup was made of an object, and its configuration has the default environment's name.
    env = json.loads((run.path / "config.json").read_text())["env"]
    assert env == {"name": "", "options": {}, "title": "line", "widths": [1, 1, 4]}
    with pytest.raises(EnvError, match="line was handed over as an object: hand it over again"):
        sl.load("run")


def filled(rows):
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name, "") for name in columns} for row in rows]


class Halt(Exception):
    pass


def halting(at, error=Halt):
    """A logger that ends the run, as a user's own may."""

    def log(updates, metrics):
        if updates == at:
            raise error

    return silent()._replace(log=log)


def test_a_run_that_ended_early_goes_on(place):
    whole = sl.train(setup(), **PLAN, out="whole", checkpoint_seconds=0)
    with pytest.raises(Halt):
        sl.train(setup(), **PLAN, out="run", checkpoint_seconds=0, loggers=[halting(15)])
    again = sl.train(setup(), **PLAN, out="run", resume=True, checkpoint_seconds=0)
    assert_same_run(again.path, whole.path)
    assert_same(again.agent(1).learned, whole.agent(1).learned)


def test_resume_starts_what_has_not_begun(place):
    run = sl.train(setup(), **PLAN, out="new", resume=True)
    assert len(run.metrics) == 4 * SEEDS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_what_was_learned_is_kept(place, number):
    def log(updates, metrics):
        if updates == 10:
            signal.raise_signal(number)

    before, closed = signal.getsignal(number), []
    ends = sl.Logger(log=log, message=lambda text: None, close=lambda: closed.append(True))
    with pytest.raises(KeyboardInterrupt):
        sl.train(setup(), **PLAN, out="run", loggers=[ends])
    assert closed == [True]
    assert signal.getsignal(number) == before
    assert {path.name for path in (place / "run" / "checkpoint").iterdir()} == {"2"}
    assert len(sl.train(setup(), **PLAN, out="run", resume=True).metrics) == 4 * SEEDS
    with pytest.raises(KeyboardInterrupt):
        sl.train(setup(), **PLAN, loggers=[ends])


def test_a_folder_of_something_else_is_refused(place):
    sl.train(setup(), **PLAN, out="run")
    before = listing(place)
    with pytest.raises(InputError, match="not empty"):
        sl.train(setup(), **PLAN, out="run")
    with pytest.raises(CheckpointError, match="made with another seeds"):
        sl.train(setup(), **{**PLAN, "seeds": 3}, out="run", resume=True)
    with pytest.raises(CheckpointError, match="made with another width"):
        sl.train(setup(width=5), **PLAN, out="run", resume=True)
    with pytest.raises(InputError, match="file system"):
        sl.train(setup(), **PLAN, out="gs://bucket/run")
    assert listing(place) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"updates": 0}, "updates must be a whole number from 1"),
        ({"seeds": 0}, "seeds must be a whole number from 1"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"evals": 1.5}, "evals must be a whole number"),
        ({"checkpoint_seconds": -1}, "checkpoint_seconds must be a number from 0"),
        ({"env": "nowhere"}, "env must be one of point_robot"),
        ({"env": "absent.py"}, "there is no file absent.py"),
        ({"config": setup(), "env": "point_robot"}, "a setup has its environment"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(place, arguments, said):
    with pytest.raises(ValueError, match=said):
        sl.train(**{"out": "run", **arguments})
    assert list(place.iterdir()) == []


@pytest.mark.slow
def test_the_first_preset_of_an_environment_is_what_it_trains_with(place):
    own_env.write(place)
    run = sl.train(env="own.py", seeds=2, evals=1)
    assert run.results["updates"] == own_env.UPDATES
    assert run.results["preset"] == "quick"
    assert run.setup.config.structure.inference == "amortised"
    assert run.setup.config.env.name == "own.py:make"


def test_an_agent_is_one_file(trained, place, tmp_path_factory, monkeypatch):
    agent = trained.agent(1)
    path = agent.save("agent.safetensors")
    assert [file.name for file in place.iterdir()] == ["agent.safetensors"]
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(EnvError, match="hand it over again"):
        sl.load(place / path)
    again = sl.load(place / path, env=line())
    assert_same(again.learned, agent.learned)
    assert again.config.structure == agent.config.structure
    z = agent.sample_z(agent.prior(), jax.random.key(0))
    assert_same(again.sample_z(again.prior(), jax.random.key(0)), z)
    assert_same(again.act(np.ones(1), z), agent.act(np.ones(1), z))


@pytest.mark.slow
def test_an_agent_of_an_environment_of_a_file(place, tmp_path_factory, monkeypatch):
    file = own_env.write(place)
    run = sl.train(env="own.py", seeds=2, evals=1, out="run")
    run.agent(0).save("agent.safetensors")
    ran = times_run(place)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    for path in (place / "run", place / "agent.safetensors"):
        with pytest.raises(EnvError, match="is not run unasked"):
            sl.load(path)
        assert times_run(place) == ran
        for env in (file, str(file), f"{file}:make", sl.envs.make(file)):
            again = sl.load(path, env=env)
            assert_same(again.learned, run.agent(0).learned)
        ran = times_run(place)
        with pytest.raises(EnvError, match="is not the one that was trained on"):
            sl.load(path, env="point_robot")


@pytest.mark.slow
def test_agents_are_evaluated_on_tasks_of_ones_own(trained):
    agent, s = trained.agent(0), setup().structure
    tasks = setup().env.sample_tasks(jax.random.key(1), 6)
    found = sl.evaluate(agent, tasks, jax.random.key(2))
    assert found.returns.shape == (6, s.eval_repeats, s.eval_episodes)
    assert np.all(np.isfinite(found.returns))
    again = sl.evaluate(agent.learned, tasks, jax.random.key(2), setup=setup())
    assert_same(again, found)
    other = sl.evaluate(agent, tasks, jax.random.key(3))
    assert not np.array_equal(other.z, found.z)
    short = sl.evaluate(agent, tasks, jax.random.key(2), eval_episodes=3, eval_repeats=1)
    assert short.returns.shape == (6, 1, 3)


def test_an_evaluation_that_cannot_be(trained):
    agent, tasks, key = trained.agent(0), setup().env.sample_tasks(jax.random.key(1), 2), None
    with pytest.raises(ValueError, match="hand their setup over"):
        sl.evaluate(agent.learned, tasks, key)
    with pytest.raises(sl.ConfigError, match="there is no field 'episodes'"):
        sl.evaluate(agent, tasks, key, episodes=3)
    with pytest.raises(sl.ConfigError, match="eval_prior_episodes must be below"):
        sl.evaluate(agent, tasks, key, eval_prior_episodes=4)
