"""Agents that act on another z than their inference would choose."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from click.testing import CliRunner

import structlat_jax as sl
from experiments import encoder_gap
from structlat_jax.errors import InputError
from structlat_jax.inference.hypotheses import Hypotheses
from structlat_jax.shapes import make_key
from structlat_jax.train.setup import make_setup

SMALL = {"latent": "gau:2", "posterior": "task", "inference": "hypotheses", "eval_repeats": 1}


def test_a_normal_has_the_mean_and_the_covariance_of_the_hypotheses():
    z = jax.random.normal(make_key(0), (64, 2)) * jnp.array([1.0, 0.2]) + jnp.array([3.0, -1.0])
    z = z.at[:, 1].add(0.5 * z[:, 0])
    weights = jnp.linspace(-2.0, 2.0, 64)
    drawn = Hypotheses(z, z, weights, z)
    keys = jax.random.split(make_key(1), 20_000)
    draws = np.asarray(jax.vmap(lambda key: encoder_gap.normal_draw(drawn, key))(keys))
    share = np.asarray(jax.nn.softmax(weights))
    np.testing.assert_allclose(draws.mean(axis=0), share @ np.asarray(z), atol=0.03)
    wanted = np.cov(np.asarray(z).T, aweights=share, ddof=0)
    np.testing.assert_allclose(np.cov(draws.T), wanted, atol=0.03)


def test_a_normal_of_one_hypothesis_is_there():
    z = jnp.array([[1.0, 2.0], [5.0, 6.0]])
    drawn = Hypotheses(z, z, jnp.array([0.0, -1e6]), z)
    found = encoder_gap.normal_draw(drawn, make_key(0))
    np.testing.assert_allclose(found, z[0], atol=0.01)


def test_a_simplex_has_no_normal():
    made = make_setup(tiny.config(latent="dir:1x3", posterior="task"), "triangle")
    names = list(encoder_gap.ways(made))
    assert "their normal, a draw" not in names
    assert names[0] == "hypotheses"


@pytest.mark.slow
def test_ways_differ_and_the_first_is_the_inference(tmp_path, kept_programs):
    options = {"seeds": 2, "seed": 4, "updates": 5, "evals": 1, "out": tmp_path / "run"}
    with tiny.quick_compile():
        run = sl.train(tiny.config(**SMALL), "triangle", **options)
        out = tmp_path / "deep" / "gap.json"
        done = CliRunner().invoke(encoder_gap.command, [str(run.path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    said = json.loads(out.read_text())
    assert (said["latent"], said["seeds"], said["first_seed"], said["repeats"]) == (
        "gau:2",
        2,
        4,
        1,
    )
    ways = {row["way"]: row for row in said["ways"]}
    assert len(ways) == 7
    first = ways["hypotheses"]["last_return"]["per_seed"]
    np.testing.assert_allclose(first, run.results["test_return"]["per_seed"], rtol=1e-5)


@pytest.mark.slow
def test_who_has_no_hypotheses_is_told_so(tmp_path, kept_programs):
    options = {"seeds": 1, "updates": 5, "evals": 1, "out": tmp_path / "run"}
    with tiny.quick_compile():
        run = sl.train(tiny.config(inference="amortised"), "triangle", **options)
    with pytest.raises(InputError, match="no hypotheses"):
        encoder_gap.command.callback(run.path, None, 1, None)
