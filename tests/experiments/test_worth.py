"""What knowing a factor is worth: controllers that know everything do what the oracle does."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner

from experiments import worth
from experiments.controllers import CONTROLLERS
from structlat_jax.envs import registry
from structlat_jax.envs.families import named
from structlat_jax.envs.spec import parse_options


@pytest.mark.parametrize("family", worth.FAMILIES)
def test_who_knows_everything_returns_what_the_oracle_does(family):
    name, texts = named(family)
    options = parse_options(texts)
    env = registry.make(name, **options)
    tasks = env.sample_tasks(jax.random.key(5), 200)
    found = worth.returns(env, CONTROLLERS[name](**options), tasks, tasks)
    oracle = np.asarray(jax.vmap(env.oracle_return)(tasks))
    assert np.all(found <= oracle + 1e-3 * np.abs(oracle))  # nobody returns more
    assert found.mean() >= oracle.mean() - 0.02 * abs(oracle.mean())


def test_who_is_not_told_a_factor_takes_its_mean():
    env = registry.make("triangle", gain=0.5)
    tasks = env.sample_tasks(jax.random.key(1), 7)
    taken = worth.without(tasks, ["mixture"])
    np.testing.assert_allclose(taken.goal, np.tile(np.mean(tasks.goal, axis=0), (7, 1)), rtol=1e-6)
    np.testing.assert_array_equal(taken.gain, tasks.gain)
    same = worth.without(tasks, ["gain"])
    assert jnp.ptp(same.gain) == 0
    np.testing.assert_array_equal(same.goal, tasks.goal)


@pytest.mark.slow
def test_a_style_is_worth_nothing_where_the_goal_is_not_known():
    found = worth.worth("triangle+rotation=0.7+gain=0.3", 300, 0)
    assert found["told"] > found["not_told"]["rotation"] > found["not_told"]["mixture"]
    assert found["told"] > found["not_told"]["gain"] > found["not_told"]["mixture"]
    assert abs(found["not_told"]["mixture"] - found["told_nothing"]) < 0.1 * found["told"]


@pytest.mark.slow
def test_the_program_writes_what_it_shows(tmp_path):
    out = tmp_path / "deep" / "worth.json"
    done = CliRunner().invoke(worth.command, ["--tasks", "20", "--out", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert [row["family"] for row in found["families"]] == worth.FAMILIES
    assert f"{found['families'][0]['told']:.2f}" in done.output
