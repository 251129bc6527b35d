"""Runs whose actions are choices: trained, opened, drawn and shown like any other."""

import json

import jax
import numpy as np
import pytest
from program import TINY

import structlat_jax as sl
from structlat_jax.cli import finished_commands

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("choices")


def test_a_run_is_trained_opened_drawn_and_shown(here, in_process, folder):
    pytest.importorskip("plotly")
    run = folder / "run"
    done = here("--env", "grid_mix", *TINY, "--posterior", "task", "--out", run)
    assert done.code == 0, done.err
    results = json.loads((run / "results.json").read_text())
    assert results["env"] == "grid_mix"
    assert results["oracle_return"] > results["floor_return"] >= 0.0
    assert (run / "adaptation_paths.png").stat().st_size > 0
    agent = sl.load(run)
    obs = np.zeros(2, np.float32)
    action = agent.act(obs, agent.sample_z(agent.prior(), jax.random.key(0)))
    assert sorted(np.asarray(action)) == [0, 0, 0, 0, 1]
    for command, *more in (
        (finished_commands.view, run, "--out", folder / "view.html"),
        (finished_commands.film, run, "--out", folder / "film.gif"),
        (finished_commands.figures, run, "--out", folder / "figures"),
        (finished_commands.evaluate, run, "--arms", "eval_prior_episodes=1"),
    ):
        done = in_process(command, *more)
        assert done.code == 0, (command.name, done.err)
