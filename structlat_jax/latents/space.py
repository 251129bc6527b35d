"""The latent space: a spec such as ``dir:2x4,gau:2`` and the product of its blocks."""

import collections
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Num, PRNGKeyArray

from structlat_jax.latents import categorical, dirichlet, gaussian, von_mises_fisher
from structlat_jax.latents.block import Block, Family, LatentOptions
from structlat_jax.shapes import make_key, require_last_axis

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        dirichlet.FAMILY,
        categorical.FAMILY,
        gaussian.FAMILY,
        von_mises_fisher.FAMILY,
    )
}
"""The registry, by name: a new family is one new file and one line here. A program of its own adds
``FAMILIES[family.name] = family``."""

_DRAWS = 512  # behind a standard deviation: 3 % of it


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
    def block_of(self) -> Int[np.ndarray, " D"]:
        """Which block each number of z belongs to, counted from 0."""
        return np.repeat(np.arange(len(self.blocks)), [block.dim for block in self.blocks])

    @property
    def stat_dim(self) -> int:
        """Width of the encoder's output and of the evidence."""
        return sum(block.stat_dim for block in self.blocks)

    def evidence(self, raw: Float[ArrayLike, "..."]) -> Float[Array, "... {self.stat_dim}"]:
        """Encoder output ``[..., stat_dim]`` to evidence ``[..., stat_dim]``, which adds."""
        require_last_axis("raw", raw, self.stat_dim)
        parts = self._split(raw, [block.stat_dim for block in self.blocks])
        pairs = zip(self.blocks, parts, strict=True)
        return jnp.concatenate([block.evidence(part) for block, part in pairs], axis=-1)

    def combine(
        self,
        evidence: Float[ArrayLike, "..."],
        mask: Num[ArrayLike, "..."] | Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "... {self.stat_dim}"]:
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

    def posterior(self, total: Float[ArrayLike, "..."]) -> tuple[Any, ...]:
        """Total evidence ``[..., stat_dim]`` to one posterior per block, with leading ``[...]``."""
        require_last_axis("total", total, self.stat_dim)
        parts = self._split(total, [block.stat_dim for block in self.blocks])
        return tuple(b.posterior(part) for b, part in zip(self.blocks, parts, strict=True))

    def noise(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = ()
    ) -> Float[Array, "... {self.dim}"]:
        """The noise ``[*shape, dim]`` that `transform` turns into draws."""
        return self._draw("noise", key, shape)

    def transform(
        self, posterior: tuple[Any, ...], noise: Float[ArrayLike, "..."], hard: bool = False
    ) -> Float[Array, "... {self.dim}"]:
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

    def sample(
        self, posterior: tuple[Any, ...], key: PRNGKeyArray, hard: bool = False
    ) -> Float[Array, "... {self.dim}"]:
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

    def sample_prior(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = ()
    ) -> Float[Array, "... {self.dim}"]:
        """Draws z from the prior, ``[*shape, dim]``."""
        return self._draw("sample_prior", key, shape)

    def kl(
        self, posterior: tuple[Any, ...], key: PRNGKeyArray | None = None
    ) -> Float[Array, "... {len(self.blocks)}"]:
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

    def kl_between(
        self, posterior: tuple[Any, ...], other: tuple[Any, ...], key: PRNGKeyArray
    ) -> Float[Array, "... {len(self.blocks)}"]:
        """KL of one posterior to another in nats, ``[..., blocks]``, as `Block.kl_between` has it;
        where a family has no closed form, the difference of log-densities at one draw.

        Args:
          posterior: From `posterior`, leading axes ``[...]``, of a transition at least.
          other: Likewise; the one that it is compared with.
          key: For those draws.
        """
        noise = self.noise(key, self.blocks[0].empty(posterior[0]).shape)
        parts = self._split(noise, [block.dim for block in self.blocks])

        def one(block, q, p, own):
            if block.kl_between is not None:
                return block.kl_between(q, p)
            z = block.transform(q, own)
            return block.log_prob(q, z) - block.log_prob(p, z)

        each = zip(self.blocks, posterior, other, parts, strict=True)
        return jnp.stack([one(*of_block) for of_block in each], axis=-1)

    def log_prob(
        self, posterior: tuple[Any, ...], z: Float[ArrayLike, "..."]
    ) -> Float[Array, "... {len(self.blocks)}"]:
        """Log-density of z in nats, ``[..., blocks]``, one per block in the spec's order.

        Args:
          posterior: From `posterior`, leading axes ``[...]``, each of a transition at least.
          z: ``[..., dim]``.
        """
        require_last_axis("z", z, self.dim)
        parts = self._split(z, [block.dim for block in self.blocks])
        triples = zip(self.blocks, posterior, parts, strict=True)
        return jnp.stack([block.log_prob(q, part) for block, q, part in triples], axis=-1)

    def mean(self, posterior: tuple[Any, ...]) -> Float[Array, "... {self.dim}"]:
        """Posterior mean of z, ``[..., dim]``: mixture weights, probabilities, Gaussian means.

        A Dirichlet block's is that of the Dirichlet to which the projected bridge leads, whatever
        bridge the KL uses.
        """
        pairs = zip(self.blocks, posterior, strict=True)
        return jnp.concatenate([block.mean(q) for block, q in pairs], axis=-1)

    def deviation(self, posterior: tuple[Any, ...]) -> Float[Array, "... {self.dim}"]:
        """Posterior standard deviation of each number of z, ``[..., dim]``.

        It is that of draws, so that every family has one; they are the same at every call, so that
        two posteriors differ by no noise. Of discrete families the draws are those for acting.
        """
        key_noise, key_prior = jax.random.split(make_key(0))
        empty = self.blocks[0].empty(posterior[0])
        noise = self.noise(key_noise, (_DRAWS,))

        def draw(eps):
            return self.transform(posterior, jnp.broadcast_to(eps, (*empty.shape, self.dim)), True)

        seen = jnp.std(jax.vmap(draw)(noise), axis=0)
        unseen = jnp.std(self.sample_prior(key_prior, (_DRAWS,)), axis=0)
        return jnp.where(empty[..., None], unseen, seen)

    def _draw(
        self, what: str, key: PRNGKeyArray, shape: tuple[int, ...]
    ) -> Float[Array, "... {self.dim}"]:
        keys = jax.random.split(key, len(self.blocks))
        pairs = zip(self.blocks, keys, strict=True)
        return jnp.concatenate([getattr(b, what)(k, tuple(shape)) for b, k in pairs], axis=-1)

    @staticmethod
    def _split(x: Float[ArrayLike, "*batch width"], widths: list[int]) -> list[Array]:
        ends = [sum(widths[: i + 1]) for i in range(len(widths))]
        return jnp.split(x, ends[:-1], axis=-1)


def latent_space(spec: str, **options: Any) -> LatentSpace:
    """Reads a spec into a latent space.

    Args:
      spec: Blocks joined by commas, in any order and number; each is ``NAME:SIZES``, where the
        name is one of `FAMILIES` and the family says what its sizes are.
      **options: Fields of `LatentOptions`: bridge, kl, alpha, prior_factor, precision,
        temperature, kl_samples.

    Raises:
      LatentSpecError: if the spec cannot be read.
      ConfigError: if an option is not allowed.
    """
    shared = LatentOptions(**options)
    if not spec.strip():
        raise LatentSpecError(f"the latent spec is empty; allowed are {spec_help()}.")
    return LatentSpace(tuple(_block(part.strip(), shared) for part in spec.split(",")), shared)


def _block(part: str, options: LatentOptions) -> Block:
    name, _, sizes = part.partition(":")
    family = FAMILIES.get(name)
    if family is None:
        raise LatentSpecError(f"the latent spec has {part!r}; allowed are {spec_help()}.")
    try:
        return _made(family, sizes, options)
    except ValueError as error:
        form = f"{name}:{family.form}, {family.text}"
        raise LatentSpecError(f"the latent spec has {part!r}; {error} in {form}.") from None


# Equal specs give equal spaces, so that a program that was compiled for one serves the other.
@functools.lru_cache(maxsize=256)
def _made(family: Family, sizes: str, options: LatentOptions) -> Block:
    return family.make(sizes, options)


def spec_help() -> str:
    """What a spec may be, in words that the families provide."""
    *others, last = (family.example for family in FAMILIES.values())
    return f"blocks such as {', '.join(others)} or {last}, joined by commas"


def block_names(space: LatentSpace) -> list[str]:
    """The specs of the blocks, made distinct: those of a repeated one are numbered from ``#1``."""
    specs = [block.spec for block in space.blocks]
    seen: collections.Counter[str] = collections.Counter()
    names = []
    for spec in specs:
        seen[spec] += 1
        names.append(f"{spec}#{seen[spec]}" if specs.count(spec) > 1 else spec)
    return names
