"""The engine in C, called from compiled programs: all bodies of a step at once, on all cores.

A program with such calls is neither kept by jax's cache of compiled programs nor exported; the
agent is a program of its own, without them.
"""

import atexit
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from structlat_jax import settings
from structlat_jax.envs.bodies import models
from structlat_jax.envs.bodies.engine import FASTEST, Engine, Moved
from structlat_jax.envs.bodies.kinds import Kind


def make(kind: Kind, groups: Mapping[str, int]) -> Engine:
    """The record; see `engine.make`."""
    cache = models.Cache(kind, groups)
    with models.LOCK:
        _require_layout(kind, cache.of(None))

    def on_host(body, *state):
        # Nothing here may call jax: it is waiting for this.
        arrays = [np.asarray(x) for x in state]
        return _step(kind, cache, None if body is None else np.asarray(body), *arrays)

    def move(body, qpos, qvel, over, action):
        shapes = Moved(
            jax.ShapeDtypeStruct((kind.qpos,), np.float32),
            jax.ShapeDtypeStruct((kind.qvel,), np.float32),
            jax.ShapeDtypeStruct((), np.bool_),
        )
        arguments = (body, qpos, qvel, over, action)
        return jax.pure_callback(on_host, shapes, *arguments, vmap_method="expand_dims")

    return Engine("mujoco", lambda numbers: numbers, move)


def _step(
    kind: Kind,
    cache: models.Cache,
    body: np.ndarray | None,
    qpos: np.ndarray,
    qvel: np.ndarray,
    over: np.ndarray,
    action: np.ndarray,
) -> Moved:
    """One step of bodies, whose axes broadcast: ``body [..., P]``, ``qpos [..., nq]``, ..."""
    leads = [over.shape, *(x.shape[:-1] for x in (qpos, qvel, action))]
    lead = np.broadcast_shapes(*leads, *([] if body is None else [body.shape[:-1]]))
    count = int(np.prod(lead, dtype=int))
    before = [np.broadcast_to(x, (*lead, x.shape[-1])).reshape(count, -1) for x in (qpos, qvel)]
    wanted = np.broadcast_to(action, (*lead, action.shape[-1])).reshape(count, -1)
    each = np.broadcast_to(_models(cache, body, len(lead)), lead).reshape(-1)
    moving = ~np.broadcast_to(over, lead).reshape(-1) & np.not_equal(each, None)
    numbers = np.concatenate([*before, wanted], axis=1)
    at = np.flatnonzero(moving & np.isfinite(numbers).all(axis=1))
    fine = np.broadcast_to(over, lead).reshape(-1).copy()
    after = [np.array(x, np.float32) for x in before]
    if at.size:
        state, done = _rollout(kind, each[at], *(x[at] for x in (*before, wanted)))
        fine[at] = done
        for whole, part in zip(after, np.split(state, [kind.qpos], axis=1), strict=True):
            whole[at] = np.where(done[:, None], part, whole[at])
    shaped = (x.reshape(*lead, -1) for x in after)
    return Moved(*shaped, fine.reshape(lead))


def _models(cache: models.Cache, body: np.ndarray | None, axes: int) -> np.ndarray:
    """The model of each body, an array of objects with so many axes."""
    lead = (1,) * axes if body is None else body.shape[:-1]
    found = np.empty(lead, object)
    for place in np.ndindex(lead):
        found[place] = cache.of(None if body is None else body[place])
    return found


def _rollout(
    kind: Kind, each: np.ndarray, qpos: np.ndarray, qvel: np.ndarray, action: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """States ``[n, nq + nv]`` after a step, and whether each simulation went through."""
    start = np.concatenate([np.zeros((len(each), 1)), qpos, qvel], axis=1)
    with models.quietly():
        data = _scratch(kind, each[0])
        control = np.ascontiguousarray(action[:, None], np.float64)
        states, _ = _pool().rollout(list(each), data, start, control, nstep=kind.frames)
    last = states[:, -1]
    # One that diverges starts anew within the engine, or stops: its clock is behind.
    on_time = np.abs(last[:, 0] - kind.seconds) < 1e-3 * kind.seconds
    tame = np.all(np.abs(last[:, 1 + kind.qpos :]) < FASTEST, axis=1)
    return last[:, 1:], on_time & tame


@functools.cache
def _pool() -> Any:
    from mujoco import rollout

    count = settings.cores()
    pool = rollout.Rollout(nthread=count if count > 1 else 0)
    atexit.register(pool.close)
    return pool


_SCRATCH: dict[str, list[Any]] = {}


def _scratch(kind: Kind, model: Any) -> list[Any]:
    """The engine's work space, one per thread; any body of a kind may use it."""
    if kind.name not in _SCRATCH:
        import mujoco

        _SCRATCH[kind.name] = [mujoco.MjData(model) for _ in range(settings.cores())]
    return _SCRATCH[kind.name]


def _require_layout(kind: Kind, model: Any) -> None:
    """That the model is the one that is known here: another gymnasium might have another."""
    import mujoco

    state = mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS.value)
    found = (model.nq, model.nv, model.nu, model.nbody - 1, model.ngeom, state - 1)
    known = (kind.qpos, kind.qvel, kind.actions, kind.bodies, kind.shapes, kind.qpos + kind.qvel)
    seconds = kind.frames * model.opt.timestep
    if found != known or abs(seconds - kind.seconds) > 1e-9:
        raise ValueError(
            f"the {kind.name} of this gymnasium has sizes {found} and a step of {seconds:g} s, "
            f"where {known} and {kind.seconds:g} s are known."
        )
