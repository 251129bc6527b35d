"""What each part of z does to the path of a trained agent: sweeps, and shares of the variance."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.agent import Agent
from structlat_jax.envs import Env
from structlat_jax.latents import LatentSpace
from structlat_jax.nets.networks import AgentParams
from structlat_jax.report.figures_sweep import Sweep
from structlat_jax.report.progress import block_names
from structlat_jax.report.sobol import Shares, shares_of_variance
from structlat_jax.train import rollout

DRAWS = 8192
"""Draws of z from the prior behind every share."""

MEASURES = {
    "position": "where an episode ends",
    "direction": "the unit vector from the start to where an episode ends",
}
_NUMBERS = np.linspace(-2.0, 2.0, 17)
_STEPS = 8  # of a sweep from one class to another
_ALL_PAIRS = 6  # with more classes, only neighbours are mixed

Roll = Callable[[AgentParams, Any], np.ndarray]


class Part(NamedTuple):
    """A block of z, or one variable of it.

    Attributes:
      name: For instance ``dir:2x4`` or ``dir:2x4, variable 1``.
      family: The block's.
      start, stop: Where it stands in z.
    """

    name: str
    family: str
    start: int
    stop: int

    @property
    def columns(self) -> slice:
        """Where it stands in z."""
        return slice(self.start, self.stop)

    @property
    def size(self) -> int:
        """How many numbers of z it has."""
        return self.stop - self.start


def blocks_of(space: LatentSpace) -> list[Part]:
    """The blocks of z, in order; equal ones are numbered."""
    names = block_names([block.spec for block in space.blocks])
    ends = itertools.accumulate(block.dim for block in space.blocks)
    return [
        Part(name, block.family, end - block.dim, end)
        for name, block, end in zip(names, space.blocks, ends, strict=True)
    ]


def variables_of(space: LatentSpace) -> list[Part]:
    """The variables of all blocks, in order; that of a block with only one has the block's name."""
    found = []
    for part, block in zip(blocks_of(space), space.blocks, strict=True):
        variables, size = block.groups
        for i in range(variables):
            start = part.start + i * size
            name = f"{part.name}, variable {i + 1}" if variables > 1 else part.name
            found.append(Part(name, part.family, start, start + size))
    return found


def roller(agent: Agent, env: Env) -> Roll:
    """A function ``(params, z [K, D])`` to the paths of an episode with each z, ``[K, H + 1, 2]``.

    The policy is deterministic. The paths are those of one task, which matters where its dynamics
    depend on it (those of the point robot do not); two numbers of each observation are kept.
    """
    key_task, key_reset = jax.random.split(jax.random.key(0))
    task = jax.tree.map(lambda x: x[0], env.sample_tasks(key_task, 1))
    noise = jnp.zeros((env.horizon, env.action_dim))

    @jax.jit
    def run(params, z):
        actor = dataclasses.replace(agent, params=params)

        def one(z):
            seen = rollout.episode(env, lambda obs, _: actor.act(obs, z), task, key_reset, noise)
            return jnp.concatenate([seen.obs[:1], seen.next_obs])[:, :2]

        return jax.vmap(one)(z)

    return lambda params, z: np.asarray(run(params, jnp.asarray(z, jnp.float32)))


def parts_of(space: LatentSpace) -> list[Part]:
    """The blocks of z, each followed by its variables if it has several."""
    parts = {*blocks_of(space), *variables_of(space)}
    return sorted(parts, key=lambda part: (part.start, -part.stop))


def shares(agent: Agent, roll: Roll, parts: list[Part], draws: int = DRAWS) -> dict[str, Shares]:
    """How much of the variance of each of `MEASURES` each part explains, z drawn from the prior.

    Args:
      agent: Of one seed.
      roll: From `roller`.
      parts: Of z; the prior draws them independently of what they leave out.
      draws: From the prior, twice as many in all.
    """
    one, other = np.asarray(agent.space.sample_prior(jax.random.key(1), (2, draws)))
    columns = [part.columns for part in parts]

    def position(z):
        paths = roll(agent.params, z)
        return paths[:, -1] - paths[:, 0]

    def direction(z):
        apart = position(z)
        return apart / np.maximum(np.linalg.norm(apart, axis=-1, keepdims=True), 1e-9)

    return {
        "position": shares_of_variance(position, one, other, columns),
        "direction": shares_of_variance(direction, one, other, columns),
    }


def sweeps(agent: Agent, roll: Roll) -> list[Sweep]:
    """One sweep per variable of a family that it is known how to sweep, the others at rest.

    A number goes from -2 to 2; weights go from every class to every other (with many classes, to
    the next one); a categorical variable takes each of its classes. At rest is the mean of the
    prior, and the first class of a categorical, which has no mean that is drawn.
    """
    found = []
    for part in variables_of(agent.space):
        if part.family in _VALUES:
            values = _VALUES[part.family](part.size)
            z = np.tile(_at_rest(agent.space), (len(values), 1))
            z[:, part.columns] = values.reshape(len(values), -1)
            found.append(Sweep(part.name, values, roll(agent.params, z)))
    return found


def _at_rest(space: LatentSpace) -> np.ndarray:
    z = np.array(space.mean(space.posterior(jnp.zeros(space.stat_dim))))
    for part in variables_of(space):
        if part.family == "cat":
            z[part.columns] = np.eye(part.size)[0]
    return z


def _mixtures(classes: int) -> np.ndarray:
    """Every class alone, and what lies between two of them: weights ``[N, K]``."""
    corners = np.eye(classes)
    pairs = list(itertools.combinations(range(classes), 2))
    if classes > _ALL_PAIRS:
        pairs = [(k, (k + 1) % classes) for k in range(classes)]
    step = np.linspace(0.0, 1.0, _STEPS + 1)[1:-1, None]
    between = [(1.0 - step) * corners[i] + step * corners[j] for i, j in pairs]
    return np.concatenate([corners, *between])


_VALUES = {"gau": lambda _: _NUMBERS, "dir": _mixtures, "cat": np.eye}
