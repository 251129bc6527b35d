"""Tasks of choices whose right answer is known: a bandit, and a chain of places."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from tiny import config

from structlat_jax.envs import Env, Step
from structlat_jax.train.setup import Setup, make_setup

PULLS = 4
ARMS = 3
WALK = 6
END = 2
BEST_WALK = float(WALK - END + 1)


def in_turn(key: Any, n: int, count: int) -> Any:
    """Numbers below ``count``, each as often as any other among multiples of it."""
    return (jnp.arange(n) + jax.random.randint(key, (), 0, count)) % count


def bandit() -> Env:
    """One arm of three pays 1, and the others nothing; there is nothing to be seen."""

    def step(state, action, task):
        paid = action @ task
        return Step(state, state, paid, paid, jnp.zeros(()))

    return Env(
        name="bandit",
        obs_dim=1,
        action_dim=ARMS,
        horizon=PULLS,
        sample_tasks=lambda key, n: jax.nn.one_hot(in_turn(key, n, ARMS), ARMS),
        reset=lambda key, task: 0.0 * jax.random.normal(key, (1,)),
        observe=lambda state: state,
        step=step,
        oracle_return=lambda task: jnp.float32(PULLS),
        success=lambda t, task: t.reward > 0,
        factors=lambda task: {"best": task},
        discrete=True,
    )


def chain() -> Env:
    """Places from -2 to 2 in a row: back, stay or on, from the middle. One end pays 1 at each step
    that ends there; training is paid for being near it."""

    def step(place, action, task):
        place = jnp.clip(place + jnp.argmax(action) - 1.0, -END, END)
        distance = jnp.abs(place[0] - END * task)
        return Step(place, place, (distance == 0) * 1.0, -distance / END, jnp.zeros(()))

    return Env(
        name="chain",
        obs_dim=1,
        action_dim=3,
        horizon=WALK,
        sample_tasks=lambda key, n: 2.0 * in_turn(key, n, 2) - 1.0,
        reset=lambda key, task: 0.0 * jax.random.normal(key, (1,)),
        observe=lambda place: place,
        step=step,
        oracle_return=lambda task: jnp.float32(BEST_WALK),
        success=lambda t, task: t.reward > 0,
        factors=lambda task: {"side": task},
        discrete=True,
    )


ENVIRONMENTS = {"bandit": bandit, "chain": chain}


@cache
def setup(env: str = "chain", **changes: Any) -> Setup:
    """The tiny configuration on one of them."""
    return make_setup(config(**changes), ENVIRONMENTS[env]())
