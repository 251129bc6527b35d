"""Loggers: what they are told, and that nobody has to name a metric for it to arrive."""

import dataclasses
import io
import re
import struct
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from folders import rows_of
from program import PER_STEP, TINY, assert_refused
from rich.console import Console
from tiny import quick_compile, setup

import structlat_jax as sl
from structlat_jax.errors import InputError
from structlat_jax.run.loggers import Logger, combine, silent, to_tensorboard, to_wandb
from structlat_jax.run.loggers.console import Meter
from structlat_jax.train.setup import assemble

STEPS, SEEDS, FIRST = 4, 2, 3


class Recorder:
    """A user's own."""

    def __init__(self):
        self.logged, self.said, self.closed = [], [], 0

    def logger(self):
        def close():
            self.closed += 1

        def log(updates, metrics):
            self.logged.append((updates, dict(metrics)))

        return sl.Logger(log=log, message=self.said.append, close=close)


def test_all_of_them_are_told_in_turn():
    one, other = Recorder(), Recorder()
    both = combine([one.logger(), other.logger(), silent()])
    both.log(5, {"q": np.ones(2)})
    both.message("compiled")
    both.close()
    for each in (one, other):
        assert [updates for updates, _ in each.logged] == [5]
        assert (each.said, each.closed) == (["compiled"], 1)


def test_the_console_shows_what_somebody_added():
    out = io.StringIO()
    metrics = {"q": np.ones(2), "test_return": np.ones(2), "surprise": np.array([0.25, 0.75])}
    with Meter([20], Console(file=out, width=100)) as meter:
        meter.logger().log(20, metrics)
    assert out.getvalue().split() == ["20/20", "updates", "test", "1.00", "surprise", "0.5"]


@pytest.fixture(scope="module")
def surprised():
    """An inference that reports a metric of its own: the updates done, plus the task's place."""
    usual = setup(inference="amortised")

    def fit(hyper, state, sampler, key):
        place = jnp.mean(state.train_tasks)
        return state, {"surprise": state.updates + 0.25 + 0.0 * place, "odd name": jnp.float32(7)}

    return assemble(usual, inference=dataclasses.replace(usual.inference, fit=fit))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return {"folder": tmp_path_factory.mktemp("logged")}


@pytest.fixture
def logged(surprised, shared, kept_programs):
    """A run, all that its loggers were told, and the console's text."""
    if "made" not in shared:
        shared["made"] = train_and_log(surprised, shared["folder"])
    return shared["made"]


def train_and_log(surprised, folder):
    own, out = Recorder(), io.StringIO()
    with Meter([STEPS * PER_STEP], Console(file=out, width=200)) as meter, quick_compile():
        run = sl.train(
            surprised,
            seeds=SEEDS,
            seed=FIRST,
            updates=STEPS * PER_STEP,
            evals=2,
            out=folder / "run",
            loggers=[
                own.logger(),
                meter.logger(),
                sl.loggers.tensorboard(folder / "events", range(FIRST, FIRST + SEEDS)),
            ],
        )
    return run, own, out.getvalue(), folder


def test_a_users_logger_is_told_every_metric_of_every_seed(logged):
    run, own, _, _ = logged
    assert [updates for updates, _ in own.logged] == [5, 10, 15, 20]
    assert own.closed == 1
    assert "compiled in" in own.said[0]
    for step, (updates, metrics) in enumerate(own.logged):
        rows = run.metrics[SEEDS * step : SEEDS * (step + 1)]
        assert metrics.keys() == rows[0].keys() - {"updates", "seed"}
        assert ("test_return" in metrics) == (updates in (10, 20))
        for name, values in metrics.items():
            np.testing.assert_array_equal(values, [row[name] for row in rows])
        np.testing.assert_array_equal(metrics["surprise"], [updates + 0.25] * SEEDS)


def test_the_table_has_it(logged):
    rows = rows_of(logged[0].path)
    assert [float(row["surprise"]) for row in rows] == [
        float(row["updates"]) + 0.25 for row in rows
    ]
    assert {row["odd name"] for row in rows} == {"7.0"}


def test_the_console_has_it(logged):
    lines = [line for line in logged[2].splitlines() if "updates/s" in line]
    assert len(lines) == 2
    assert "surprise 10.2" in lines[0]
    assert "surprise 20.2" in lines[1]
    assert all("odd name 7" in line for line in lines)


def events_in(folder):
    """``(tag, step)`` to value of all event files of a folder, by tensorboardX's own messages."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in folder.glob("events.out.tfevents.*"):
        data = path.read_bytes()
        while data:  # records: length, its checksum, a message, its checksum
            (size,) = struct.unpack("<Q", data[:8])
            event, data = Event.FromString(data[12 : 12 + size]), data[16 + size :]
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found[value.tag, event.step] = value.simple_value
    return found


def assert_all_there(events, rows):
    expected = {
        (re.sub(r"[^-/\w.]", "_", name.replace(" ", "/")), int(row["updates"])): np.float32(value)
        for row in rows
        for name, value in row.items()
        if name not in ("updates", "seed") and value != "" and not np.isnan(float(value))
    }
    assert events.keys() == expected.keys()
    for place, value in expected.items():
        assert events[place] == pytest.approx(float(value), rel=1e-6), place


def test_tensorboard_has_every_metric_of_every_seed(logged):
    run, _, _, folder = logged
    rows = rows_of(run.path)
    assert {path.name for path in (folder / "events").iterdir()} == {"seed3", "seed4"}
    for seed in (3, 4):
        events = events_in(folder / "events" / f"seed{seed}")
        assert_all_there(events, [row for row in rows if row["seed"] == str(seed)])
        assert events["surprise", 20] == 20.25
        assert ("kl/cat_1x3", 5) in events


def test_a_seed_without_a_number_has_no_event(tmp_path):
    logger = to_tensorboard.make(tmp_path, [1, 2])
    logger.log(5, {"q": np.array([1.0, np.nan]), "same": np.float32(3.0)})
    logger.message("seed 2 is not finite any more")
    logger.close()
    assert events_in(tmp_path / "seed1") == {("q", 5): 1.0, ("same", 5): 3.0}
    assert events_in(tmp_path / "seed2") == {("same", 5): 3.0}


def test_a_logger_that_fails_ends_the_run_and_all_are_closed(surprised, kept_programs):
    def fail(updates, metrics):
        raise ZeroDivisionError

    own = Recorder()
    failing = silent()._replace(log=fail)
    with pytest.raises(ZeroDivisionError), quick_compile():
        sl.train(surprised, seeds=SEEDS, updates=10, loggers=[own.logger(), failing])
    assert own.closed == 1
    assert len(own.logged) == 1


@pytest.mark.parametrize("made", [to_tensorboard, to_wandb])
def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch, made):
    for module in ("tensorboardX", "wandb"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match="pip install 'structlat-jax"):
        made.make(tmp_path / "x", [0])
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_names_it_before_anything_is_made(tmp_path, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    line = assert_refused(here(*TINY, "--log", "wandb", "--out", tmp_path / "run"))
    assert "pip install 'structlat-jax[wandb]'" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_line_writes_events(finished):
    rows = rows_of(finished[0])
    for seed in (4, 5):
        events = events_in(finished[0] / "tensorboard" / f"seed{seed}")
        assert_all_there(events, [row for row in rows if row["seed"] == str(seed)])


def test_wandb_gets_a_run_per_seed(tmp_path, monkeypatch):
    """On a stand-in: the library itself is not needed for the tests."""
    begun = []

    class Run:
        def __init__(self, **options):
            self.options, self.logged, self.ended = options, [], False
            begun.append(self)

        def log(self, metrics):
            self.logged.append(metrics)

        def finish(self):
            self.ended = True

    module = type("wandb", (), {"init": staticmethod(Run)})
    monkeypatch.setitem(sys.modules, "wandb", module)
    logger = to_wandb.make(tmp_path / "runs", [3, 4], {"lr": 0.1}, mode="offline")
    logger.log(5, {"q": np.array([1.0, np.nan])})
    logger.close()
    assert [run.options["config"] for run in begun] == [
        {"lr": 0.1, "seed": 3},
        {"lr": 0.1, "seed": 4},
    ]
    assert {run.options["group"] for run in begun} == {"runs"}
    assert {run.options["mode"] for run in begun} == {"offline"}
    assert [run.logged for run in begun] == [[{"q": 1.0, "updates": 5}], [{"updates": 5}]]
    assert all(run.ended for run in begun)


def test_a_logger_is_three_functions():
    assert Logger._fields == ("log", "message", "close")
