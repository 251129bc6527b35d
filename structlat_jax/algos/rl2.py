"""RL^2: a recurrent policy that is trained over whole trials (Duan et al. 2016; Wang et al. 2016).

Its state is all that it knows of the task: kept between the episodes of a trial, fresh at its
start. Value, policy and recurrent network follow one loss, back through all steps of a trial.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from structlat_jax.algos import ppo
from structlat_jax.algos.actor import initial_targets, make_actor
from structlat_jax.algos.base import Algorithm, Learner, OnPolicy
from structlat_jax.inference import recurrent as inference
from structlat_jax.nets import optim, recurrent
from structlat_jax.nets.networks import SMALL_HEADS
from structlat_jax.parts import Parts
from structlat_jax.shapes import Params


class RecurrentParams(NamedTuple):
    """Parameters.

    Attributes:
      encoder: ``net``, the recurrent network.
      policy, v: See `ppo.Actor`.
      targets: Units of the value; no gradient changes them.
    """

    encoder: Params
    policy: Params
    v: Params
    targets: Any


_TRAINED = ("encoder", "policy", "v")


def make(parts: Parts) -> Algorithm:
    """The record. Its metrics: ``policy``, ``v`` (in units of the spread of returns), ``entropy``
    (nats) and ``moved`` (nats from the policy that acted)."""
    s, env = parts.structure, parts.env
    actor = make_actor(s.width, s.depth, env.obs_dim, env.action_dim, s.hidden)
    sizes = (s.updates_per_step, s.minibatches)

    def zeros():
        net = recurrent.zeros(inference.width(parts), s.hidden)
        return RecurrentParams({"net": net}, **actor.zeros(), targets=())

    def given_of(encoder, features, valid):
        start = jnp.zeros((features.shape[0], s.hidden))
        return recurrent.states(encoder["net"], start, features, valid)[:, :-1]

    def learn(hyper, learner, trials, updates, key):
        params = learner.params
        taken, _ = ppo.taken_of(
            *(actor, params, hyper, trials),
            lambda features, valid: given_of(params.encoder, features, valid),
        )
        v, targets = ppo.rescaled(params.v, params.targets, taken)

        def objective(trained, some, c):
            given = given_of(trained["encoder"], some.features, some.valid)
            return ppo.loss(actor, trained, targets, some, given, c)

        trained = {"encoder": params.encoder, "policy": params.policy, "v": v}
        trained, moments, terms = ppo.improve(
            *(objective, hyper, trained, learner.moments),
            *(taken._replace(given=None), updates, sizes, key),
        )
        return Learner(RecurrentParams(**trained, targets=targets), moments, ()), terms

    return Algorithm(
        name="rl2",
        zeros=zeros,
        small_heads=SMALL_HEADS,
        start=lambda params: params._replace(targets=initial_targets()),
        moments=lambda params: optim.init({name: getattr(params, name) for name in _TRAINED}),
        act=lambda params, obs, z, noise: actor.act(params.policy, obs, z, noise),
        coefficients=ppo.coefficients_at,
        posterior=None,
        own_posterior=None,
        update=None,
        on_policy=OnPolicy(lambda: (), learn),
        given=s.hidden,
    )
