"""The latent space: a spec such as ``dir:2x4,gau:2`` and the product of its blocks."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.latents import categorical, dirichlet, gaussian
from structlat_jax.latents.block import Block, LatentOptions
from structlat_jax.types import Array, Key, require_last_axis

FAMILIES = {"dir": dirichlet.make, "cat": categorical.make, "gau": gaussian.make}
"""The registry: a new family is one new file and one entry here."""

SPEC_HELP = "blocks such as dir:2x4, cat:2x4 or gau:2, joined by commas, sizes up to 9999"

_BLOCK = re.compile(r"([a-z]+):([0-9]{1,4})(?:x([0-9]{1,4}))?")


class LatentSpecError(ValueError):
    """A latent spec that cannot be read; the message says what is allowed."""


@dataclasses.dataclass(frozen=True)
class LatentSpace:
    """Independent blocks whose draws are concatenated into z, and whose evidence adds.

    Attributes:
      blocks: The blocks, in the order of the spec.
      options: The choices that the blocks were made with.
    """

    blocks: tuple[Block, ...]
    options: LatentOptions

    def __str__(self) -> str:
        return ",".join(block.spec for block in self.blocks)

    @property
    def dim(self) -> int:
        """Width of z."""
        return sum(block.dim for block in self.blocks)

    @property
    def stat_dim(self) -> int:
        """Width of the encoder's output and of the evidence."""
        return sum(block.stat_dim for block in self.blocks)

    def evidence(self, raw: Array) -> Array:
        """Encoder output ``[..., stat_dim]`` to evidence ``[..., stat_dim]``, which adds."""
        require_last_axis("raw", raw, self.stat_dim)
        parts = self._split(raw, [block.stat_dim for block in self.blocks])
        pairs = zip(self.blocks, parts, strict=True)
        return jnp.concatenate([block.evidence(part) for block, part in pairs], axis=-1)

    def combine(self, evidence: Array, mask: Array | None = None) -> Array:
        """Sums evidence over transitions.

        Args:
          evidence: ``[..., N, stat_dim]``.
          mask: ``[..., N]``, 0 or False for transitions to leave out; all count by default.

        Returns:
          The total ``[..., stat_dim]``; zero if nothing was seen.
        """
        require_last_axis("evidence", evidence, self.stat_dim)
        if evidence.ndim < 2:
            raise ValueError(f"evidence must be [..., N, stat_dim], not {evidence.shape}.")
        if mask is None:
            return jnp.sum(evidence, axis=-2)
        if mask.shape != evidence.shape[:-1]:
            raise ValueError(f"mask must be {evidence.shape[:-1]}, not {mask.shape}.")
        # A select, not a product: the value of masked-out evidence does not matter, even NaN.
        return jnp.sum(jnp.where(mask[..., None] > 0, evidence, 0.0), axis=-2)

    def posterior(self, total: Array) -> tuple[Any, ...]:
        """Total evidence ``[..., stat_dim]`` to one posterior per block, with leading ``[...]``."""
        require_last_axis("total", total, self.stat_dim)
        parts = self._split(total, [block.stat_dim for block in self.blocks])
        return tuple(b.posterior(part) for b, part in zip(self.blocks, parts, strict=True))

    def noise(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """The noise ``[*shape, dim]`` that `transform` turns into draws."""
        return self._draw("noise", key, shape)

    def transform(self, posterior: tuple[Any, ...], noise: Array, hard: bool = False) -> Array:
        """Reparameterised draws from posteriors that have seen at least one transition.

        Args:
          posterior: From `posterior`, leading axes ``[...]``.
          noise: From `noise`, ``[..., dim]``.
          hard: For acting: exact one-hot vectors where training uses a relaxation.

        Returns:
          z, ``[..., dim]``.
        """
        require_last_axis("noise", noise, self.dim)
        parts = self._split(noise, [block.dim for block in self.blocks])
        return jnp.concatenate(
            [
                (block.transform_hard if hard else block.transform)(q, part)
                for block, q, part in zip(self.blocks, posterior, parts, strict=True)
            ],
            axis=-1,
        )

    def sample(self, posterior: tuple[Any, ...], key: Key, hard: bool = False) -> Array:
        """Draws z ``[..., dim]``; from the prior wherever the posterior has seen nothing.

        Args:
          posterior: From `posterior`, leading axes ``[...]``.
          key: One key for the whole batch.
          hard: As in `transform`.
        """
        key_noise, key_prior = jax.random.split(key)
        empty = self.blocks[0].empty(posterior[0])
        drawn = self.transform(posterior, self.noise(key_noise, empty.shape), hard)
        prior = self.sample_prior(key_prior, empty.shape)
        return jnp.where(empty[..., None], prior, drawn)

    def sample_prior(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Draws z from the prior, ``[*shape, dim]``."""
        return self._draw("sample_prior", key, shape)

    def kl(self, posterior: tuple[Any, ...], key: Key | None = None) -> Array:
        """KL to the prior in nats, ``[..., blocks]``, one per block in the spec's order.

        Args:
          posterior: From `posterior`, leading axes ``[...]``.
          key: Needed for ``kl="exact"`` only, which integrates numerically.

        Raises:
          ValueError: if ``kl="exact"`` and no key is given.
        """
        if self.options.kl == "exact" and key is None:
            raise ValueError('kl="exact" integrates numerically and needs a key.')
        keys = [None] * len(self.blocks) if key is None else jax.random.split(key, len(self.blocks))
        values = [b.kl(q, k) for b, q, k in zip(self.blocks, posterior, keys, strict=True)]
        return jnp.stack(values, axis=-1)

    def mean(self, posterior: tuple[Any, ...]) -> Array:
        """Posterior mean of z, ``[..., dim]``: mixture weights, probabilities, Gaussian means.

        A Dirichlet block's is that of the Dirichlet to which the projected bridge leads, whatever
        bridge the KL uses.
        """
        pairs = zip(self.blocks, posterior, strict=True)
        return jnp.concatenate([block.mean(q) for block, q in pairs], axis=-1)

    def _draw(self, what: str, key: Key, shape: tuple[int, ...]) -> Array:
        keys = jax.random.split(key, len(self.blocks))
        pairs = zip(self.blocks, keys, strict=True)
        return jnp.concatenate([getattr(b, what)(k, tuple(shape)) for b, k in pairs], axis=-1)

    @staticmethod
    def _split(x: Array, widths: list[int]) -> list[Array]:
        ends = [sum(widths[: i + 1]) for i in range(len(widths))]
        return jnp.split(x, ends[:-1], axis=-1)


def latent_space(spec: str, **options: Any) -> LatentSpace:
    """Reads a spec into a latent space.

    Args:
      spec: Blocks joined by commas: ``dir:VxK`` (V Dirichlet variables of K classes), ``cat:VxK``
        (categorical), ``gau:N``; any order, any number.
      **options: Fields of `LatentOptions`: bridge, kl, alpha, prior_factor, precision,
        temperature, kl_samples.

    Raises:
      LatentSpecError: if the spec cannot be read.
      ValueError: if an option is not allowed.
    """
    shared = LatentOptions(**options)
    return LatentSpace(tuple(_block(part, spec, shared) for part in spec.split(",")), shared)


def _block(part: str, spec: str, options: LatentOptions) -> Block:
    match = _BLOCK.fullmatch(part.strip())
    if not match or match[1] not in FAMILIES:
        given = "is empty" if not spec.strip() else f"has {part.strip()!r}"
        raise LatentSpecError(f"the latent spec {given}; allowed are {SPEC_HELP}.")
    sizes = tuple(int(group) for group in match.groups()[1:] if group is not None)
    if min(sizes) < 1:
        raise LatentSpecError(f"the latent spec has {part.strip()!r}; sizes are at least 1.")
    try:
        return FAMILIES[match[1]](sizes, options)
    except ValueError as error:
        raise LatentSpecError(f"the latent spec has {part.strip()!r}; {error}.") from None


def block_names(space: LatentSpace) -> list[str]:
    """Distinct names of the blocks: their specs, numbered where one is there twice."""
    specs = [block.spec for block in space.blocks]
    return [
        spec if specs.count(spec) == 1 else f"{spec}#{specs[: i + 1].count(spec)}"
        for i, spec in enumerate(specs)
    ]
