"""Meta-World (Yu et al. 2019), version 3: a robot arm, and tasks whose goals it is not told.

``ml1`` is one kind of task whose places vary; its goals may be mixtures of anchors. ``ml10`` and
``ml45`` train on 10 or 45 kinds and test on 5 others. What pays is the package's dense reward, up
to 10 per step; success is the package's. The scripted policies that ship with it, which see the
goal, are the oracle; they are good and no bound. See `host.sawyer` for what workers do.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.envs import given, spread
from structlat_jax.envs.base import Preset
from structlat_jax.envs.host import gripper, sawyer
from structlat_jax.envs.host.base import HostEnv
from structlat_jax.envs.spec import EnvError
from structlat_jax.shapes import Array, Key

REWARDS = ("v1", "v2")
GOALS = ("uniform", "dirichlet")
_OBS, _ACTIONS = 39, 4
_DRAWS = 64
_APART = {
    **dict.fromkeys(("assembly", "disassemble", "peg-insert-side"), 0.1),
    **dict.fromkeys(("shelf-place", "stick-pull", "stick-push"), 0.1),
    **dict.fromkeys(("basketball", "coffee-pull", "coffee-push", "hand-insert"), 0.15),
    **dict.fromkeys(("pick-out-of-hole", "pick-place", "pick-place-wall", "push"), 0.15),
    **dict.fromkeys(("push-back", "push-wall", "reach", "reach-wall", "soccer"), 0.15),
    **dict.fromkeys(("sweep-into",), 0.15),
    "box-close": 0.25,
}
"""Metres in the plane between a thing and its goal below which the package refuses a goal, by kind
of task without its version."""


def ml1(
    task: str = "reach-v3",
    goals: str = "uniform",
    anchors: int = 3,
    concentration: float = 0.2,
    horizon: int = 200,
    reward: str = "v2",
) -> HostEnv:
    """One kind of task.

    An episode of 200 steps is long enough for the scripted policies and takes two fifths of the
    time of the benchmark's 500, with which published numbers are to be compared.

    Args:
      task: The package's name of the kind, for instance ``reach-v3``, ``push-v3`` or
        ``drawer-open-v3``.
      goals: ``uniform``: all places as the benchmark draws them. ``dirichlet``: the goal (of kinds
        that draw the thing's place alone, that) is a mixture of anchors, ``w @ anchors`` with
        ``w ~ Dir(c, ..., c)``; the thing, if there is one, starts in one place.
      anchors: K, of ``dirichlet``, at least 2, spread evenly over the widest axes of the goals.
      concentration: c, above 0.
      horizon: Steps in an episode, from 1 to 500.
      reward: Version of the package's reward, ``v2`` (the benchmark's default) or ``v1``.

    Raises:
      ValueError: if an option is not allowed.
      EnvError: if Meta-World is not installed.
    """
    kinds = _kinds()
    if task not in kinds:
        raise ValueError(f"task must be one of {', '.join(kinds)}, not {task!r}.")
    _require(horizon, reward)
    if goals not in GOALS:
        raise ValueError(f"goals must be one of {', '.join(GOALS)}, not {goals!r}.")
    given.require_whole(2, anchors=anchors)
    given.require_positive(concentration=concentration)
    low, high = _space(task, reward)
    if goals == "dirichlet":
        mixed = _mixed(np.stack([low, high]), int(anchors), float(concentration))
        sample_tasks, factors, latent = *mixed, f"dir:1x{int(anchors)}"
    else:
        apart = _APART.get(task.rpartition("-")[0], 0.0)
        sample_tasks = functools.partial(_uniform, low=low, high=high, apart=apart)
        factors, latent = _goal, "gau:3"
    shown = task if goals == "uniform" else f"{task}, {int(anchors)} anchors"
    return HostEnv(
        name=f"ml1 {shown} (reward {reward})",
        sample_tasks=sample_tasks,
        factors=factors,
        make=sawyer.make((task,), reward),
        set_task=sawyer.set_places,
        presets={"cpu": Preset(20_000, {**_SETTINGS, "latent": latent})},
        **_common(horizon),
    )


def ml10(horizon: int = 500, reward: str = "v2") -> HostEnv:
    """10 kinds of tasks to train on and 5 to test on, places as the benchmark draws them.

    Args:
      horizon: Steps in an episode, from 1 to 500, the benchmark's.
      reward: As of `ml1`.

    Raises:
      ValueError, EnvError: as of `ml1`.
    """
    return _several("ml10", "ML10_V3", horizon, reward)


def ml45(horizon: int = 500, reward: str = "v2") -> HostEnv:
    """45 kinds of tasks to train on and 5 to test on; as `ml10`."""
    return _several("ml45", "ML45_V3", horizon, reward)


def _several(name: str, benchmark: str, horizon: int, reward: str) -> HostEnv:
    _kinds()
    _require(horizon, reward)
    from metaworld import env_dict

    kinds = getattr(env_dict, benchmark)
    train, test = tuple(kinds["train"]), tuple(kinds["test"])
    every = (*train, *test)

    def draw(key: Key, n: int, kinds: Array) -> dict[str, Array]:
        return {"kind": kinds[jnp.arange(n) % len(kinds)], "share": jax.random.uniform(key, (n, 6))}

    trained = jnp.arange(len(train), dtype=jnp.int32)
    tested = jnp.arange(len(train), len(every), dtype=jnp.int32)

    def split(key: Key, trains: int, tests: int) -> tuple[dict[str, Array], dict[str, Array]]:
        key_train, key_test = jax.random.split(key)
        return draw(key_train, trains, trained), draw(key_test, tests, tested)

    changes = {**_SETTINGS, "latent": f"dir:1x{len(every)},gau:3", "train_tasks": 5 * len(train)}
    return HostEnv(
        name=f"{name} (reward {reward})",
        sample_tasks=functools.partial(draw, kinds=trained),
        split=split,
        factors=lambda task: {"mixture": jax.nn.one_hot(task["kind"], len(every))},
        make=sawyer.make(every, reward),
        set_task=sawyer.set_share,
        presets={"cpu": Preset(40_000, {**changes, "eval_train_tasks": 2 * len(train)})},
        **_common(horizon),
    )


_SETTINGS = {
    "train_tasks": 20,
    "test_tasks": 10,
    "eval_train_tasks": 10,
    "prior_episodes": 2,
    "explore_episodes": 1,
    "posterior_episodes": 3,
    "explorer": "smooth",
    "context_episodes": 4,
    "context_best_of": 1,
    "context_reward_scale": 0.2,
    "reward_scale": 0.1,
    "discount": 0.97,
    "width": 128,
    "batch_size": 128,
    "replay_steps": 60_000,
    "eval_episodes": 5,
    "eval_prior_episodes": 2,
    "eval_repeats": 2,
    "inference": "decoded",
}
"""What suits dense rewards of up to 10 per step and steps that cost a millisecond."""


def _common(horizon: int) -> dict:
    return {
        "obs_dim": _OBS,
        "action_dim": _ACTIONS,
        "horizon": int(horizon),
        "controller": sawyer.controller,
        "success": sawyer.success,
        "sketch": gripper.lines,
    }


def _uniform(key: Key, n: int, low: np.ndarray, high: np.ndarray, apart: float) -> dict[str, Array]:
    """Places as the package draws them: again and again until the goal is far enough."""
    drawn = jax.random.uniform(key, (n, _DRAWS, len(low)), minval=low, maxval=high)
    away = jnp.linalg.norm(drawn[..., :2] - drawn[..., -3:-1], axis=-1)
    fits = (away >= apart + 1e-4) | (len(low) < 6)
    return {"places": drawn[jnp.arange(n), jnp.argmax(fits, axis=1)]}


def _goal(task: dict[str, Array]) -> dict[str, Array]:
    return {"goal": task["places"][-3:]}


def _mixed(box: np.ndarray, count: int, concentration: float) -> tuple:
    """`HostEnv.sample_tasks` and `HostEnv.factors` of mixtures of anchors."""
    middle, half = box.mean(axis=0), 0.5 * (box[1] - box[0])
    places = middle[-3:] + _spread(half[-3:], count) * half[-3:]
    start = middle[:-3].copy()
    if len(start):  # as far from the goals as it may be, since the package wants it so
        axis = int(np.argmax(np.abs((middle[-3:] - start)[:2])))
        start[axis] -= np.sign(middle[-3 + axis] - start[axis]) * half[axis]

    def sample_tasks(key: Key, n: int) -> dict[str, Array]:
        weights = jax.random.dirichlet(key, jnp.full(count, concentration), (n,))
        goals = weights @ jnp.asarray(places, jnp.float32)
        first = jnp.broadcast_to(jnp.asarray(start, jnp.float32), (n, len(start)))
        return {"places": jnp.concatenate([first, goals], axis=-1), "weights": weights}

    return sample_tasks, lambda task: {"mixture": task["weights"]}


def _spread(half: np.ndarray, count: int) -> np.ndarray:
    """Anchors in units of the half widths of their box, ``[count, 3]``: in its two widest axes, or
    from 4 anchors on in all that have some width."""
    wide = np.flatnonzero(half >= 0.02) if count > 3 else np.sort(np.argsort(-half)[:2])
    found = np.zeros((count, 3))
    found[:, wide] = spread.on_sphere(count, max(len(wide), 2))[:, : len(wide)]
    return found


@functools.lru_cache(maxsize=8)
def _space(task: str, reward: str) -> tuple[np.ndarray, np.ndarray]:
    return sawyer.Sawyer((task,), reward).space(0)


def _kinds() -> list[str]:
    try:
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS
    except ImportError:
        raise EnvError(
            "Meta-World is not installed: pip install 'structlat-jax[metaworld]'."
        ) from None
    return sorted(ALL_V3_ENVIRONMENTS)


def _require(horizon: int, reward: str) -> None:
    given.require_whole(1, horizon=horizon)
    if horizon > sawyer.STEPS:
        raise ValueError(f"horizon must be at most {sawyer.STEPS}, not {horizon!r}.")
    if reward not in REWARDS:
        raise ValueError(f"reward must be one of {', '.join(REWARDS)}, not {reward!r}.")
