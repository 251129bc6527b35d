"""The parts of z that a report names: its blocks, and the variables of each."""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np

from structlat_jax.algos.options import WITHOUT_LATENT
from structlat_jax.config import Config
from structlat_jax.latents import LatentSpace, block_names

SIMPLEX = "simplex"

USED = 0.1
"""Nats of KL to its prior from which on a block of z counts as used."""


class Words(NamedTuple):
    """How pictures and tables call the two kinds of episodes of an evaluation.

    Attributes:
      before: Those in which nothing that was seen decides.
      after: The later ones.
    """

    before: str
    after: str


OF_Z = Words("z from prior", "z from posterior")
OF_BELIEF = Words("nothing seen before", "with what was seen")


class Shown(NamedTuple):
    """A block of z, as much as a figure must know.

    Attributes:
      name: For instance ``dir:2x4``.
      kind: `SIMPLEX` if each variable's numbers are weights that add up to one, or ``real``.
      variables: How many it has.
      size: Numbers per variable.
    """

    name: str
    kind: str
    variables: int
    size: int


class Part(NamedTuple):
    """A block of z, or one variable of it.

    Attributes:
      name: For instance ``dir:2x4`` or ``dir:2x4, variable 1``.
      start, stop: Where it stands in z.
      simplex: Whether the numbers of a variable are weights that add up to one.
      rest: A variable's value while another is traversed, ``[size]``.
      traversal: The values that a variable takes in a traversal, in order, ``[N, size]``.
    """

    name: str
    start: int
    stop: int
    simplex: bool
    rest: np.ndarray
    traversal: np.ndarray

    @property
    def columns(self) -> slice:
        """Where it stands in z."""
        return slice(self.start, self.stop)


def believed(config: Config) -> LatentSpace:
    """The part of the latent space that an agent has a belief about: all of it, or nothing."""
    space = config.latent_space()
    without = config.structure.algorithm in WITHOUT_LATENT
    return dataclasses.replace(space, blocks=()) if without else space


def title(config: Config) -> str:
    """What agents are called in tables and pictures: ``dir:2x4,gau:2`` for PEARL's, ``varibad
    dir:2x4,gau:2`` for others with a belief about z, or ``rl2``."""
    algorithm = "" if config.structure.acts_on_z else config.structure.algorithm
    return f"{algorithm} {believed(config)}".strip()


def words(config: Config) -> Words:
    """Those that suit what agents act on."""
    return OF_Z if config.structure.acts_on_z else OF_BELIEF


def blocks_of(space: LatentSpace) -> list[Part]:
    """The blocks of z, in order."""
    ends = itertools.accumulate(block.dim for block in space.blocks)
    return [
        _part(name, block, end - block.dim, end)
        for name, block, end in zip(block_names(space), space.blocks, ends, strict=True)
    ]


def variables_of(space: LatentSpace) -> list[Part]:
    """The variables of all blocks, in order; that of a block with only one has the block's name."""
    found = []
    for part, block in zip(blocks_of(space), space.blocks, strict=True):
        variables, size = block.groups
        for i in range(variables):
            start = part.start + i * size
            name = f"{part.name}, variable {i + 1}" if variables > 1 else part.name
            found.append(part._replace(name=name, start=start, stop=start + size))
    return found


def parts_of(space: LatentSpace) -> list[Part]:
    """The blocks of z, each followed by its variables if it has several."""
    parts = {(part.start, part.stop): part for part in (*variables_of(space), *blocks_of(space))}
    return [parts[key] for key in sorted(parts, key=lambda key: (key[0], -key[1]))]


def shown_blocks(space: LatentSpace) -> list[Shown]:
    """What the figure of beliefs must know of each block."""
    return [
        Shown(name, block.kind, *block.groups)
        for name, block in zip(block_names(space), space.blocks, strict=True)
    ]


def most_varied(obs: np.ndarray, most: int) -> np.ndarray:
    """Which numbers of observations ``[..., obs_dim]`` vary most, in order: ``[n]``, at most
    ``most`` of them."""
    varies = obs.reshape(-1, obs.shape[-1]).std(axis=0)
    return np.sort(np.argsort(-varies, kind="stable")[:most])


def _part(name: str, block, start: int, stop: int) -> Part:
    return Part(
        *(name, start, stop, block.kind == SIMPLEX),
        *(np.asarray(block.rest, float), np.asarray(block.traversal, float)),
    )
