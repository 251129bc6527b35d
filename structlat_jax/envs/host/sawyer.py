"""Meta-World's robot arm (Yu et al. 2019) as one object for all kinds of tasks; without jax.

The package draws a task's places at every reset unless it is told to keep them, and then waits for
ever for other ones if it does not like them. Here a task is numbers, which the first draw of a
reset returns; further draws of the same reset come from a generator that the numbers seed.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

STEPS = 500
"""Steps that an episode of the package may have."""


class Sawyer:
    """The arm, in the kind of task that was set last.

    Attributes:
      kinds: Names of the package's environments; a task has the number of one.
    """

    def __init__(self, kinds: Sequence[str], reward: str):
        """The kinds are made when they are first needed.

        Args:
          kinds: See above.
          reward: Version of the package's reward functions.
        """
        self.kinds, self._reward = tuple(kinds), reward
        self._made: dict[int, Any] = {}
        self._numbers = np.zeros(0)
        self.now: Any = None

    def space(self, kind: int) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest places of a kind, ``[3]`` or ``[6]``."""
        box = self._of(kind)._random_reset_space
        return np.asarray(box.low, float), np.asarray(box.high, float)

    def set_places(self, kind: int, places: np.ndarray) -> None:
        """A task by its places, of which there are as many as its kind has."""
        self.now = self._of(kind)
        self._numbers = np.asarray(places, float)[: len(self.space(kind)[0])]

    def set_share(self, kind: int, share: np.ndarray) -> None:
        """A task by where its places lie between the least and the greatest, ``[6]`` in [0, 1]."""
        low, high = self.space(kind)
        self.set_places(kind, low + np.asarray(share, float)[: len(low)] * (high - low))

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """The start of an episode, which is the same whenever the task is."""
        from metaworld.sawyer_xyz_env import SawyerXYZEnv

        now, space = self.now, self.now._random_reset_space
        now.curr_path_length = 0
        for _ in range(2):  # as the package does: the first puts things into their places
            now._get_state_rand_vec = _draws(self._numbers, space.low, space.high)
            obs, info = super(SawyerXYZEnv, now).reset()
        now._prev_obs = obs[:18].copy()
        obs[18:36] = now._prev_obs
        return obs, info

    def step(self, action: np.ndarray) -> tuple[Any, ...]:
        """One step of the package's environment."""
        return self.now.step(np.asarray(action, np.float32))

    def scripted(self) -> Callable[[np.ndarray], np.ndarray]:
        """The policy that the package ships for this kind of task, which sees the goal."""
        from metaworld.policies import ENV_POLICY_MAP

        now = self.now
        (name,) = (self.kinds[number] for number, one in self._made.items() if one is now)
        policy = ENV_POLICY_MAP[name]()

        def act(obs: np.ndarray) -> np.ndarray:
            full = np.concatenate([obs[:36], now._get_pos_goal()])
            return np.clip(policy.get_action(full), -1.0, 1.0)

        return act

    def _of(self, kind: int) -> Any:
        kind = int(kind)
        if kind not in self._made:
            from metaworld.env_dict import ALL_V3_ENVIRONMENTS

            made = ALL_V3_ENVIRONMENTS[self.kinds[kind]](reward_function_version=self._reward)
            made._set_task_called = True
            made.max_path_length = STEPS + 1  # the horizon is not its own affair
            self._made[kind] = made
        return self._made[kind]


def _draws(places: np.ndarray, low: np.ndarray, high: np.ndarray) -> Callable[[], np.ndarray]:
    """What an environment takes for its own draws."""
    after = np.random.default_rng(np.frombuffer(np.float32(places).tobytes(), np.uint32))
    first = iter([places])

    def draw() -> np.ndarray:
        for one in first:
            return one.copy()
        return after.uniform(low, high)

    return draw


def make(kinds: Sequence[str], reward: str) -> Callable[[], Sawyer]:
    """`HostEnv.make`."""
    return functools.partial(Sawyer, kinds, reward)


def set_places(env: Sawyer, task: Any) -> None:
    """`HostEnv.set_task` of tasks that are places."""
    env.set_places(0, task["places"])


def set_share(env: Sawyer, task: Any) -> None:
    """`HostEnv.set_task` of tasks of several kinds."""
    env.set_share(task["kind"], task["share"])


def controller(env: Sawyer, task: Any) -> Callable[[np.ndarray], np.ndarray]:
    """`HostEnv.controller`."""
    del task
    return env.scripted()


def success(info: dict[str, Any]) -> float:
    """`HostEnv.success`."""
    return info["success"]
