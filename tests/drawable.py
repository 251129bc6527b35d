"""A finished run that was never trained: random paths and beliefs, and untrained networks."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from tiny import config

from structlat_jax.checkpoint import Checkpoints, write_config
from structlat_jax.nets.networks import AgentParams
from structlat_jax.report import results
from structlat_jax.train.setup import make_setup

UPDATES = (5, 10, 15, 20)
EVALUATED = (10, 20)


class _State(NamedTuple):
    """As much of a training state as acting needs."""

    params: AgentParams


def write_run(
    folder: Path,
    latent: str = "dir:1x3,gau:1",
    seeds: int = 2,
    env: str = "point_robot",
    checkpoint: bool = True,
    goal_seed: int = 0,
) -> Path:
    """Writes a run folder and returns it; ``goal_seed`` is that of the goals."""
    made = config(latent=latent)
    s, rng = made.structure, np.random.default_rng(1)
    setup = make_setup(made)
    folder.mkdir(parents=True)
    write_config(folder, made, preset="cpu", seeds=seeds, seed=0)
    arrays = {}
    for kind, tasks in (("train", s.train_tasks), ("test", s.test_tasks)):
        weight = np.random.default_rng(goal_seed).uniform(size=(seeds, tasks))
        goal = np.stack([np.cos(np.pi * weight), np.sin(np.pi * weight)], axis=-1)
        axes = (seeds, tasks, s.eval_repeats, s.eval_episodes)
        steps = rng.normal(0, 0.2, (*axes, setup.env.horizon + 1, 2))
        arrays |= {
            f"returns_{kind}": rng.uniform(0, 12, axes) * rng.integers(0, 2, axes),
            f"amortised_{kind}": rng.uniform(0, 12, axes),
            f"path_{kind}": np.cumsum(steps, axis=-2),
            f"z_{kind}": np.zeros((*axes, setup.space.dim)),
            f"belief_{kind}": _beliefs(setup.space, rng, axes),
            f"kl_{kind}": np.zeros((*axes, len(setup.space.blocks))),
            f"oracle_{kind}": np.full((seeds, tasks), 13.0),
            f"label_{kind}": weight,
            f"goal_{kind}": goal,
        }
    results.write_adaptation(folder / "adaptation.npz", arrays)
    rows = [
        {"updates": u, "seed": seed} | ({"test_return": rng.uniform()} if u in EVALUATED else {})
        for u in UPDATES
        for seed in range(seeds)
    ]
    results.write_metrics(folder / "metrics.csv", rows)
    if checkpoint:
        keys = jax.random.split(jax.random.key(0), seeds)
        with Checkpoints(folder) as saved:
            saved.save(4, _State(jax.vmap(setup.networks.init)(keys)), [])
    results.write_results(folder / "results.json", {"env": env, "latent": latent})
    return folder


def _beliefs(space, rng, axes):
    """Random means: weights of a block's classes add up to one."""
    parts = [
        rng.normal(size=(*axes, 1)) if block.family == "gau" else rng.dirichlet([1.0] * size, axes)
        for block in space.blocks
        for variables, size in [block.groups]
        for _ in range(variables)
    ]
    return np.concatenate(parts, axis=-1)
