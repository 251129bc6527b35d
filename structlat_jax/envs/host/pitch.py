"""Google Research Football (Kurach et al. 2020) as an object that workers hold; without jax.

The game reads where everybody starts from a module that is named in its configuration. Here that is
a module in memory, and what it says follows from the task: the places of several of the package's
scenarios, mixed. Everything else of the game is as it is: its engine, its 19 actions, and the 115
numbers that its own function makes of what it shows.
"""

import contextlib
import functools
import importlib
import io
import itertools
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

OBS, ACTIONS = 115, 19
HEADINGS, KICKS, SPRINT = tuple(range(1, 9)), (9, 10, 11, 12), 13
"""Numbers of actions: running in the eight directions from the left on clockwise, passing (long,
high, short) and shooting, and beginning to sprint."""

RIGHT, SHOT = HEADINGS[4], KICKS[3]
"""Running towards the other goal, and shooting at it."""

_AWAY = ((-1.0, 0.42), (1.0, 0.42))
"""Where players of each team stand who are not in a scenario: behind their own keeper, and behind
the other team, in a corner. The package takes keepers out of a game in this way."""

_CHECKPOINTS, _FIRST, _LAST = 10, 0.99, 0.19
_numbers = itertools.count()


class Player(NamedTuple):
    """Somebody in a scenario.

    Attributes:
      place: Where he starts, in the frame of his own team, whose goal is at -1, ``[2]``.
      role: The package's.
      lazy: Whether he does nothing by himself.
    """

    place: np.ndarray
    role: Any
    lazy: bool


class Scenario(NamedTuple):
    """Where a game starts.

    Attributes:
      ball: ``[2]``.
      teams: The players of the left team, which the agent's player is one of, and of the right.
      ends: Whether an episode ends when the other team gets the ball.
    """

    ball: np.ndarray
    teams: tuple[tuple[Player, ...], tuple[Player, ...]]
    ends: bool


class _Recorder:
    """What a scenario's ``build_scenario`` is given, to find out what it says."""

    def __init__(self, left: Any):
        self._left, self._team = left, 0
        self._config = types.SimpleNamespace(end_episode_on_possession_change=False)
        self._ball, self._teams = np.zeros(2), ([], [])

    def config(self) -> Any:
        return self._config

    def EpisodeNumber(self) -> int:
        return 1

    def SetBallPosition(self, x: float, y: float) -> None:
        self._ball = np.array([x, y])

    def SetTeam(self, team: Any) -> None:
        self._team = int(team != self._left)

    def AddPlayer(
        self, x: float, y: float, role: Any, lazy: bool = False, controllable: bool = True
    ) -> None:
        del controllable
        self._teams[self._team].append(Player(np.array([x, y]), role, lazy))

    def scenario(self) -> Scenario:
        ends = bool(self._config.end_episode_on_possession_change)
        return Scenario(self._ball, tuple(map(tuple, self._teams)), ends)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within it, gym, which the package imports, does not say how old it is."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def read(name: str) -> Scenario:
    """One of the package's scenarios."""
    import gfootball_engine

    recorder = _Recorder(gfootball_engine.e_Team.e_Left)
    with _quiet():
        importlib.import_module(f"gfootball.scenarios.{name}").build_scenario(recorder)
    return recorder.scenario()


def mix(scenarios: Sequence[Scenario], weights: np.ndarray, shift: np.ndarray) -> Scenario:
    """A mixture: the n-th player of a team starts at the mean of where the n-th players start.

    A scenario that has fewer has them out of the way. What cannot be mixed is as in most of the
    weight.

    Args:
      scenarios: K.
      weights: On the simplex, ``[K]``.
      shift: By which the ball and all players but the keepers start beside that, ``[2]``.
    """
    ball = sum(w * one.ball for w, one in zip(weights, scenarios, strict=True)) + shift
    teams = []
    for team, away in enumerate(_AWAY):
        sides = [one.teams[team] for one in scenarios]
        # The right team's frame is turned by half a turn.
        moved = shift if team == 0 else -shift
        teams.append(
            tuple(
                _mixed(sides, weights, number, np.array(away), moved if number else 0.0 * shift)
                for number in range(max(map(len, sides)))
            )
        )
    ends = weights @ np.array([one.ends for one in scenarios], float) > 0.5
    return Scenario(_inside(ball), tuple(teams), bool(ends))


def _mixed(sides: list, weights: np.ndarray, number: int, away: Any, shift: np.ndarray) -> Player:
    have = np.array([number < len(side) for side in sides])
    places = [side[number].place if ok else away for side, ok in zip(sides, have, strict=True)]
    likeliest = sides[int(np.argmax(np.where(have, weights, -1.0)))][number]
    return Player(_inside(weights @ np.array(places) + shift), likeliest.role, likeliest.lazy)


def _inside(place: np.ndarray) -> np.ndarray:
    return np.clip(place, (-1.0, -0.42), (1.0, 0.42))


class Pitch:
    """A game, in the task that was set last."""

    def __init__(self, scenarios: Sequence[str], duration: int):
        """Starts the engine.

        Args:
          scenarios: Names of the package's.
          duration: Steps after which a game is over.
        """
        with _quiet():
            from gfootball.env import config, football_env_core
            from gfootball.env.wrappers import Simple115StateWrapper

        self._numbers = Simple115StateWrapper.convert_observation
        self._known = [read(name) for name in scenarios]
        self._duration, self._left = duration, _CHECKPOINTS
        first = np.eye(len(self._known))[0]
        self._now = mix(self._known, first, np.zeros(2))
        level = f"structlat_{next(_numbers)}"
        module = types.ModuleType(f"gfootball.scenarios.{level}")
        module.build_scenario = self._build
        sys.modules[module.__name__] = module
        self._config = config.Config({"level": level, "display_game_stats": False})
        self._seed(0)
        self._game = football_env_core.FootballEnvCore(self._config)

    def set_task(self, weights: np.ndarray, shift: np.ndarray) -> None:
        """The mixture of scenarios that the next game starts from; see `mix`."""
        self._now = mix(self._known, np.asarray(weights, float), np.asarray(shift, float))

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts a game. All that is random in it follows from the seed."""
        self._seed(0 if seed is None else seed)
        self._left = _CHECKPOINTS
        self._game.reset()
        return self._shown(self._game.observation()), {}

    def step(self, action: int) -> tuple[Any, ...]:
        """One step, of ten of the engine's. ``info``: ``goal``, whether this step scored, and
        ``checkpoints``, what the shaped reward pays for bringing the ball close to the goal."""
        seen, reward, done, _ = self._game.step([int(action)])
        info = {"goal": float(reward > 0), "checkpoints": self._checkpoints(seen, reward)}
        return self._shown(seen), float(reward), bool(done), False, info

    def _seed(self, seed: int) -> None:
        seed = int(seed) % 2**31
        self._config["game_engine_random_seed"] = seed
        # The game would keep what the first seed says for all later ones.
        self._config["reverse_team_processing"] = bool(seed % 2)

    def _shown(self, seen: dict[str, Any]) -> np.ndarray:
        active = {**seen, "active": seen["left_agent_controlled_player"][0]}
        return self._numbers([active], True)[0]

    def _checkpoints(self, seen: dict[str, Any], reward: float) -> float:
        """A tenth for each of ten circles about the goal that the agent's player brings the ball
        into for the first time, and whatever of that is left for a goal."""
        inside = 0
        if reward > 0:
            inside = _CHECKPOINTS
        elif seen["ball_owned_team"] == 0 and (
            seen["ball_owned_player"] == seen["left_agent_controlled_player"][0]
        ):
            away = np.hypot(seen["ball"][0] - 1.0, seen["ball"][1])
            circles = np.linspace(_FIRST, _LAST, _CHECKPOINTS)
            inside = int(np.sum(away <= circles))
        new = max(0, inside - (_CHECKPOINTS - self._left))
        self._left -= new
        return new / _CHECKPOINTS

    def _build(self, builder: Any) -> None:
        """The module's ``build_scenario``."""
        import gfootball_engine

        settings, now = builder.config(), self._now
        settings.game_duration = self._duration
        settings.deterministic = False
        settings.offsides = False
        settings.end_episode_on_score = True
        settings.end_episode_on_out_of_play = True
        settings.end_episode_on_possession_change = now.ends
        builder.SetBallPosition(*map(float, now.ball))
        sides = (gfootball_engine.e_Team.e_Left, gfootball_engine.e_Team.e_Right)
        for side, players in zip(sides, now.teams, strict=True):
            builder.SetTeam(side)
            for one in players:
                builder.AddPlayer(*map(float, one.place), one.role, one.lazy)


def make(scenarios: Sequence[str], duration: int) -> Callable[[], Pitch]:
    """`HostEnv.make`."""
    return functools.partial(Pitch, tuple(scenarios), duration)


def set_task(pitch: Pitch, task: Any) -> None:
    """`HostEnv.set_task`."""
    pitch.set_task(task["weights"], task["shift"])


def straight(pitch: Pitch, task: Any) -> Callable[[np.ndarray], int]:
    """`HostEnv.controller`: sprints to the middle of the goal, and shoots when it is close."""
    del pitch, task
    before = [SPRINT]

    def act(obs: np.ndarray) -> int:
        x, y = obs[88:90]
        if before:
            return before.pop()
        if x > 0.8:
            return SHOT
        return RIGHT + int(y < -0.06) - int(y > 0.06)

    return act


def success(info: dict[str, Any]) -> float:
    """`HostEnv.success`."""
    return info["goal"]


def shaped(reward: float, info: dict[str, Any]) -> float:
    """`HostEnv.train_reward` with checkpoints."""
    return reward + info["checkpoints"]
