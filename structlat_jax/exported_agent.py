"""An agent for programs that have jax alone: its four functions, compiled ahead and written down.

The file is a zip archive: ``act``, ``prior``, ``sample`` and ``update`` as `jax.export` writes
them, parameters included, and ``about.json``. A belief is a list of arrays there, whatever its
inference carries, and everything leads with a batch of any length, ``[n]``. Reading it needs jax,
with the flatbuffers that `jax.export` asks for, and no line of this package; see
docs/guides/export.md.
"""

import importlib.util
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax import agent_steps as steps
from structlat_jax.shapes import Transition, make_key
from structlat_jax.store.run_folder import write_in_one_piece

EXPORT_SCHEMA = 1
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_WRITTEN = (1980, 1, 1, 0, 0, 0)  # always, so that equal agents are equal files


def export(agent: Any, path: Path, platforms: Sequence[str]) -> Path:
    """Writes the file; see `Agent.export`.

    Raises:
      ValueError: if there is no platform, or one that is none of `PLATFORMS`.
      WriteError: if it cannot be written.
      ImportError: if flatbuffers, in which `jax.export` writes, is not installed.
    """
    if importlib.util.find_spec("flatbuffers") is None:
        raise ImportError("export needs flatbuffers: pip install 'structlat-jax[export]'.")
    if not platforms or set(platforms) - set(PLATFORMS):
        allowed = ", ".join(PLATFORMS)
        raise ValueError(f"platforms must be some of {allowed}, not {list(platforms)}.")
    functions, shapes = _functions(agent), _shapes(agent)
    parts = {"about.json": json.dumps(_about(agent, platforms), indent=2).encode()}
    for name, function in functions.items():
        made = jax.export.export(jax.jit(function), platforms=tuple(platforms))
        parts[name] = bytes(made(*shapes[name]).serialize())
    write_in_one_piece(path, lambda file: _write(file, parts))
    return path


def _functions(agent: Any) -> dict[str, Callable[..., Any]]:
    """What is written, as functions of batches ``[n]``; beliefs are lists of their arrays."""
    setup, learned = agent.setup, jax.tree.map(jnp.asarray, agent.learned)
    shape = jax.tree.structure(agent.start)

    def prior(obs):
        states = jax.vmap(lambda one: steps.init(setup, learned, one))(obs)
        seen = jnp.zeros(obs.shape[0], jnp.int32)
        return jax.tree.leaves(steps.Belief(states, seen))

    def update(belief, obs, action, reward, next_obs, done):
        seen = Transition(obs, action, reward, jnp.zeros_like(reward), next_obs, done)
        one = jax.vmap(lambda *pair: steps.update(setup, learned, *pair))
        return jax.tree.leaves(one(jax.tree.unflatten(shape, belief), seen))

    def sample(belief, seed):
        one = jax.vmap(lambda own, number: steps.sample_z(setup, own, make_key(number)))
        return one(jax.tree.unflatten(shape, belief), seed)

    def act(obs, z):
        return steps.act(setup, learned, obs, z, None)

    return {"act": act, "prior": prior, "sample": sample, "update": update}


def _shapes(agent: Any) -> dict[str, tuple[Any, ...]]:
    """Of the arguments of each, for any ``n``."""
    (n,) = jax.export.symbolic_shape("n")
    env, dim = agent.env, agent.setup.given

    def of(*axes, dtype=jnp.float32):
        return jax.ShapeDtypeStruct((n, *axes), dtype)

    obs, action, number = of(env.obs_dim), of(env.action_dim), of()
    belief = [of(*x.shape, dtype=x.dtype) for x in jax.tree.leaves(agent.start)]
    return {
        "act": (obs, of(dim)),
        "prior": (obs,),
        "sample": (belief, of(dtype=jnp.uint32)),
        "update": (belief, obs, action, number, obs, number),
    }


def _about(agent: Any, platforms: Sequence[str]) -> dict[str, Any]:
    return {
        "schema_version": EXPORT_SCHEMA,
        **{"env": agent.env.name, "horizon": agent.env.horizon},
        **{"obs_dim": agent.env.obs_dim, "action_dim": agent.env.action_dim},
        "discrete": agent.env.discrete,
        **{"latent": str(agent.space), "dim": agent.setup.given},
        **{"inference": agent.setup.inference.name, "platforms": list(platforms)},
        "jax_version": jax.__version__,
        "numbers": int(np.sum([np.size(x) for x in jax.tree.leaves(agent.learned)])),
    }


def _write(file: BinaryIO, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _WRITTEN), data, zipfile.ZIP_DEFLATED)
