"""A finished run that was never trained: random paths and beliefs, and untrained networks."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
from tiny import config

from structlat_jax.envs import Env, point_robot
from structlat_jax.envs.base import Plane
from structlat_jax.envs.spec import EnvSpec
from structlat_jax.inference.base import Learned
from structlat_jax.report import results
from structlat_jax.report.parts import variables_of
from structlat_jax.store.checkpoint import Checkpoints
from structlat_jax.store.run_folder import write_config
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import make_setup

UPDATES = (5, 10, 15, 20)
EVALUATED = (10, 20)
EARLIER = ("success", "length", "floor")
"""Arrays that files of earlier versions do not have."""

STEPWISE = ("reward", "spread", "leads", "leads_weight")
"""Nor do these have any but the latest."""

_GROUPS = 8

_TURN = np.linspace(0.0, np.pi, 61)
PLANE = Plane(
    project=lambda obs: obs[..., :2],
    goal=lambda task: task.goal,
    radius=0.2,
    units="m",
    outline=np.stack([np.cos(_TURN), np.sin(_TURN)], axis=-1),
)


def walker() -> Env:
    """The point robot with its half circle, in metres."""
    return dataclasses.replace(point_robot.make(), plane=PLANE)


def write_run(
    folder: Path,
    latent: str = "dir:1x3,gau:1",
    seeds: int = 2,
    env: str = "point_robot",
    checkpoint: bool = True,
    goal_seed: int = 0,
    without: tuple[str, ...] = (),
    dense: bool = False,
) -> Path:
    """Writes a run folder and returns it.

    Args:
      folder: Where to.
      latent, seeds: Of the run.
      env: What its configuration names; whatever that is, it is the point robot.
      checkpoint: Whether networks are saved too.
      goal_seed: That of the goals.
      without: Arrays to leave out, for instance `EARLIER`.
      dense: Whether returns rise from -80 to -20 and nobody knows more about them.
    """
    made = config(latent=latent)
    setup = make_setup(made)
    made = made.replace(env=EnvSpec(env))
    folder.mkdir(parents=True)
    write_config(folder, made, preset="cpu", seeds=seeds, seed=0)
    without += ("success", "oracle", "amortised", "goal") if dense else ()
    arrays = {
        f"{name}_{kind}": values
        for kind in ("train", "test")
        for name, values in _arrays(setup, seeds, kind, goal_seed, dense).items()
        if name not in without and not (name.startswith("leads") and kind == "train")
    }
    results.write_adaptation(folder / "adaptation.npz", arrays)
    rng = np.random.default_rng(2)
    rows = [
        {"updates": u, "seed": seed} | ({"test_return": rng.uniform()} if u in EVALUATED else {})
        for u in UPDATES
        for seed in range(seeds)
    ]
    results.write_metrics(folder / "metrics.csv", rows)
    if checkpoint:
        keys = jax.random.split(jax.random.key(0), seeds)
        draw = jax.jit(jax.vmap(lambda key: Learned(*init_params(setup, key))))
        Checkpoints(folder).save_params(4, draw(keys))
    results.write_results(folder / "results.json", {"env": env, "latent": latent})
    return folder


def _arrays(setup, seeds, kind, goal_seed, dense):
    s, rng = setup.config.structure, np.random.default_rng(len(kind))
    tasks = s.seen_tasks if kind == "train" else s.test_tasks
    axes = (seeds, tasks, s.eval_repeats, s.eval_episodes)
    weight = np.random.default_rng(goal_seed).uniform(size=(seeds, tasks))
    steps = rng.normal(0, 0.2, (*axes, setup.env.horizon + 1, 2))
    steps[..., 0, :] = 0.0
    paid = rng.integers(0, 2, axes)
    returns = rng.uniform(0.1, 12, axes) * paid
    if dense:
        returns = np.linspace(-80, -20, axes[-1]) + rng.normal(0, 1, axes)
    return {
        "returns": returns,
        "success": paid,
        "length": np.full(axes, setup.env.horizon),
        "amortised": rng.uniform(0, 12, axes),
        "path": np.cumsum(steps, axis=-2),
        "z": np.zeros((*axes, setup.space.dim)),
        "belief": _beliefs(setup.space, rng, axes),
        "kl": np.sort(rng.exponential(size=(*axes, len(setup.space.blocks))), axis=-2),
        "reward": np.repeat(returns[..., None], setup.env.horizon, axis=-1) / setup.env.horizon,
        "spread": rng.uniform(0.05, 0.4, (*axes, setup.space.dim)),
        "leads": rng.normal(0, 0.7, (*axes[:2], _GROUPS, 2)),
        "leads_weight": rng.dirichlet(np.ones(_GROUPS), (*axes[:2], axes[-1])),
        "oracle": np.full((seeds, tasks), 13.0),
        "floor": np.full((seeds, tasks), -80.0 if dense else 0.0),
        "label": weight,
        "goal": np.stack([np.cos(np.pi * weight), np.sin(np.pi * weight)], axis=-1),
    }


def _beliefs(space, rng, axes):
    """Random means: weights of a variable's classes add up to one."""
    parts = [
        rng.dirichlet(np.ones(part.rest.size), axes)
        if part.simplex
        else rng.normal(size=(*axes, part.rest.size))
        for part in variables_of(space)
    ]
    return np.concatenate(parts, axis=-1)
