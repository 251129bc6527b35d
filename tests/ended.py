"""What runs in made-up environments leave in memory, as much as a report asks for."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
from tiny import config

from structlat_jax.envs.base import Env, Plane, Step
from structlat_jax.inference.base import Leads
from structlat_jax.latents import block_names
from structlat_jax.report.parts import variables_of
from structlat_jax.train.setup import make_setup

HORIZON = 6


def dense(**changes) -> Env:
    """A mass that is pulled by wind: negative, dense rewards, and nothing to reach."""

    def sample_tasks(key, n):
        return {"mass": jnp.linspace(0.5, 2.0, n), "wind": jax.random.normal(key, (n, 2))}

    def step(state, action, task):
        moved = state.at[:2].add(0.1 * action / task["mass"] + 0.01 * task["wind"])
        cost = -jnp.sum(jnp.abs(moved[:2] - 1.0))
        return Step(moved, moved, cost, cost, jnp.zeros(()))

    known = {
        "name": "dense",
        "obs_dim": 3,
        "action_dim": 2,
        "horizon": HORIZON,
        "sample_tasks": sample_tasks,
        "reset": lambda key, task: jnp.zeros(3),
        "observe": lambda state: state,
        "step": step,
        "factors": lambda task: task,
    }
    return Env(**{**known, **changes})


FLAT = Plane(project=lambda obs: obs[..., :2])
"""Paths without goals, units or an outline."""


def ended(
    env: Env, latent: str = "gau:2,dir:1x3", seeds: int = 3, low=-80.0, high=-20.0, **changes
):
    """A setup, and what its run left: returns that rise from ``low`` to ``high``."""
    made = config(latent=latent, eval_episodes=12, eval_prior_episodes=3, **changes)
    setup, rng = make_setup(made, env), np.random.default_rng(0)
    s = made.structure
    axes = (seeds, s.seen_tasks + s.test_tasks, s.eval_repeats, s.eval_episodes)
    rise = 1.0 - np.exp(-np.maximum(np.arange(axes[-1]) - 2.0, 0.0))
    spread = 0.03 * abs(high - low)
    learned = low + (high - low) * rise + rng.normal(0, spread, axes)
    walk = rng.normal(0, 0.2, (*axes, env.horizon + 1, env.obs_dim))
    walk[..., 0, :] = 0.0
    adaptation = SimpleNamespace(
        returns=learned,
        encoder=None,
        success=None if env.success is None else (learned > (low + high) / 2),
        length=np.full(axes, env.horizon),
        path=np.cumsum(walk, axis=-2),
        z=np.zeros((*axes, setup.space.dim)),
        belief=_beliefs(setup.space, rng, axes),
        kl=np.zeros((*axes, len(setup.space.blocks))),
        reward=np.repeat(learned[..., None] / env.horizon, env.horizon, axis=-1),
        spread=None,
        leads=Leads(np.zeros((*axes[:3], 4, env.obs_dim)), np.full((*axes, 4), 0.25)),
    )
    keys = jax.random.split(jax.random.key(0), (2, seeds))
    train, test = (
        jax.vmap(functools.partial(env.sample_tasks, n=count))(own)
        for count, own in zip((s.seen_tasks, s.test_tasks), keys, strict=True)
    )
    results = {"failed_seeds": [], "floor_return": low, "env": env.name}
    if env.oracle_return is not None:
        results["oracle_return"] = float(high + 0.1 * (high - low))
    return setup, SimpleNamespace(
        rows=_rows(setup.space, rng, seeds, low, high),
        adaptation=adaptation,
        train_tasks=train,
        test_tasks=test,
        floor=np.full(axes[:2], low),
        measured=None,
        results=results,
    )


def _rows(space, rng, seeds, low, high):
    found = []
    for point in range(1, 9):
        share = 1.0 - 0.6**point
        for seed in range(seeds):
            row = {"updates": 1000 * point, "seed": seed}
            for name, part in (("test", 0.9), ("train", 1.0)):
                value = low + part * share * (high - low)
                row[f"{name}_return"] = value + rng.normal(0, 0.02 * abs(high - low))
            row["test_prior_return"] = low + 0.2 * share * (high - low)
            row |= {f"kl {name}": rng.uniform(1, 2) for name in block_names(space)}
            found.append(row)
    return found


def _beliefs(space, rng, axes):
    """Means that grow from the prior's: weights of a variable's classes add up to one."""
    grown = np.minimum(np.arange(axes[-1]) / 5.0, 1.0)[:, None]
    parts = []
    for part in variables_of(space):
        shape = (*axes[:-1], 1)
        size = part.rest.size
        far = (
            rng.dirichlet(np.ones(size), shape) if part.simplex else rng.normal(size=(*shape, size))
        )
        parts.append((1.0 - grown) * part.rest + grown * far)
    return np.concatenate(parts, axis=-1)
