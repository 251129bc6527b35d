"""Finished runs that are trained on."""

import json
import shutil

import jax
import jax.numpy as jnp
import pytest
from folders import assert_same_run, listing, rows_of
from program import PER_STEP, assert_refused
from test_api import Halt, halting
from tiny import assert_same, config, quick_compile, setup

import structlat_jax as sl
from structlat_jax.algos.schedules import ended
from structlat_jax.run.loggers import silent
from structlat_jax.store.checkpoint import CheckpointError, Checkpoints, read_config

HALF, WHOLE = 2 * PER_STEP, 4 * PER_STEP
SHORT = {"seeds": 2, "seed": 3, "updates": HALF, "evals": 1, "checkpoint_seconds": 0}
LONG = {**SHORT, "updates": WHOLE}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run of half of the updates, and one of all that was evaluated at half of them too."""
    return tmp_path_factory.mktemp("longer")


@pytest.fixture
def half(folders, tmp_path, kept_programs):
    """A copy of the run of half of the updates."""
    with quick_compile():
        if not (folders / "half").exists():
            sl.train(setup(), **SHORT, out=folders / "half")
            sl.train(setup(), **{**LONG, "evals": 2}, out=folders / "whole")
        yield shutil.copytree(folders / "half", tmp_path / "run")


def listening(said):
    return silent()._replace(message=said.append)


@pytest.mark.slow
def test_a_finished_run_goes_on_to_the_bits_of_a_longer_one(half, folders):
    said = []
    again = sl.train(setup(), **LONG, out=half, resume=True, loggers=[listening(said)])
    assert_same_run(half, folders / "whole")
    assert len(rows_of(half)) == len(again.metrics) == 8
    assert json.loads((half / "config.json").read_text())["updates"] == WHOLE
    (told,) = [text for text in said if "goes on" in text]
    assert "goes on from 10 to 20 updates" in told
    assert "stay at their end: the KL weight at 0.1." in told  # of which the ramp was 10 updates
    assert_same(sl.load(half, 1, env=setup().env).learned, again.agent(1).learned)


@pytest.mark.slow
def test_an_interrupted_continuation_is_an_unfinished_run(half, folders):
    with pytest.raises(Halt):
        sl.train(setup(), **LONG, out=half, resume=True, loggers=[halting(15)])
    assert not (half / "results.json").exists()
    sl.train(setup(), **{**LONG, "updates": None}, out=half, resume=True)
    assert_same_run(half, folders / "whole")


@pytest.mark.slow
def test_fewer_updates_than_were_done_are_refused(half):
    before = listing(half)
    with pytest.raises(sl.ConfigError, match=r"at least 10, which .* has done, not 5"):
        sl.train(setup(), **{**SHORT, "updates": 5}, out=half, resume=True)
    assert listing(half) == before


@pytest.mark.slow
def test_as_many_updates_as_were_done_end_a_longer_run(half, folders):
    with pytest.raises(Halt):
        sl.train(setup(), **LONG, out=half, resume=True, loggers=[halting(15)])
    back = sl.train(setup(), **{**LONG, "updates": 3 * PER_STEP}, out=half, resume=True)
    assert back.results["updates"] == 3 * PER_STEP
    assert "test_return" in back.metrics[-1]


@pytest.mark.slow
def test_a_run_without_a_state_is_not_unfinished_by_trying(half):
    for step in (half / "checkpoint").iterdir():
        shutil.rmtree(step)
    before = listing(half)
    with pytest.raises(FileNotFoundError, match="no checkpoint from which training could go on"):
        sl.train(setup(), **LONG, out=half, resume=True)
    assert listing(half) == before


@pytest.mark.slow
def test_a_configuration_that_says_less_than_was_done(half):
    path = half / "config.json"
    path.write_text(path.read_text().replace(f'"updates": {HALF}', '"updates": 5'))
    with pytest.raises(CheckpointError, match="has done more updates"):
        sl.train(setup(), **{**SHORT, "updates": 5}, out=half, resume=True)


@pytest.mark.slow
def test_on_the_command_line(finished, tmp_path, here):
    """A run of the program: 20 updates done, and pictures drawn of them."""
    run = shutil.copytree(finished[0], tmp_path / "run")
    line = assert_refused(here("--resume", "--out", run, "--updates", 10))
    assert "--updates must be at least 20" in line
    done = here("--resume", "--out", run, "--updates", 20)
    assert "--updates with more than 20 trains it on" in done.out
    drawn = (run / "learning_curve.png").read_bytes()
    done = here("--resume", "--out", run, "--updates", 25)
    assert done.code == 0, done.err
    assert "goes on from 20 to 25 updates" in done.out
    assert [row["updates"] for row in rows_of(run)][-1] == "25"
    assert json.loads((run / "results.json").read_text())["updates"] == 25
    assert (run / "learning_curve.png").read_bytes() != drawn


def test_only_what_has_changed_by_plan_has_ended():
    hyper = config(kl_weight=0.01, lr_decay_end=30.0, lr_decay_start=20.0, entropy_end=1.0).hyper
    assert ended(hyper, 9) == []
    assert ended(hyper, 10) == ["the KL weight at 0.01"]
    assert ended(hyper, 30) == ["the KL weight at 0.01", "the step sizes at 0.05 of their start"]


@pytest.mark.slow
def test_a_run_of_a_sweep_keeps_no_state(half):
    agents = [sl.load(half, seed, env=setup().env) for seed in range(2)]
    learned = jax.tree.map(lambda *x: jnp.stack(x), *(one.learned for one in agents))
    shutil.rmtree(half / "checkpoint")
    Checkpoints(half, identity=read_config(half)[1]).save_params(2, learned)
    before = listing(half)
    with pytest.raises(CheckpointError, match="keeps parameters alone"):
        sl.train(setup(), **LONG, out=half, resume=True)
    assert listing(half) == before
