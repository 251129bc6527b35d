"""Steps per second in Meta-World, with the policy in the loop, against gymnasium's vectors.

Ours: workers that take whole episodes and hold a NumPy copy of the policy. Against them gymnasium's
`SyncVectorEnv` and `AsyncVectorEnv`, whose environments take one action each at a time: the policy
acts on all observations at once, in NumPy too. All go through the same episodes' worth of steps
of the same task, resets included.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from benchmarks import harness
from structlat_jax.envs.host import local, pools, sawyer
from structlat_jax.envs.host.policy import Policy
from structlat_jax.envs.host.runner import Jobs
from structlat_jax.envs.meta_world import ml1

_WIDTHS = (128, 128, 128)
_LATENT = 5


@click.command(help=__doc__)
@click.option("--task", default="reach-v3", show_default=True)
@click.option("--workers", type=click.IntRange(1), default=local.cores(), show_default=True)
@click.option("--episodes", type=click.IntRange(1), default=4, show_default=True,
              help="Of each environment and turn.")  # fmt: skip
@harness.options(repeats=5)
def command(
    task: str, workers: int, episodes: int, repeats: int, quick: bool, out: Path | None
) -> None:
    """See the module's docstring."""
    episodes, repeats = (1, 1) if quick else (episodes, repeats)
    horizon = 20 if quick else 200
    env = ml1(task, goals="dirichlet", horizon=horizon)
    policy = _policy(env.obs_dim, env.action_dim)
    count = workers * episodes
    pool = pools.Pool(env.simulator, {"places": 0}, local.crew(workers))
    vectors = {kind: _vector(kind, task, workers, horizon) for kind in ("sync", "async")}
    try:
        calls = {"whole episodes": lambda: pool.run([policy], _jobs(env, count))}
        for kind, vector in vectors.items():
            calls[f"gymnasium, {kind}"] = _stepped(vector, policy, workers, episodes * horizon)
        found = harness.interleaved(calls, repeats)
    finally:
        pool.close()
        for vector in vectors.values():
            vector.close()
    rows = []
    for name, seconds in found.items():
        rates = harness.summary([count * horizon / s for s in seconds])
        pairs = zip(found["whole episodes"], seconds, strict=True)
        ahead = harness.summary([s / ours for ours, s in pairs])["median"]
        rows.append(
            {"program": name, **{f"steps/s {k}": v for k, v in rates.items()}, "x slower": ahead}
        )
    harness.report("host", out, rows)


def _policy(obs_dim: int, action_dim: int) -> Policy:
    draw = np.random.default_rng(0)
    widths = (obs_dim + _LATENT, *_WIDTHS, 2 * action_dim)
    kernels = [
        draw.normal(size=pair, scale=pair[0] ** -0.5).astype("f")
        for pair in itertools.pairwise(widths)
    ]
    return Policy(tuple(kernels), tuple(np.zeros(k.shape[1], "f") for k in kernels))


_PLACES = np.array([0.0, 0.6, 0.02, 0.05, 0.85, 0.2], np.float32)


def _jobs(env, count: int) -> Jobs:
    return Jobs(
        kind="act",
        policy=np.zeros(count, int),
        task=(np.tile(_PLACES, (count, 1)),),
        seed=np.arange(count, dtype=np.uint32),
        z=np.zeros((count, _LATENT), np.float32),
        noise=np.zeros((count, env.horizon, env.action_dim), np.float32),
    )


def _vector(kind: str, task: str, count: int, horizon: int):
    import gymnasium

    def make():
        return _single(task, horizon)

    if kind == "sync":
        return gymnasium.vector.SyncVectorEnv([make] * count)
    return gymnasium.vector.AsyncVectorEnv([make] * count, context="spawn")


def _single(task: str, horizon: int):
    """One environment of the same task as gymnasium has them."""
    import gymnasium

    class Arm(gymnasium.Env):
        def __init__(self):
            self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (39,), np.float64)
            self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)
            self.arm, self.left = sawyer.Sawyer((task,), "v2"), 0

        def reset(self, seed=None, options=None):
            self.arm.set_places(0, _PLACES)
            self.left = horizon
            return self.arm.reset()

        def step(self, action):
            self.left -= 1
            obs, reward, done, _, info = self.arm.step(action)
            return obs, reward, done, self.left == 0, {"success": info["success"]}

    return Arm()


def _stepped(vector, policy: Policy, count: int, steps: int) -> Callable[[], None]:
    """So many steps of each environment; those in which gymnasium resets are no steps."""
    bias = np.zeros((count, _LATENT), np.float32)

    def act(obs: np.ndarray) -> np.ndarray:
        x = np.concatenate([obs.astype(np.float32), bias], axis=1)
        for kernel, offset in zip(policy.kernels[:-1], policy.biases[:-1], strict=True):
            x = np.maximum(x @ kernel + offset, 0.0)
        return np.tanh(np.split(x @ policy.kernels[-1] + policy.biases[-1], 2, axis=1)[0])

    def run() -> None:
        obs, _ = vector.reset()
        done, fresh = 0, False
        while done < steps:
            obs, _, _, truncated, _ = vector.step(act(obs))
            done += not fresh
            fresh = bool(truncated.all()) and done < steps

    return run


if __name__ == "__main__":
    command()
