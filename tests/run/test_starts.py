"""Several starts of a seed: which of them goes on, and that nothing of them is lost."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folders import assert_same_run, results_of, rows_of
from test_api import Halt
from tiny import assert_same, config, quick_compile, setup

import structlat_jax as sl
from structlat_jax.run import starts
from structlat_jax.run.loggers import silent
from structlat_jax.run.plan import Plan
from structlat_jax.run.stop import Stop
from structlat_jax.shapes import data_to_keys, keys_to_data
from structlat_jax.train import parallel
from structlat_jax.train.state import TrainState

SEEDS, TRIES, EACH, STEPS = 2, 3, 2, 4
RUN = {"seeds": SEEDS, "seed": 3, "updates": 20, "evals": 1, "checkpoint_seconds": 0}


def several():
    return setup(starts=TRIES, start_updates=7)  # two meta-steps of five


@pytest.fixture(autouse=True)
def quickly(kept_programs):
    with quick_compile():
        yield


@pytest.fixture
def words(monkeypatch):
    """The logger of a run that says after every meta-step how far its start is."""
    monkeypatch.setattr(starts, "QUIET", 0.0)

    def make(at=None, then=None):
        said = []

        def message(text):
            if text.startswith("start "):
                said.append(text)
                if len(said) == at:
                    then()

        return said, silent()._replace(message=message)

    return make


def by_hand():
    """What is learned by the start that returns most, seed by seed."""
    made = parallel.make_programs(several(), SEEDS)
    hyper = parallel.spread(made, several().config.hyper)
    numbers = parallel.seed_numbers(made, RUN["seed"])
    ends, returned = [], []
    for start in range(TRIES):
        state = made.restart(numbers, start) if start else made.init(numbers)
        for _ in range(EACH):
            state, metrics = made.step(hyper, state)
        ends.append(parallel.trim(made, keys_to_data(state)))
        returned.append(np.asarray(metrics["collected_posterior_return"])[:SEEDS])
    best = np.argmax(returned, axis=0)
    plain = jax.tree.map(lambda *x: np.stack([x[k][i] for i, k in enumerate(best)]), *ends)
    state = parallel.pad(made, data_to_keys(plain, jax.eval_shape(made.init, numbers)))
    for _ in range(STEPS - EACH):
        state, _ = made.step(hyper, state)
    return best, parallel.trim(made, state.learned)


@pytest.mark.slow
def test_the_start_that_returns_most_goes_on(tmp_path, words):
    best, learned = by_hand()
    said, logger = words()
    run = sl.train(several(), **RUN, out=tmp_path / "run", loggers=[logger])
    for seed in range(SEEDS):
        own = jax.tree.map(lambda x, seed=seed: x[seed], learned)
        assert_same(run.agent(seed).learned, own)
    assert len(set(best)) == SEEDS, "both seeds go on from the same start, which shows less"
    assert [text.split(":")[0] for text in said[1::2]] == [
        f"start {k + 1} of {TRIES}" for k in range(TRIES)
    ]
    assert not (tmp_path / "run" / "starts").exists()
    rows = rows_of(tmp_path / "run")
    assert [int(row["updates"]) for row in rows] == [u for u in (5, 10, 15, 20) for _ in "ab"]
    seconds = [float(row["seconds"]) for row in rows[-SEEDS * (STEPS - EACH + 1) :]]
    assert seconds == sorted(seconds)
    per_step = several().env_steps_per_step
    assert results_of(tmp_path / "run")["env_steps"] == (STEPS + 2 * EACH) * per_step


@pytest.mark.slow
def test_one_start_is_the_first_of_several(tmp_path):
    run = sl.train(setup(), **RUN)
    made = parallel.make_programs(several(), SEEDS)
    numbers = parallel.seed_numbers(made, RUN["seed"])
    first, second = made.init(numbers), made.restart(numbers, 1)
    one = parallel.make_programs(setup(), SEEDS).init(numbers)
    assert_same(keys_to_data(first), keys_to_data(one))
    assert_same((first.train_tasks, first.test_tasks), (second.train_tasks, second.test_tasks))
    both = (keys_to_data((x.params.policy, x.key)) for x in (first, second))
    for x, y in zip(*map(jax.tree.leaves, both), strict=True):
        assert not np.any(x) or not np.array_equal(x, y)
    assert run.results["env_steps"] == STEPS * setup().env_steps_per_step


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("starts") / "whole"
    with quick_compile():
        sl.train(several(), **RUN, out=folder)
    return folder


def halt():
    raise Halt


def interrupt():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize(("at", "then"), [*((k, halt) for k in range(1, 7)), (3, interrupt)])
def test_a_start_that_ends_early_goes_on(tmp_path, words, whole, at, then):
    _, logger = words(at, then)
    with pytest.raises((Halt, KeyboardInterrupt)):
        sl.train(several(), **RUN, out=tmp_path / "run", loggers=[logger])
    assert (tmp_path / "run" / "starts").is_dir()
    said, logger = words()
    sl.train(several(), **RUN, out=tmp_path / "run", resume=True, loggers=[logger])
    assert len(said) == TRIES * EACH - (at - 1 if then is halt else at)
    assert_same_run(tmp_path / "run", whole)
    assert not (tmp_path / "run" / "starts").exists()


def plan(**changes):
    made = config(**{"starts": TRIES, "start_updates": 7, **changes})
    return Plan(made, "cpu", SEEDS, 3, 20, 1, 0)


class Scripted:
    """Programs whose meta-steps return what is written for them, and a state that says which start
    it is of."""

    seeds = padded = SEEDS

    def __init__(self, returns, not_finite_at=None):
        self.returns, self.at = (
            iter(returns),
            iter(not_finite_at or np.zeros((len(returns), SEEDS))),
        )

    def step(self, hyper, state):
        metrics = {"collected_prior_return": np.zeros(SEEDS), "not_finite_at": next(self.at)}
        metrics["collected_posterior_return"] = np.array(next(self.returns), float)
        return state._replace(updates=state.updates + 5), metrics

    @staticmethod
    def state(start):
        keys = jax.random.split(jax.random.key(start), SEEDS)
        blank = dict.fromkeys(TrainState._fields, ())
        own = {"params": np.full((SEEDS, 1), start), "updates": np.zeros(SEEDS, int), "key": keys}
        return TrainState(**{**blank, **own})


@pytest.fixture
def scripted(monkeypatch):
    monkeypatch.setattr(parallel, "pad", lambda programs, tree: tree)
    monkeypatch.setattr(parallel, "trim", lambda programs, tree: jax.device_get(tree))

    def choose(*arguments, **changes):
        made = Scripted(*arguments)
        given = starts.Given(plan(**changes), made, None, [3, 4], made.state)
        with Stop() as stop:
            return starts.choose(given, made.state(0), None, silent(), stop)

    return choose


def test_each_seed_has_its_own_best_start(scripted):
    found = scripted([[9, 0], [1, 2], [0, 0], [3, 1], [0, 0], [2, 2]])
    np.testing.assert_array_equal(found.state.params, [[1], [0]])  # the earlier of two that tie
    np.testing.assert_array_equal(found.state.updates, [10, 10])
    keys = [Scripted.state(1).key[0], Scripted.state(0).key[1]]
    np.testing.assert_array_equal(
        jax.random.key_data(found.state.key), jax.random.key_data(jnp.stack(keys))
    )
    assert [row["collected_posterior_return"] for row in found.rows] == [0, 0, 3, 2]
    assert [row["seed"] for row in found.rows] == [3, 4, 3, 4]


def test_what_is_not_finite_does_not_go_on(scripted):
    nan = float("nan")
    returns = [[0, 0], [5, nan], [0, 0], [1, nan], [0, 0], [nan, nan]]
    at = [[0, 0], [9, 0], [0, 0], [0, 0], [0, 0], [0, 3]]
    found = scripted(returns, at)
    np.testing.assert_array_equal(found.state.params, [[1], [0]])  # none is finite: the first
    np.testing.assert_array_equal(found.state.updates, [10, 10])
    assert not any("not_finite_at" in row for row in found.rows)


def test_the_last_third_of_a_start_counts(scripted):
    rising = [[0, 0]] * 4 + [[1, 1]] * 2
    falling = [[9, 9]] * 4 + [[0, 3]] * 2
    found = scripted(rising + falling, starts=2, updates_per_step=1, start_updates=6)
    np.testing.assert_array_equal(found.state.params, [[0], [1]])


@pytest.mark.parametrize(
    ("changes", "each"),
    [({}, EACH), ({"starts": 1}, 0), ({"start_updates": 16}, 0), ({"start_updates": 15}, 3)],
)
def test_meta_steps_of_a_start(changes, each):
    assert starts.steps(plan(**changes)) == each
    assert starts.extra_steps(plan(**changes)) == 2 * each
