"""What a worker does: it holds one environment, and runs whole episodes in it."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from structlat_jax.envs.host.base import Simulator
from structlat_jax.envs.host.policy import Act, Policy, actor


class HostError(Exception):
    """What an environment does wrong, in one sentence."""


class Jobs(NamedTuple):
    """Episodes that are to be run; all arrays lead with ``[N]``.

    Attributes:
      kind: ``act``: by a policy; ``control``: by the environment's controller; ``reset``: only what
        is observed first; ``try``: one step of ``actions``.
      policy: The number of the policy.
      task: The leaves of the tasks.
      seed: Of the reset, uint32.
      z: ``[N, D]``; empty where no policy acts.
      explores: Whether ``actions`` are taken instead of the policy's; None if none does.
      actions: ``[N, H, action_dim]`` or None.
      noise: ``[N, H, action_dim]``, or None for the policy's mode.
    """

    kind: str
    policy: np.ndarray
    task: tuple[np.ndarray, ...]
    seed: np.ndarray
    z: np.ndarray
    explores: np.ndarray | None = None
    actions: np.ndarray | None = None
    noise: np.ndarray | None = None

    def part(self, begin: int, end: int) -> "Jobs":
        """Those from ``begin`` to ``end``."""
        rest = (None if x is None else x[begin:end] for x in self[3:])
        return Jobs(self.kind, self.policy[begin:end], _leaves(self.task, begin, end), *rest)


def _leaves(task, begin, end):
    return tuple(leaf[begin:end] for leaf in task)


class Seen(NamedTuple):
    """What happened in episodes, zero behind their end; ``[N]`` leads.

    Attributes:
      path: Observations from the reset on, ``[N, H + 1, obs_dim]``; ``[N, 1, obs_dim]`` of resets.
      action: ``[N, H, action_dim]``; zero where the controller acts.
      reward, train_reward, done: ``[N, H]``.
      length: Steps, int32 ``[N]``.
      success: 1 where one step succeeded, else 0, ``[N]``; 0 if nobody can tell.
    """

    path: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    train_reward: np.ndarray
    done: np.ndarray
    length: np.ndarray
    success: np.ndarray


def blank(simulator: Simulator, kind: str, count: int) -> Seen:
    """Nothing yet, of so many episodes of a kind."""
    steps = 0 if kind == "reset" else simulator.horizon
    wide = (count, steps)
    return Seen(
        path=np.zeros((count, steps + 1, simulator.obs_dim), np.float32),
        action=np.zeros((*wide, simulator.action_dim), np.float32),
        reward=np.zeros(wide, np.float32),
        train_reward=np.zeros(wide, np.float32),
        done=np.zeros(wide, np.float32),
        length=np.zeros(count, np.int32),
        success=np.zeros(count, np.float32),
    )


class Runner:
    """An environment and how it is used; what happens in an episode depends on its job alone."""

    def __init__(self, simulator: Simulator, template: Any):
        """Makes the environment.

        Args:
          simulator: What it is.
          template: A task with the numbers of its leaves in place of them.

        Raises:
          HostError: if it cannot be made.
        """
        self.simulator, self.template = simulator, template
        self.environment = self._call("make", simulator.make)
        self._require_actions()

    def run(self, policies: dict[int, Policy], jobs: Jobs) -> Seen:
        """Runs episodes, one after the other.

        Args:
          policies: By number.
          jobs: The episodes.

        Raises:
          HostError: if the environment does what it must not.
        """
        seen = blank(self.simulator, jobs.kind, len(jobs.seed))
        for i in range(len(jobs.seed)):
            self._episode(policies, jobs, i, seen)
        return seen

    def _require_actions(self) -> None:
        s, space = self.simulator, getattr(self.environment, "action_space", None)
        shape, count = getattr(space, "shape", None), getattr(space, "n", None)
        found = count if s.discrete else shape[0] if shape and len(shape) == 1 else None
        if found is not None and found != s.action_dim:
            raise HostError(
                f"action_dim of {s.name} must be {found}, as its action_space says, not "
                f"{s.action_dim}."
            )
        if space is not None and (count is not None) != s.discrete:
            kind = "one of several, so discrete must be True" if count else "numbers, not discrete"
            raise HostError(f"the actions of {s.name} are {kind}.")

    def _episode(self, policies: dict[int, Policy], jobs: Jobs, i: int, seen: Seen) -> None:
        task = rebuilt(self.template, [leaf[i] for leaf in jobs.task])
        raw = self._reset(task, int(jobs.seed[i]))
        obs = seen.path[i, 0] = self._observed("reset", raw)
        if jobs.kind == "reset":
            return
        horizon = 1 if jobs.kind == "try" else self.simulator.horizon
        control = act = None
        if jobs.kind == "control":
            control = self._call("controller", self.simulator.controller, self.environment, task)
        elif jobs.explores is None or not jobs.explores[i]:
            act = actor(policies[int(jobs.policy[i])], jobs.z[i], self.simulator.discrete)
        for t in range(horizon):
            if control is not None:
                given = self._call("controller", control, raw)
            else:
                action = seen.action[i, t] = _chosen(act, obs, jobs, i, t)
                given = self._given(action)
            raw, reward, terminated, truncated, info = self._step(given)
            found = self._observed("step", raw)
            if terminated and not np.isfinite(found).all():  # of nothing that goes on
                found = np.where(np.isfinite(found), found, obs)
            obs = seen.path[i, t + 1] = found
            seen.reward[i, t] = self._number("reward", reward)
            seen.train_reward[i, t] = self._shaped(reward, info)
            seen.done[i, t] = float(bool(terminated))
            seen.success[i] = max(seen.success[i], self._success(info))
            if terminated or truncated:
                break
        seen.length[i] = t + 1

    def _reset(self, task: Any, seed: int) -> Any:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        self._call("set_task", self.simulator.set_task, self.environment, task)
        out = self._call("reset", self.environment.reset, seed=seed)
        if not isinstance(out, tuple) or len(out) != 2:
            raise HostError(self._must("reset", "(obs, info)", out))
        return out[0]

    def _step(self, action: Any) -> tuple[Any, ...]:
        out = self._call("step", self.environment.step, action)
        if not isinstance(out, tuple) or len(out) != 5:
            wanted = "(obs, reward, terminated, truncated, info)"
            raise HostError(self._must("step", wanted, out))
        return out

    def _must(self, what: str, wanted: str, out: Any) -> str:
        given = f"{len(out)} things" if isinstance(out, tuple) else type(out).__name__
        return f"{what} of {self.simulator.name} must return {wanted}, not {given}."

    def _observed(self, what: str, raw: Any) -> np.ndarray:
        s = self.simulator
        shown = raw if s.observe is None else self._call("observe", s.observe, raw)
        try:
            found = np.asarray(shown, np.float32).reshape(-1)
        except (TypeError, ValueError):
            raise HostError(
                f"what {what} of {s.name} observes must be numbers, not {type(shown).__name__}; "
                "observe may make them."
            ) from None
        if found.shape != (s.obs_dim,):
            raise HostError(
                f"what {what} of {s.name} observes must have obs_dim = {s.obs_dim} numbers, not "
                f"{found.size}."
            )
        return found

    def _given(self, action: np.ndarray) -> Any:
        s = self.simulator
        if s.discrete:
            return int(np.argmax(action))
        low, high = np.asarray(s.low, np.float32), np.asarray(s.high, np.float32)
        return low + (high - low) * (0.5 * (np.clip(action, -1.0, 1.0) + 1.0))

    def _shaped(self, reward: Any, info: Any) -> float:
        shaped = self.simulator.train_reward
        if shaped is None:
            return float(reward)
        return self._number("train_reward", self._call("train_reward", shaped, reward, info))

    def _success(self, info: Any) -> float:
        said = self.simulator.success
        if said is None:
            return 0.0
        return self._number("success", self._call("success", said, info))

    def _number(self, what: str, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            name = self.simulator.name
            raise HostError(f"{what} of {name} must be a number, not {value!r:.60}.") from None

    def _call(self, what: str, function: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except Exception as error:  # anybody's code
            words = " ".join(str(error).split())[:300].rstrip(".")
            name = self.simulator.name
            raise HostError(f"{what} of {name} fails: {type(error).__name__}: {words}.") from error


def _chosen(act: Act | None, obs: np.ndarray, jobs: Jobs, i: int, t: int) -> np.ndarray:
    if act is None:
        return jobs.actions[i, t]
    return act(obs, None if jobs.noise is None else jobs.noise[i, t])


def rebuilt(template: Any, leaves: list[Any]) -> Any:
    """The task whose leaves stand in the places of their numbers in ``template``."""
    if isinstance(template, dict):
        return {name: rebuilt(one, leaves) for name, one in template.items()}
    if isinstance(template, tuple) and hasattr(template, "_fields"):
        return type(template)(*(rebuilt(one, leaves) for one in template))
    if isinstance(template, list | tuple):
        return type(template)(rebuilt(one, leaves) for one in template)
    return None if template is None else leaves[template]


def numbered(template: Any) -> Iterator[int]:
    """The numbers of leaves that stand in a template, in order of their places."""
    if isinstance(template, dict):
        for one in template.values():
            yield from numbered(one)
    elif isinstance(template, list | tuple):
        for one in template:
            yield from numbered(one)
    elif template is not None:
        yield template
