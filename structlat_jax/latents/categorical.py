"""Categorical blocks: ``cat:VxK``, V variables of K classes with a uniform prior.

Training sees a relaxed one-hot vector, the Gumbel-softmax of Jang et al. (2017) and Maddison et
al. (2017) at `LatentOptions.temperature`; acting and the prior use exact one-hot vectors.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from structlat_jax.latents import natural
from structlat_jax.latents.block import Block, Family, LatentOptions, whole_numbers

_LOG_PROBABILITY_FLOOR = -30.0  # one transition cannot veto a class for ever


class CategoricalPosterior(NamedTuple):
    """Independent categoricals, their logits normalised; ``empty`` marks those that have seen
    nothing and are the prior."""

    logits: Float[Array, "*batch V K"]
    empty: Bool[Array, "*batch"]


def make(sizes: str, options: LatentOptions) -> Block:
    """A block of sizes ``VxK``, K >= 2; raises `ValueError` on others."""
    variables, classes = whole_numbers(sizes, V=1, K=2)
    dim = variables * classes
    scale = natural.scale_of_raw(options.precision)

    def split(x: Float[Array, "*batch dim"]) -> Float[Array, "*batch V K"]:
        return x.reshape(*x.shape[:-1], variables, classes)

    def flat(x: Float[Array, "*batch V K"]) -> Float[Array, "*batch dim"]:
        return x.reshape(*x.shape[:-2], dim)

    def evidence(raw: Float[Array, "*batch dim"]) -> Float[Array, "*batch dim"]:
        log_probabilities = jax.nn.log_softmax(scale * split(raw), axis=-1)
        return flat(jnp.maximum(log_probabilities, _LOG_PROBABILITY_FLOOR))

    def posterior(total: Float[Array, "*batch dim"]) -> CategoricalPosterior:
        # The prior is uniform: as a factor it adds a constant, so `prior_factor` changes nothing.
        logits = jax.nn.log_softmax(split(total), axis=-1)
        return CategoricalPosterior(logits, jnp.all(total == 0, axis=-1))

    def noise(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "*batch dim"]:
        return jax.random.gumbel(key, (*shape, dim))

    def transform(
        q: CategoricalPosterior, gumbel: Float[Array, "*batch dim"]
    ) -> Float[Array, "*batch dim"]:
        return flat(jax.nn.softmax((q.logits + split(gumbel)) / options.temperature, axis=-1))

    def transform_hard(
        q: CategoricalPosterior, gumbel: Float[Array, "*batch dim"]
    ) -> Float[Array, "*batch dim"]:
        winner = jnp.argmax(q.logits + split(gumbel), axis=-1)
        return flat(jax.nn.one_hot(winner, classes))

    def sample_prior(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "*batch dim"]:
        winner = jax.random.randint(key, (*shape, variables), 0, classes)
        return flat(jax.nn.one_hot(winner, classes))

    def kl(q: CategoricalPosterior, key: PRNGKeyArray | None) -> Float[Array, "*batch"]:
        del key  # closed form
        import distrax  # takes most of a second, which importing this library should not

        uniform = distrax.Categorical(logits=jnp.zeros_like(q.logits))
        return jnp.sum(distrax.Categorical(logits=q.logits).kl_divergence(uniform), axis=-1)

    def log_prob(q: CategoricalPosterior, z: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """Of one-hot vectors; of relaxed ones the weighted mean over the classes."""
        return jnp.sum(q.logits * split(z), axis=(-2, -1))

    return Block(
        spec=f"cat:{variables}x{classes}",
        family="cat",
        groups=(variables, classes),
        kind="simplex",
        discrete=True,
        rest=np.eye(1, classes)[0],  # its mean is nothing that is ever drawn
        traverse=lambda: np.eye(classes),
        stat_dim=dim,
        evidence=evidence,
        posterior=posterior,
        noise=noise,
        transform=transform,
        transform_hard=transform_hard,
        sample_prior=sample_prior,
        empty=lambda q: q.empty,
        kl=kl,
        log_prob=log_prob,
        mean=lambda q: flat(jnp.exp(q.logits)),
        kl_between=lambda q, p: jnp.sum(jnp.exp(q.logits) * (q.logits - p.logits), axis=(-2, -1)),
    )


FAMILY = Family("cat", "VxK", "V categorical variables of K classes", "cat:2x4", make)
