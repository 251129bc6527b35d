"""Episodes in host environments: many at once, by workers."""

from typing import Any

import jax
import numpy as np

from structlat_jax.envs.host import pools
from structlat_jax.envs.host.policy import Policy
from structlat_jax.envs.host.runner import Jobs, Seen
from structlat_jax.shapes import UNKNOWN, Episodes, Params, Task, Transition
from structlat_jax.train.setup import Setup

STARTS = "reset"
CONTROLLED = "control"


def policies(setup: Setup, params: Params, seeds: int) -> list[Policy]:
    """The policies of the first ``seeds`` seeds, from parameters ``[S]`` on the host."""
    # One by one: a normaliser that is folded into a layer is of one agent.
    return [
        setup.algorithm.portable(jax.tree.map(lambda x, i=i: np.asarray(x[i]), params))
        for i in range(seeds)
    ]


def play(
    setup: Setup,
    acting: list[Policy],
    tasks: Task,
    resets: np.ndarray,
    z: np.ndarray,
    explores: np.ndarray | None = None,
    actions: np.ndarray | None = None,
    noise: np.ndarray | None = None,
) -> Episodes:
    """Episodes of the seeds of all policies.

    Args:
      setup: Static.
      acting: One policy per seed.
      tasks: ``[S, L]``, of each of which the episodes have one.
      resets: Their keys as data, ``[S, L, 2]``.
      z: ``[S, L, D]``.
      explores: Which take ``actions`` instead of the policy's, ``[S, L]``.
      actions, noise: ``[S, L, H, action_dim]``; without noise the policy's mode acts.

    Returns:
      ``[S, L]``, arrays of the host.
    """
    given = {"explores": explores, "actions": actions, "noise": noise}
    flat = {name: x if x is None else x.reshape(-1, *x.shape[2:]) for name, x in given.items()}
    seen = _run(setup, "act", acting, tasks, resets, z, **flat)
    return _episodes(setup, seen, resets.shape[:2])


def firsts(setup: Setup, tasks: Task, resets: np.ndarray) -> np.ndarray:
    """What is observed first in episodes ``[S, L]``, ``[S, L, obs_dim]``."""
    seen = _run(setup, STARTS, [], tasks, resets)
    return seen.path.reshape(*resets.shape[:2], setup.env.obs_dim)


def controlled(setup: Setup, tasks: Task, resets: np.ndarray) -> np.ndarray:
    """Returns of the environment's controller in episodes ``[S, L]``."""
    seen = _run(setup, CONTROLLED, [], tasks, resets)
    return seen.reward.sum(axis=-1).reshape(resets.shape[:2])


def _run(
    setup: Setup,
    kind: str,
    acting: list[Policy],
    tasks: Task,
    resets: np.ndarray,
    z: np.ndarray | None = None,
    **given: Any,
) -> Seen:
    seeds, lanes = resets.shape[:2]
    count = seeds * lanes
    leaves = [np.asarray(x) for x in jax.tree.leaves(tasks)]
    jobs = Jobs(
        kind=kind,
        policy=np.repeat(np.arange(seeds), lanes),
        task=tuple(x.reshape(count, *x.shape[2:]) for x in leaves),
        seed=np.asarray(resets)[..., -1].reshape(count),
        z=np.zeros((count, 0), np.float32) if z is None else z.reshape(count, -1),
        **given,
    )
    with pools.in_words():
        return pools.of(setup.env).run(acting, jobs)


def _episodes(setup: Setup, seen: Seen, lead: tuple[int, int]) -> Episodes:
    within = (np.arange(setup.env.horizon) < seen.length[:, None]).astype(np.float32)
    transitions = Transition(
        obs=seen.path[:, :-1] * within[..., None],
        action=seen.action,
        reward=seen.reward,
        train_reward=seen.train_reward,
        next_obs=seen.path[:, 1:],
        done=seen.done,
    )
    known = setup.env.success is not None
    success = seen.success if known else np.full_like(seen.success, UNKNOWN)
    found = Episodes(transitions, seen.length, success)
    return jax.tree.map(lambda x: x.reshape(*lead, *x.shape[1:]), found)
