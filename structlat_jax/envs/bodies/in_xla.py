"""The engine in XLA (MJX): a step of the environment is part of the compiled program.

What differs between bodies is carried by their tasks: the numbers of the model that follow from the
numbers of the body, as the engine in C computes them once when tasks are drawn. A step calls
nobody.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.envs.bodies import models
from structlat_jax.envs.bodies.engine import FASTEST, Engine, Moved
from structlat_jax.envs.bodies.kinds import Kind
from structlat_jax.shapes import Array


def make(kind: Kind, groups: Mapping[str, int]) -> Engine:
    """The record; see `engine.make`."""
    from mujoco import mjx

    cache = models.Cache(kind, groups)
    standard = cache.of(None)
    model, start = mjx.put_model(standard), mjx.make_data(standard)
    fields = _fields(cache, model)

    def on_host(numbers):
        return _numbers(cache, standard, fields, np.asarray(numbers))

    def tell(numbers):
        if numbers is None:
            return None
        shapes = {
            name: jax.ShapeDtypeStruct((numbers.shape[0], *getattr(standard, name).shape), "f4")
            for name in fields
        }
        return jax.pure_callback(on_host, shapes, numbers, vmap_method="sequential")

    def move(body, qpos, qvel, over, action):
        del over  # all lanes of a program do the same
        own = model if body is None else model.replace(**body)

        def advance(data, _):
            return mjx.step(own, data), None

        data = start.replace(qpos=qpos, qvel=qvel, ctrl=action)
        data = jax.lax.scan(advance, data, None, length=kind.frames)[0]
        fine = _tame(data.qpos) & _tame(data.qvel)
        return Moved(jnp.where(fine, data.qpos, qpos), jnp.where(fine, data.qvel, qvel), fine)

    return Engine("mjx", tell, move)


def _tame(x: Array) -> Array:
    return jnp.all(jnp.isfinite(x) & (jnp.abs(x) < FASTEST))


def _fields(cache: models.Cache, model: Any) -> tuple[str, ...]:
    """The numbers of a model that differ between bodies, by name."""
    size = sum(cache.groups.values())
    if not size:
        return ()
    standard = cache.of(None)
    other = cache.of(np.linspace(0.05, 0.15, size, dtype=np.float32))
    found = []
    for name in vars(model):
        mine, its = getattr(standard, name, None), getattr(other, name, None)
        if (
            isinstance(mine, np.ndarray)
            and mine.dtype.kind == "f"
            and not np.array_equal(mine, its)
        ):
            found.append(name)
    return tuple(found)


def _numbers(
    cache: models.Cache, standard: Any, fields: tuple[str, ...], numbers: np.ndarray
) -> dict[str, np.ndarray]:
    """The fields of bodies ``[n, P]``; of one that cannot be, not a number, so that its first step
    finds it fallen."""
    bodies = [cache.of(one) for one in numbers]
    return {
        name: np.stack(
            [
                np.full_like(getattr(standard, name), np.nan) if one is None else getattr(one, name)
                for one in bodies
            ]
        ).astype(np.float32)
        for name in fields
    }
