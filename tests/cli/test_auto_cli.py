"""`--inference auto` from training to a loaded agent: the choice is printed, kept and used."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from program import SEEDS, TINY

import structlat_jax as sl
from structlat_jax.cli import finished_commands
from structlat_jax.inference import chosen

NAMES = ("hypotheses", "amortised")


@pytest.fixture
def trained(here, tmp_path):
    run = tmp_path / "run"
    done = here(*TINY, "--inference", "auto", "--out", run)
    assert done.code == 0, done.err
    return run, done


@pytest.mark.slow
def test_the_choice_is_printed_kept_and_used(trained, in_process, tmp_path):
    run, done = trained
    results = json.loads((run / "results.json").read_text())
    found = results["inference_chosen"]
    assert (results["inference"], len(found)) == ("auto", SEEDS)
    with (run / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["test_return"]][-SEEDS:]
    for row, name in zip(rows, found, strict=True):
        tried = {one: float(row[f"train_return {one}"]) for one in NAMES}
        assert tried[name] == max(tried.values()) == pytest.approx(float(row["train_return"]))
    assert "chosen on training tasks" in " ".join(done.out.split())
    for seed, name in enumerate(found):
        agent = sl.load(run, seed)
        assert NAMES[chosen.settled(agent.learned.inference)] == name
        again = sl.load(agent.save(tmp_path / "agent.safetensors"))
        key = jax.random.key(2)
        z = agent.sample_z(agent.prior(), key)
        np.testing.assert_array_equal(z, again.sample_z(again.prior(), key))
        assert np.isfinite(agent.act(jnp.zeros(2), z)).all()
    file = tmp_path / "arms.json"
    arms = "inference=hypotheses;inference=amortised"
    done = in_process(finished_commands.evaluate, run, "--arms", arms, "--out", file)
    assert done.code == 0, done.err
    unchanged, *others = (row["last_return"] for row in json.loads(file.read_text())["rows"])
    assert unchanged["per_seed"] == pytest.approx(results["test_return"]["per_seed"], abs=1e-5)
    assert len(others) == 2
    assert np.isfinite([one["per_seed"] for one in others]).all()
