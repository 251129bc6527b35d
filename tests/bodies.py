"""Shared by the tests of bodies: tasks without the sampler, which takes seconds to compile."""

from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.envs import Env


def standard(env: Env, **fields: Any) -> Any:
    """A task of the standard body, all zeros but for ``fields``."""
    shapes = jax.eval_shape(lambda: env.sample_tasks(jax.random.key(0), 1))
    task = jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), shapes)
    return task._replace(**fields)
