"""The best of several inferences: it does what the chosen one does, and training tells which."""

import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import config, following_z, quick_compile, setup

from structlat_jax.inference import chosen
from structlat_jax.inference.base import Learned
from structlat_jax.shapes import UNKNOWN, Transition
from structlat_jax.train import choose
from structlat_jax.train.learn import init, init_params
from structlat_jax.train.setup import assemble

HYPER = config().hyper
KNOWN = config().structure.seen_tasks
CANDIDATES = ("hypotheses", "decoded", "amortised")


@cache
def own():
    """A setup with all three."""
    return setup(inference="auto", posterior="task")


@cache
def learned():
    return Learned(*jax.jit(lambda key: init_params(own(), key))(jax.random.key(1)))


def seen():
    """An episode of the line that finds its goal in the end."""
    obs = jnp.array([[0.0], [0.4], [0.8], [1.0]])
    reward = jnp.array([0.0, 0.8, 1.0, 0.0])
    return Transition(obs, 0.5 * jnp.ones((4, 1)), reward, -obs[:, 0], obs + 0.1, jnp.zeros(4))


def test_the_candidates_are_those_that_the_configuration_can_have():
    assert tuple(one.name for one in own().inference.candidates) == CANDIDATES
    names = [one.name for one in setup(inference="auto").inference.candidates]
    assert names == ["hypotheses", "amortised"]


@partial(jax.jit, static_argnums=0)
def path(inference, params, choice):
    """From the start to the z of an episode."""
    belief = inference.init(params, jax.random.key(2), jnp.zeros(1))
    belief = inference.update(params, HYPER, belief, seen(), jnp.int32(3))
    notes = jax.tree.map(lambda x: x[None], inference.note(belief))
    return (
        inference.prior(belief, choice),
        inference.choose(params, belief, jnp.zeros(1), 4, choice),
        inference.sample(belief, jax.random.key(3)),
        inference.summary(notes, jax.random.key(4)),
        inference.spread(notes),
        () if inference.leads is None else inference.leads(belief, notes),
    )


@pytest.mark.parametrize("number", range(len(CANDIDATES)))
def test_it_believes_and_acts_as_the_chosen_one(number):
    """From the start to the z of an episode, bit for bit."""
    auto, one = own().inference, own().inference.candidates[number]
    settled = learned()._replace(inference=chosen.settle(learned().inference, number))
    bare = {} if number else chosen.unsettled(settled.inference)
    random = auto.randomness(jax.random.key(5), 4, 2, 1)
    choices = jax.tree.map(lambda x: x[0, 0], random.choices)
    with quick_compile():
        got = path(auto, settled, choices)
        wanted = path(one, settled._replace(inference=bare), choices[number])
    if one.leads is None:
        assert all((np.asarray(x) == UNKNOWN).all() for x in got[-1])
        got = got[:-1]
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    assert np.isfinite(np.asarray(got[1])).all()


def test_greedy_falls_back_to_a_draw_where_the_chosen_one_cannot_tell():
    auto = own().inference
    settled = learned()._replace(inference=chosen.settle(learned().inference, 2))

    @jax.jit
    def both(params):
        belief = auto.init(params, jax.random.key(2), jnp.zeros(1))
        belief = auto.update(params, HYPER, belief, seen(), jnp.int32(3))
        key = jax.random.key(6)
        return auto.greedy(params, belief, jnp.zeros(1), 4, key), auto.sample(belief, key)

    np.testing.assert_array_equal(*both(settled))


def pointing(value):
    """An inference that always acts on the same last number of z."""
    encoder = setup().encoder
    z = jnp.zeros(setup().space.dim).at[-1].set(value)
    return dataclasses.replace(
        encoder, name=f"to {value}", choose=lambda *_: z, prior=lambda *_: z, zeros=dict
    )


@cache
def pointed():
    """All repeats by the best of three, of which two act by no belief; what was learned is given to
    them."""
    made = assemble(setup(), chosen.make([pointing(3.0), pointing(-3.0), setup().encoder]))
    fresh = Learned(*jax.jit(lambda key: init_params(made, key))(jax.random.key(0)))
    fresh = fresh._replace(agent=following_z(fresh.agent))
    key, repeats = jax.random.key(7), jnp.arange(made.structure.eval_repeats)

    @jax.jit
    def each(tasks):
        by = partial(choose.evaluate_each, made, HYPER, fresh, tasks, key)
        return jax.vmap(by, out_axes=2)(repeats)

    def evaluate(tasks):
        found = jax.device_get(jax.tree.map(lambda x: x[None, :, :, :, 0], each(tasks)))
        return jax.tree.map(lambda x: x[0], choose.best(made, found))

    return evaluate


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_training_tasks_choose(side):
    """Goals of training tasks lie on one side, those of test tasks on the other: the inference that
    goes to the former is chosen, and pays on none of the latter."""
    with quick_compile():
        adaptation, trial = pointed()(jnp.array([side] * KNOWN + [-side] * 2))
    assert int(trial.chosen) == (0 if side > 0 else 1)
    assert trial.returns[int(trial.chosen)] == pytest.approx(
        adaptation.returns[:KNOWN, :, -1].mean()
    )
    assert np.all(adaptation.returns[:KNOWN] > 1.0)
    assert np.all(adaptation.returns[KNOWN:] == 0.0)
    assert not np.array_equal(adaptation.encoder, adaptation.returns)


def test_what_is_learned_does_not_depend_on_the_choice():
    """The parameters of networks and world model start as they do without one."""
    with quick_compile():
        usual = jax.jit(lambda key: init(setup(), key))(jax.random.key(3))
        other = jax.jit(lambda key: init(setup(inference="auto"), key))(jax.random.key(3))
    assert int(chosen.settled(other.inference_params)) == 0
    bare = other._replace(inference_params=chosen.unsettled(other.inference_params))
    for a, b in zip(
        jax.tree.leaves(usual._replace(key=0)), jax.tree.leaves(bare._replace(key=0)), strict=True
    ):
        np.testing.assert_array_equal(a, b)
