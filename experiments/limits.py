"""What nobody can beat on the point robot, whatever is learned: the protocol's own limits.

python -m experiments.limits --out docs/results/limits.json

Bounds on goals drawn from the task distribution: the return of a controller that knows the goal
but is a little slow (a squashed policy never quite reaches an action of 1) or a little beside it;
the share of goals that any five straight episodes can reach before there is any context; and what
they reach if their headings are draws from a prior that is the task distribution itself.
"""

from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table

from experiments.controllers import episode
from structlat_jax.cli.console import make_console
from structlat_jax.cli.errors import main
from structlat_jax.cli.values import LocalPath, Whole
from structlat_jax.config import Structure
from structlat_jax.envs import Env, point_robot
from structlat_jax.run.folders import make_folder, require_writable_file
from structlat_jax.shapes import Array, Task, make_key
from structlat_jax.store.run_folder import write_json

SPEEDS = (1.0, 0.999, 0.995, 0.98)
"""Shares of the full action at which the controller moves."""

OFFSETS = (0.0, 0.02, 0.04)
"""How far beside the goal it comes to rest, in metres."""

_FULL_STEP = 0.1  # metres
_HEADINGS = 181
_RESTARTS = 50
_SHIFTS = 200


@click.command(help=__doc__.replace("\n\npython", "\n\n\b\npython"))
@click.option("--goals", type=Whole(1), metavar="N", default=4000, show_default=True)
@click.option("--seed", type=Whole(0), metavar="N", default=0, show_default=True)
@click.option("--out", type=LocalPath(), help="JSON file to write.")
def command(goals: int, seed: int, out: Path | None) -> int:
    """See the module's docstring."""
    if out is not None:
        require_writable_file(out)
    key_tasks, key_sides, key_search, key_prior = jax.random.split(make_key(seed), 4)
    env = point_robot.make()
    tasks = env.sample_tasks(key_tasks, goals)
    sides = jax.random.uniform(key_sides, (goals,), maxval=2.0 * jnp.pi)
    episodes = Structure().eval_prior_episodes
    reached = reach(env, tasks)
    drawn, then = faithful(reached, headings(env, env.sample_tasks(key_prior, goals)), episodes)
    found = {
        "goals": goals,
        "seed": seed,
        "returns": [
            {"speed": s, "offset": o, "return": mean_return(env, tasks, sides, s, o)}
            for s in SPEEDS
            for o in OFFSETS
        ],
        "prior_episodes": episodes,
        "reachable": reachable(reached, episodes, key_search),
        "reached_by_faithful_prior": drawn,
        "reached_with_the_best_next": then,
    }
    _show(found)
    if out is not None:
        make_folder(out.parent)
        write_json(out, found)
    return 0


def mean_return(env: Env, tasks: Task, sides: Array, speed: float, offset: float) -> float:
    """Mean return over tasks ``[T]`` of going to a point at ``offset`` metres from the goal, in a
    direction ``sides [T]`` (radians), with both coordinates as fast as they go."""
    beside = offset * jnp.stack([jnp.cos(sides), jnp.sin(sides)], axis=-1)
    targets = jax.vmap(env.plane.goal)(tasks) + beside

    def of_one(task, target):
        return episode(
            env, task, lambda place, _: speed * jnp.clip((target - place) / _FULL_STEP, -1.0, 1.0)
        )[0]

    rewards = jax.vmap(of_one)(tasks, targets)
    return float(jnp.mean(jnp.sum(rewards, axis=-1)))


def reach(env: Env, tasks: Task) -> np.ndarray:
    """Whether a straight episode of each heading comes as near to the goal of each task as a reward
    asks for, ``[headings, T]``."""
    angles = jnp.linspace(0.0, jnp.pi, _HEADINGS)
    targets = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=-1)
    goals = jax.vmap(env.plane.goal)(tasks)
    anyone = jax.tree.map(lambda x: x[0], tasks)  # a task does not change where actions lead

    def of_heading(target):
        def act(place, _):
            ahead = target - place
            return ahead / jnp.maximum(jnp.max(jnp.abs(ahead)), _FULL_STEP)

        places = episode(env, anyone, act)[1]
        return jnp.linalg.norm(places - goals[:, None], axis=-1).min(axis=1)

    return np.asarray(jax.lax.map(of_heading, targets) <= env.plane.radius)


def reachable(reached: np.ndarray, episodes: int, key: Any) -> float:
    """The largest share of tasks that ``episodes`` of the headings ``[headings, T]`` reach
    together, by coordinate ascent from many random choices: a lower bound that is all but tight."""
    choices = jax.random.randint(key, (_RESTARTS, episodes), 0, len(reached))
    best = 0.0
    for chosen in np.array(choices):
        before = -1.0
        while (now := reached[chosen].any(axis=0).mean()) > before:
            before = now
            for i in range(episodes):
                others = reached[np.delete(chosen, i)].any(axis=0)
                chosen[i] = (reached | others).mean(axis=1).argmax()
        best = max(best, float(now))
    return best


def headings(env: Env, tasks: Task) -> np.ndarray:
    """The heading of each goal ``[T]``, as an index into the first axis of `reach`."""
    goals = np.asarray(jax.vmap(env.plane.goal)(tasks))
    angles = np.abs(np.arctan2(goals[:, 1], goals[:, 0]))  # a goal at pi may be a hair below it
    return np.round(angles / np.pi * (_HEADINGS - 1)).astype(int)


def faithful(reached: np.ndarray, prior: np.ndarray, episodes: int) -> tuple[float, float]:
    """What the draws from a prior that matches the tasks reach.

    The draws are a systematic sample, as the protocol's are: one from each equal share of the
    prior. Independent ones reach less.

    Args:
      reached: From `reach`, ``[headings, T]``.
      prior: Headings that stand for the prior, ``[N]``.
      episodes: One draw each.

    Returns:
      The share of tasks that they reach, and the share with one more episode whose heading is the
      best one left; means over the shifts of the sample.
    """
    ordered = np.sort(prior)
    found = []
    for shift in (np.arange(_SHIFTS) + 0.5) / _SHIFTS:
        chosen = ordered[((np.arange(episodes) + shift) / episodes * len(ordered)).astype(int)]
        union = reached[chosen].any(axis=0)
        found.append((union.mean(), (union | reached).mean(axis=1).max()))
    drawn, then = np.mean(found, axis=0)
    return float(drawn), float(then)


def _show(found: dict[str, Any]) -> None:
    table = Table(title=f"{found['goals']} goals: return of a controller that knows the goal")
    table.add_column("beside the goal by")
    for speed in SPEEDS:
        table.add_column(f"at {100 * speed:g} % of full speed", justify="right")
    by = {(row["speed"], row["offset"]): row["return"] for row in found["returns"]}
    for offset in OFFSETS:
        table.add_row(f"{offset:g} m", *(f"{by[speed, offset]:.2f}" for speed in SPEEDS))
    console = make_console()
    console.print(table)
    keys = ("reachable", "reached_by_faithful_prior", "reached_with_the_best_next")
    best, drawn, then = (f"{100 * found[key]:.0f} %" for key in keys)
    console.print(f"{found['prior_episodes']} straight episodes reach {best} of the goals at best")
    console.print(f"draws from the task distribution {drawn}, with the best next episode {then}")


if __name__ == "__main__":
    main(command)
