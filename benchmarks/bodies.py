"""Steps per processor-second of bodies: ours, all tasks at once, against gymnasium's in a loop.

Ours: episodes of many tasks, whose bodies differ where the family's do, within one compiled program
on one device, the policy in the loop (three layers of 300) or actions that are all alike. Against
them gymnasium's environment of the same body, one at a time, with a policy of the same size in
NumPy or without. Seconds are those of all cores together, so that what else runs counts little,
and, in a second round, those of the clock.
"""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import harness
from structlat_jax.envs import Env, make
from structlat_jax.envs.bodies import models
from structlat_jax.nets.networks import Networks, make_networks
from structlat_jax.nets.options import NetworkOptions

Act = Callable[[np.ndarray], np.ndarray]
Programs = dict[str, tuple[Callable[[], Any], int]]

_STEPS = 20
_LATENT, _DEPTH = 5, 3
_THEIRS = {
    "cheetah_vel": "HalfCheetah-v5",
    "hopper_body": "Hopper-v5",
    "walker_body": "Walker2d-v5",
    "ant_dir": "Ant-v5",
}


@click.command(help=__doc__)
@click.option("--episodes", type=click.IntRange(1), default=64, show_default=True,
              help="Tasks at the same time, an episode each.")  # fmt: skip
@click.option("--backend", default="mujoco", show_default=True, help="mujoco, mjx or auto.")
@harness.options(repeats=9)
def command(episodes: int, backend: str, repeats: int, quick: bool, out: Path | None) -> None:
    """See the module's docstring."""
    names, width = list(_THEIRS), 300
    if quick:
        episodes, repeats, names, width = 2, 1, names[:1], 8
    rows = []
    for name in names:
        env = make(name, backend=backend)
        networks = make_networks(
            NetworkOptions(width=width), env.obs_dim, env.action_dim, _LATENT, 1
        )
        ours = episodes * _STEPS
        programs = {
            "ours, with the policy": (together(env, networks, episodes, True), ours),
            "ours, without": (together(env, networks, episodes, False), ours),
            "gymnasium, with a policy": (one_by_one(name, width), _STEPS),
            "gymnasium, without": (one_by_one(name), _STEPS),
        }
        rows += _measured(name, programs, repeats)
    harness.report("bodies", out, rows)


def _measured(name: str, programs: Programs, repeats: int) -> list[dict[str, Any]]:
    """A row per program, each a call and its steps."""
    calls = {k: call for k, (call, _) in programs.items()}
    rows = {program: {"environment": name, "program": program} for program in programs}
    for unit, clock in (("CPU-s", time.process_time), ("s", time.perf_counter)):
        found = harness.interleaved(calls, repeats, clock)
        rates = {k: [programs[k][1] / s for s in seconds] for k, seconds in found.items()}
        for program, values in rates.items():
            row = rows[program]
            row |= {f"steps/{unit} {k}": v for k, v in harness.summary(values).items()}
            pairs = zip(values, rates["gymnasium, with a policy"], strict=True)
            row[f"x gymnasium by {unit}"] = harness.summary([a / b for a, b in pairs])["median"]
    return list(rows.values())


def together(
    env: Env, networks: Networks, episodes: int, with_policy: bool
) -> Callable[[], jax.Array]:
    """So many episodes at once, for some steps; a program without arguments."""
    key_tasks, key_reset = jax.random.split(jax.random.key(0))
    tasks = jax.jit(env.sample_tasks, static_argnums=1)(key_tasks, episodes)
    keys = jax.random.split(key_reset, episodes)
    shapes = jax.eval_shape(networks.zeros).policy
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: np.float32(0.1 * rng.normal(size=x.shape)), shapes)
    z = jnp.zeros((_LATENT,))

    def play(tasks, keys, params):
        def one(task, key):
            def advance(state, _):
                obs = env.observe(state)
                mean = networks.policy(params, obs, z)[0] if with_policy else 0.3 * obs[:1]
                out = env.step(state, jnp.broadcast_to(jnp.tanh(mean), (env.action_dim,)), task)
                # Who has fallen goes on, for all steps to cost what a step does.
                return out.state._replace(over=jnp.bool_(False)), out.reward

            return jax.lax.scan(advance, env.reset(key, task), None, length=_STEPS)[1]

        return jax.vmap(one)(tasks, keys)

    program = jax.jit(play)
    return lambda: program(tasks, keys, params)


def one_by_one(name: str, width: int | None = None) -> Callable[[], Any]:
    """Some steps of gymnasium's environment of the same body, with a policy of some width, or
    with none."""
    import gymnasium

    with models.quietly():
        env = gymnasium.make(_THEIRS[name]).unwrapped
    obs, _ = env.reset(seed=0)
    actions = env.action_space.shape[0]
    still = np.zeros(actions)
    act = (lambda obs: still) if width is None else in_numpy(obs.size, actions, width)

    def play():
        obs, _ = env.reset()
        for _ in range(_STEPS):
            obs = env.step(act(obs))[0]
        return obs

    return play


def in_numpy(obs_dim: int, actions: int, width: int) -> Act:
    """The mode of a policy."""
    rng, z = np.random.default_rng(0), np.zeros(_LATENT, np.float32)
    sizes = [obs_dim + _LATENT, *[width] * _DEPTH, 2 * actions]
    layers = [0.1 * rng.normal(size=pair).astype(np.float32) for pair in itertools.pairwise(sizes)]

    def act(obs):
        x = np.concatenate([obs, z]).astype(np.float32)
        for layer in layers[:-1]:
            x = np.maximum(x @ layer, 0.0)
        return np.tanh((x @ layers[-1])[:actions])

    return act


if __name__ == "__main__":
    command()
