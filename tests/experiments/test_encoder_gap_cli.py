"""Agents that act on another z than their inference would choose."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from read_runs import read_by

import structlat_jax as sl
from experiments import encoder_gap
from structlat_jax.errors import InputError
from structlat_jax.inference.base import Learned
from structlat_jax.inference.bayes import Belief
from structlat_jax.inference.hypotheses import Hypotheses
from structlat_jax.shapes import make_key
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import make_setup

SPACE = sl.latent_space("gau:2")
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
    assert not [name for name in names if name.startswith("their normal")]
    assert names[0] == "hypotheses"


def test_each_way_acts_on_what_it_is_named_after():
    """Hypotheses that are sure of one place, and an encoder that is sure of another."""
    made = make_setup(tiny.config(**SMALL), "triangle")
    learned = Learned(*init_params(made, make_key(0)))
    z = jnp.array([[3.0, -2.0], [5.0, 6.0]])
    drawn = Hypotheses(z, z, jnp.array([0.0, -1e6]), z)
    total = 1e4 * SPACE.evidence(jnp.array([-1.0, 1.0, 3.0, 3.0]))
    mean = SPACE.mean(SPACE.posterior(total))
    assert np.linalg.norm(mean - z[0]) > 1.0
    given = (learned, Belief(drawn, total), jnp.zeros(2), 4, (jnp.float32(0.5), make_key(1)))
    found = {name: way(*given) for name, way in encoder_gap.ways(made).items()}
    for name, where in found.items():
        place = mean if name.startswith("encoder") else z[0]
        np.testing.assert_allclose(where, place, atol=0.05, err_msg=name)


@pytest.mark.parametrize("latent", ["dir:1x2,gau:1", "gau:2,gau:1"])
def test_where_the_encoder_tells_a_style_every_way_has_it(latent):
    asked = {"latent": latent, "later_blocks": "changes"}
    made = make_setup(tiny.config(**(SMALL | asked)), "triangle")
    learned = Learned(*init_params(made, make_key(0)))
    z = jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    drawn = Hypotheses(z, z[:, :2], jnp.zeros(2), z)
    total = 1e4 * made.space.evidence(jnp.arange(1.0, 1.0 + made.space.stat_dim))
    style = made.space.mean(made.space.posterior(total))[2]
    assert abs(style) > 0.1
    given = (learned, Belief(drawn, total), jnp.zeros(2), 4, (jnp.float32(0.5), make_key(1)))
    for name, way in encoder_gap.ways(made).items():
        np.testing.assert_allclose(way(*given)[2], style, atol=0.05, err_msg=name)


@pytest.mark.slow
def test_ways_differ_and_the_first_is_the_inference(tmp_path, kept_programs):
    run, _, said = read_by(encoder_gap.command, tiny.config(**SMALL), tmp_path)
    first = [said[name] for name in ("latent", "env", "seeds", "first_seed", "repeats")]
    assert first == ["gau:2", "triangle", 2, 4, 1]
    assert said["jax_version"] == jax.__version__
    ways = {row["way"]: row for row in said["ways"]}
    assert len(ways) == 8
    first = ways["hypotheses"]["last_return"]["per_seed"]
    np.testing.assert_allclose(first, run.results["test_return"]["per_seed"], rtol=1e-5)


@pytest.mark.slow
def test_who_has_no_hypotheses_is_told_so(tmp_path, kept_programs):
    options = {"seeds": 1, "updates": 5, "evals": 1, "out": tmp_path / "run"}
    with tiny.quick_compile():
        run = sl.train(tiny.config(inference="amortised"), "triangle", **options)
    with pytest.raises(InputError, match="no hypotheses"):
        encoder_gap.command.callback(run.path, None, 1, None)
