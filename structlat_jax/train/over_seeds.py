"""A function of one seed as one of all of them, spread over devices."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from structlat_jax import settings

AXIS = "seeds"


def over_seeds(
    fn: Callable[..., Any],
    mesh: Mesh,
    share: int,
    mapping: str | None = None,
    carried: int | None = None,
) -> Callable[..., Any]:
    """Jits a function of one seed as one of all, whose arrays lead with ``[share * devices]``.

    Args:
      fn: Pure; of arrays, to arrays.
      mesh: The devices.
      share: Seeds of each device.
      mapping: As for `make_programs`.
      carried: An argument that is handed back changed, as the first of two results: it is donated,
        and a loop overwrites it seed by seed instead of filling a second one beside it.
    """
    if settings.interpreted():
        return _in_python(fn)
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    mapping = mapping or ("loop" if on_cpu else "vmap")
    if mapping not in ("vmap", "loop"):
        raise ValueError(f"mapping must be vmap or loop, not {mapping!r}.")
    mapped = jax.vmap(fn) if mapping == "vmap" else _loop(fn, share, carried)
    spec = PartitionSpec(AXIS)
    sharding = NamedSharding(mesh, spec)
    # Seeds never communicate, so there is nothing for the replication checker to check.
    local = jax.shard_map(mapped, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    donated = () if carried is None else (carried,)
    return jax.jit(local, in_shardings=sharding, out_shardings=sharding, donate_argnums=donated)


def _in_python(fn: Callable[..., Any]) -> Callable[..., Any]:
    """``fn`` seed by seed, each number of it at hand while it runs."""

    def each(*args):
        seeds = jax.tree.leaves(args)[0].shape[0]
        outs = [fn(*jax.tree.map(lambda x, i=i: x[i], args)) for i in range(seeds)]
        return jax.tree.map(lambda *x: jnp.stack(x), *outs)

    return each


def _loop(fn: Callable[..., Any], share: int, carried: int | None) -> Callable[..., Any]:
    """``fn`` over arrays ``[share, ...]``, one seed after the other."""

    def take(tree, i):
        return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), tree)

    def put(tree, one, i):
        return jax.tree.map(
            lambda x, y: jax.lax.dynamic_update_index_in_dim(x, y, i, axis=0), tree, one
        )

    def only_one(*args):
        out = fn(*jax.tree.map(lambda x: x[0], args))
        return jax.tree.map(lambda x: x[None], out)

    def in_turn(*args):
        return jax.lax.map(lambda one: fn(*one), args)

    def in_place(*args):
        def body(state, i):
            now = (*args[:carried], state, *args[carried + 1 :])
            one, other = fn(*take(now, i))
            return put(state, one, i), other

        return jax.lax.scan(body, args[carried], jnp.arange(share))

    if share == 1:
        return only_one
    return in_turn if carried is None else in_place
