"""One step of a host environment, before anything is compiled or written."""

import jax
import numpy as np

from structlat_jax.envs.host import pools
from structlat_jax.envs.host.base import HostEnv
from structlat_jax.envs.host.runner import HostError, Jobs
from structlat_jax.envs.spec import EnvError
from structlat_jax.shapes import make_key


def require(name: str, env: HostEnv) -> None:
    """Has a worker make the environment and take one step.

    Raises:
      EnvError: naming what is not as `HostEnv` says.
    """
    for field in ("low", "high"):
        value = getattr(env, field)
        if isinstance(value, tuple) and len(value) != env.action_dim:
            raise EnvError(
                f"{field} of {name} must be a number or one for each of the {env.action_dim} "
                f"actions, not {len(value)}."
            )
    if not np.all(np.isfinite(env.low)) or not np.all(np.less(env.low, env.high)):
        raise EnvError(f"low of {name} must be finite and below high, not {env.low!r}.")
    if not np.all(np.isfinite(env.high)):
        raise EnvError(f"high of {name} must be finite, not {env.high!r}.")
    pool = pools.of(env)
    tasks = jax.device_get(env.sample_tasks(make_key(0), 1))
    jobs = Jobs(
        kind="try",
        policy=np.zeros(1, int),
        task=tuple(map(np.asarray, jax.tree.leaves(tasks))),
        seed=np.zeros(1, np.uint32),
        z=np.zeros((1, 0), np.float32),
        explores=np.ones(1, bool),
        actions=np.zeros((1, 1, env.action_dim), np.float32),
    )
    try:
        pool.run((), jobs)
    except HostError as error:
        pools.close()
        raise EnvError(str(error)) from error
