"""Google Research Football (Kurach et al. 2020): the scenarios of its academy, and their mixtures.

A task is where everybody and the ball start: a scenario of the package, or a mixture of several,
``w @ scenarios``. A goal pays 1 and ends the episode, as do a ball that is out and, in most
scenarios, one that is lost; training is paid for bringing the ball close too. What is seen are the
package's 115 numbers, and an action is one of its 19. See `host.pitch` for what workers do.
"""

import functools
import importlib.util
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.envs import given
from structlat_jax.envs.base import Plane, Preset
from structlat_jax.envs.host import pitch
from structlat_jax.envs.host.base import HostEnv
from structlat_jax.envs.spec import EnvError

SCENARIOS = (
    "academy_empty_goal_close",
    "academy_empty_goal",
    "academy_run_to_score",
    "academy_run_to_score_with_keeper",
    "academy_pass_and_shoot_with_keeper",
    "academy_run_pass_and_shoot_with_keeper",
    "academy_3_vs_1_with_keeper",
    "academy_corner",
    "academy_counterattack_easy",
    "academy_counterattack_hard",
    "academy_single_goal_versus_lazy",
)
"""The package's academy, about from the easiest on."""

STRAIGHT = SCENARIOS[:3]
"""Those in which who sprints straight to the goal and shoots scores, ten games of ten in each."""

TASKS = ("dirichlet", "kinds")
_BALL = slice(88, 90)  # of an observation


def make(
    scenarios: str | tuple[str, ...] = SCENARIOS[0],
    tasks: str = "dirichlet",
    concentration: float = 0.2,
    shift: float = 0.0,
    checkpoints: bool = True,
    horizon: int = 150,
) -> HostEnv:
    """Makes the environment.

    Args:
      scenarios: Names of the academy's, ``academy_`` left out or not, with commas between or as a
        sequence: K of them.
      tasks: ``dirichlet``: mixtures, ``w ~ Dir(c, ..., c)``. ``kinds``: the scenarios in turn.
      concentration: c, above 0.
      shift: Standard deviation of what the ball and all players but the keepers start beside their
        places, on each axis, in half lengths of the pitch; 0 for none.
      checkpoints: Whether training is paid a tenth for each of ten circles about the goal that the
        ball is brought into. The task itself pays for goals only.
      horizon: Steps in an episode, at least 1; the benchmark's own has 400.

    Raises:
      ValueError: if an option is not allowed.
      EnvError: if Google Research Football is not installed.
    """
    names = _names(scenarios)
    if tasks not in TASKS:
        raise ValueError(f"tasks must be one of {', '.join(TASKS)}, not {tasks!r}.")
    given.require_positive(concentration=concentration)
    given.require_not_negative(shift=shift)
    given.require_whole(1, horizon=horizon)
    if not isinstance(checkpoints, bool):
        raise ValueError(f"checkpoints must be true or false, not {checkpoints!r}.")
    if importlib.util.find_spec("gfootball") is None:
        raise EnvError(
            "Google Research Football is not installed: tools/install_football.sh builds it."
        )
    count, horizon = len(names), int(horizon)

    def sample_tasks(key: Any, n: int) -> dict[str, jax.Array]:
        key_weights, key_shift = jax.random.split(key)
        if count == 1 or tasks == "kinds":
            weights = jax.nn.one_hot(jnp.arange(n) % count, count)
        else:
            weights = jax.random.dirichlet(key_weights, jnp.full(count, concentration), (n,))
        return {"weights": weights, "shift": shift * jax.random.normal(key_shift, (n, 2))}

    def factors(task: dict[str, jax.Array]) -> dict[str, jax.Array]:
        mixture = {"mixture": task["weights"]} if count > 1 else {}
        return {**mixture, **({"shift": task["shift"]} if shift else {})}

    shown = f"of {count} scenarios" if count > 1 else names[0].removeprefix("academy_")
    varied = count > 1 or shift > 0
    changes = {**_SETTINGS, **(_VARIED if varied else {})}
    if count > 1:
        changes["latent"] = f"dir:1x{count}" + (",gau:2" if shift else "")
    return HostEnv(
        name=f"football {shown}",
        obs_dim=pitch.OBS,
        action_dim=pitch.ACTIONS,
        horizon=horizon,
        sample_tasks=sample_tasks,
        make=pitch.make(names, horizon + 1),  # so that the horizon is no end for good
        set_task=pitch.set_task,
        success=pitch.success,
        train_reward=pitch.shaped if checkpoints else None,
        controller=pitch.straight if set(names) <= set(STRAIGHT) else None,
        factors=factors if varied else None,
        discrete=True,
        explore=functools.partial(explore, horizon=horizon),
        plane=Plane(project=lambda obs: obs[..., _BALL], outline=_outline()),
        presets={"cpu": Preset(20_000 if varied else 8_000, changes)},
    )


def explore(key: Any, horizon: int) -> jax.Array:
    """How an exploring episode acts, one-hot ``[horizon, 19]``: it runs in one direction, as often
    to the goal as in all others together, in half of the episodes sprints, now and then turns, and
    now and then kicks, every other time at the goal. Independent draws would stay where they are.
    """
    names = ("heading", "turn", "kicks", "kick", "sprint")
    keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
    heading = _drawn(keys["heading"], horizon, pitch.HEADINGS, pitch.RIGHT)
    turns = jax.random.uniform(keys["turn"], (horizon,)) < _TURNS
    running = heading[jnp.cumsum(turns) - turns[0]]
    kick = _drawn(keys["kick"], horizon, pitch.KICKS, pitch.SHOT)
    actions = jnp.where(jax.random.uniform(keys["kicks"], (horizon,)) < _KICKS, kick, running)
    sprints = jax.random.uniform(keys["sprint"]) < 0.5
    actions = actions.at[0].set(jnp.where(sprints, pitch.SPRINT, actions[0]))
    return jax.nn.one_hot(actions, pitch.ACTIONS)


def _drawn(key: Any, count: int, actions: tuple[int, ...], favourite: int) -> jax.Array:
    """Numbers of actions, every other one the favourite."""
    others = len(actions) - 1
    chances = jnp.array([0.5 if one == favourite else 0.5 / others for one in actions])
    return jax.random.choice(key, jnp.array(actions), (count,), p=chances)


_TURNS, _KICKS = 0.05, 0.08  # shares of the steps


def _names(scenarios: str | tuple[str, ...]) -> tuple[str, ...]:
    """Full names, each once."""
    said = scenarios.split(",") if isinstance(scenarios, str) else scenarios
    words = [str(one).strip() for one in said]
    found = [one if one.startswith("academy_") else f"academy_{one}" for one in words]
    wrong = [word for word, name in zip(words, found, strict=True) if name not in SCENARIOS]
    if wrong or not found:
        known = ", ".join(SCENARIOS)
        raise ValueError(f"scenarios must be some of {known}, not {', '.join(wrong) or 'none'}.")
    if len(set(found)) < len(found):
        raise ValueError(f"scenarios must each be there once, not {', '.join(words)}.")
    return tuple(found)


def _outline() -> np.ndarray:
    """The rim of the pitch."""
    x, y = 1.0, 0.42
    return np.array([[-x, -y], [x, -y], [x, y], [-x, y], [-x, -y]])


_SETTINGS = {
    "latent": "gau:2",
    "posterior": "context",
    "inference": "amortised",
    "explorer": "own",
    "train_tasks": 4,
    "test_tasks": 2,
    "meta_batch": 4,
    "prior_episodes": 2,
    "explore_episodes": 2,
    "posterior_episodes": 2,
    "context_episodes": 2,
    "context_window": 20,
    "context_best_of": 1,
    "updates_per_step": 160,
    "replay_steps": 30_000,
    "width": 128,
    "batch_size": 128,
    "discount": 0.99,
    "entropy_weight": 0.003,
    "lr": 5e-4,
    "lr_decay_start": 4_000.0,
    "lr_decay_end": 8_000.0,
    "eval_train_tasks": 2,
    "eval_episodes": 4,
    "eval_prior_episodes": 2,
    "eval_repeats": 10,
}
"""Steps cost milliseconds, so that there are few of them. An entropy weight that suits other tasks
would pay more for 19 choices left open over an episode than a goal does."""

_VARIED = {
    "train_tasks": 12,
    "test_tasks": 6,
    "eval_train_tasks": 4,
    "lr_decay_start": 10_000.0,
    "lr_decay_end": 20_000.0,
}
