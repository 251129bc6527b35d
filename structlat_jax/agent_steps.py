"""What an agent's methods call: programs of one belief, compiled once for each setup."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.envs.host.base import HostEnv
from structlat_jax.nets.heads import acting_noise
from structlat_jax.shapes import Array, make_key
from structlat_jax.train import hosted_evaluate


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Belief:
    """What the agent knows of its task, O(1) in the number of steps.

    Attributes:
      state: What its inference carries; see `Inference`.
      steps: Transitions seen, an int32 scalar.
    """

    state: Any
    steps: Array


def require_finite(name: str, value: Array) -> None:
    """What is not finite would stay in a belief for good; nobody knows it of a traced value."""
    if not isinstance(value, jax.core.Tracer) and not np.isfinite(value).all():
        raise ValueError(f"{name} must be finite, not {np.asarray(value).tolist()}.")


def over(lead: tuple[int, ...], function: Any) -> Any:
    """A function of one belief as one of a batch of them, ``[...]``."""
    for _ in lead:
        function = jax.vmap(function)
    return function


def first_obs(setup):
    """What is observed first in an episode of some task."""
    hosted = isinstance(setup.env, HostEnv)
    return hosted_evaluate.first_obs(setup) if hosted else _first_obs(setup)


@partial(jax.jit, static_argnums=0)
def _first_obs(setup):
    key_task, key_reset = jax.random.split(make_key(0), 3)[:2]
    task = jax.tree.map(lambda x: x[0], setup.env.sample_tasks(key_task, 1))
    return setup.env.observe(setup.env.reset(key_reset, task))


@partial(jax.jit, static_argnums=0)
def init(setup, learned, obs):
    key = jax.random.split(make_key(0), 3)[2]
    return setup.inference.init(learned, key, obs)


def told(setup, start, task):
    """The belief of an agent that is told which task it is in; raises `ValueError` if it has to
    find out."""
    if setup.inference.told is None:
        raise ValueError(f"an agent of {setup.algorithm.name} has to find out which task it is in.")
    return dataclasses.replace(start, state=setup.inference.told(start.state, task))


@partial(jax.jit, static_argnums=0)
def update(setup, learned, belief, transition):
    seen = jax.tree.map(lambda x: x[None], transition)  # an episode of one step
    one = jnp.ones((), jnp.int32)
    inference, hyper = setup.inference, setup.config.hyper
    state = inference.update(learned, hyper, belief.state, seen, one)
    if inference.rest is not None:  # nobody says here whether an episode is over
        state = inference.rest(learned, hyper, state)
    return Belief(state, belief.steps + 1)


@partial(jax.jit, static_argnums=0)
def sample_z(setup, belief, key):
    return setup.inference.sample(belief.state, key)


@partial(jax.jit, static_argnums=(0, 4))
def greedy_z(setup, learned, belief, obs, left, key):
    return setup.inference.greedy(learned, belief.state, obs, left, key)


@partial(jax.jit, static_argnums=0)
def act(setup, learned, obs, z, key):
    act, width = setup.algorithm.act, setup.env.action_dim
    if key is None:
        return act(learned.agent, obs, z, None)
    shape = (*jnp.broadcast_shapes(obs.shape[:-1], z.shape[:-1]), width)
    return act(learned.agent, obs, z, acting_noise(key, shape, setup.env.discrete))


@partial(jax.jit, static_argnums=0)
def summarise(setup, belief):
    note = setup.inference.note(belief.state)
    return setup.inference.summary(note, make_key(0))
