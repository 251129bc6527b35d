"""Mixtures of bases, the styles beside them, and how training and test tasks differ."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from structlat_jax.envs import given
from structlat_jax.shapes import Array, Key

SPLITS = ("alike", "compositional")

_LEAST = 0.1  # of each base in the mixtures of many that test tasks are

STYLES = {"payload": "payload", "friction": "grip", "gear": "gear"}
"""Options of the styles, and the groups of numbers that they are the spread of."""


def require(split: str, classes: int, concentration: float, **styles: float) -> None:
    """Raises `ValueError` on an option that is not allowed."""
    given.require_positive(concentration=concentration)
    given.require_not_negative(**styles)
    for name, spread in styles.items():
        if spread > 1:
            raise ValueError(
                f"{name} must be at most 1, not {spread!r}: it is the spread of a logarithm, and a "
                "body of several times the standard one's numbers does not stand."
            )
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}.")
    if split == "compositional" and classes < 3:
        raise ValueError("split must be alike where there are two bases: none is left to test on.")


def alike(key: Key, n: int, classes: int, concentration: float) -> Array:
    """Mixtures ``[n, classes]`` from a symmetric Dirichlet."""
    return jax.random.dirichlet(key, jnp.full(classes, concentration), (n,))


def of_few(key: Key, n: int, classes: int, concentration: float) -> Array:
    """Mixtures ``[n, classes]`` of one base or of two, as often one as the other."""
    key_size, key_which, key_share = jax.random.split(key, 3)
    size = jax.random.randint(key_size, (n,), 1, 3)
    logs = jax.random.loggamma(key_share, concentration, (n, classes))
    return jax.nn.softmax(jnp.where(_some(key_which, size, classes), logs, -jnp.inf), axis=-1)


def of_many(key: Key, n: int, classes: int) -> Array:
    """Mixtures ``[n, classes]`` of three bases or more, a tenth of each of them at least."""
    key_size, key_which, key_share = jax.random.split(key, 3)
    size = jax.random.randint(key_size, (n,), 3, classes + 1)
    there = _some(key_which, size, classes)
    logs = jnp.where(there, jax.random.loggamma(key_share, 1.0, (n, classes)), -jnp.inf)
    left = 1.0 - _LEAST * size[:, None]
    return jnp.where(there, _LEAST, 0.0) + left * jax.nn.softmax(logs, axis=-1)


def _some(key: Key, size: Array, classes: int) -> Array:
    """So many of the classes at random, bool ``[n, classes]``."""
    scores = jax.random.uniform(key, (size.shape[0], classes))
    return jnp.argsort(jnp.argsort(scores, axis=1), axis=1) < size[:, None]


def style(key: Key, n: int, spreads: dict[str, float]) -> dict[str, Array]:
    """Logarithms of the styles that vary, by group, ``[n, 1]`` each, normal with mean 0."""
    keys = jax.random.split(key, len(spreads))
    return {
        STYLES[name]: spread * jax.random.normal(own, (n, 1))
        for own, (name, spread) in zip(keys, spreads.items(), strict=True)
        if spread
    }


def draws(
    split: str, classes: int, concentration: float
) -> tuple[Callable[[Key, int], Array], tuple[Callable[[Key, int], Array], ...] | None]:
    """How mixtures are drawn, and how for training and for testing where that is not alike."""

    def any_of(key, n):
        return alike(key, n, classes, concentration)

    if split == "alike":
        return any_of, None
    few = lambda key, n: of_few(key, n, classes, concentration)  # noqa: E731
    many = lambda key, n: of_many(key, n, classes)  # noqa: E731
    return many, (few, many)
