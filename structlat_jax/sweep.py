"""Seeds as an axis: one program per verb, mapped over seeds and spread over devices.

Every device holds an equal share of the seeds. Within a device an accelerator vmaps them; a CPU
core runs them one after the other, since small batched products are slower there than a loop.
"""

import concurrent.futures
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from structlat_jax.config import Hyper
from structlat_jax.evaluate import Adaptation, evaluate
from structlat_jax.meta_train import init, meta_step
from structlat_jax.setup import Setup
from structlat_jax.train_state import Metrics, TrainState
from structlat_jax.types import Array, Key

_AXIS = "seeds"


class Programs(NamedTuple):
    """The three verbs of a run over seeds; all arrays lead with ``[padded]``.

    Attributes:
      setup: The static half.
      seeds: Seeds that were asked for.
      padded: Seeds that run, a multiple of the devices; the surplus is to be ignored.
      mesh: The devices.
      init: ``(seed numbers [padded])`` to a state.
      step: ``(hyper, state)`` to ``(state, metrics)``; the state is donated.
      evaluate: ``(hyper, state, seed numbers, round)`` to an `Adaptation` of the training tasks
        followed by the test tasks. Its keys never meet those of training.
    """

    setup: Setup
    seeds: int
    padded: int
    mesh: Mesh
    init: Callable[[Array], TrainState]
    step: Callable[[Hyper, TrainState], tuple[TrainState, Metrics]]
    evaluate: Callable[[Hyper, TrainState, Array, Array], Adaptation]


def root_keys(seed: Array) -> tuple[Key, Key]:
    """The two keys that everything random in a seed's run comes from: training, evaluation."""
    key_train, key_evaluate = jax.random.split(jax.random.key(seed))
    return key_train, key_evaluate


def make_programs(
    setup: Setup, seeds: int, devices: list | None = None, mapping: str | None = None
) -> Programs:
    """Jits the verbs for a number of seeds.

    Args:
      setup: The static half.
      seeds: At least 1.
      devices: All local devices by default; no more are used than there are seeds.
      mapping: How a device goes over its share: ``vmap`` or ``loop``; by default what is faster
        on it, ``loop`` on a CPU and ``vmap`` elsewhere.

    Raises:
      ValueError: if ``seeds`` is below 1, or on another mapping.
    """
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, not {seeds}.")
    devices = (jax.local_devices() if devices is None else devices)[:seeds]
    share = -(-seeds // len(devices))
    padded = share * len(devices)
    mesh = jax.make_mesh((len(devices),), (_AXIS,), axis_types=(AxisType.Auto,), devices=devices)

    def init_seed(seed):
        return init(setup, root_keys(seed)[0])

    def step_seed(hyper, state):
        return meta_step(setup, hyper, state)

    def evaluate_seed(hyper, state, seed, eval_round):
        key = jax.random.fold_in(root_keys(seed)[1], eval_round)
        both = (state.train_tasks, state.test_tasks)
        tasks = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), *both)
        return evaluate(setup, hyper, state.params, tasks, key)

    return Programs(
        setup=setup,
        seeds=seeds,
        padded=padded,
        mesh=mesh,
        init=over_seeds(init_seed, mesh, share, mapping),
        step=over_seeds(step_seed, mesh, share, mapping, donate_argnums=1),
        evaluate=over_seeds(evaluate_seed, mesh, share, mapping),
    )


def over_seeds(
    fn: Callable[..., Any], mesh: Mesh, share: int, mapping: str | None = None, **options: Any
) -> Callable[..., Any]:
    """Jits a function of one seed as one of all, whose arrays lead with ``[share * devices]``.

    Args:
      fn: Pure; of arrays, to arrays.
      mesh: The devices.
      share: Seeds of each device.
      mapping: As for `make_programs`.
      **options: Of `jax.jit`.
    """
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    mapped = _mapper(share, mapping or ("loop" if on_cpu else "vmap"))(fn)
    spec = PartitionSpec(_AXIS)
    sharding = NamedSharding(mesh, spec)
    # Seeds never communicate, so there is nothing for the replication checker to check.
    local = jax.shard_map(mapped, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    return jax.jit(local, in_shardings=sharding, out_shardings=sharding, **options)


def seed_numbers(programs: Programs, first: int | Array) -> Array:
    """One number per seed that runs, ``[padded]``: ``first, first + 1, ...``, or those given as
    ``[seeds]``, which may repeat each other (a grid trains the same seeds at every point)."""
    if np.ndim(first):
        return pad(programs, jnp.asarray(first, jnp.uint32))
    return place(programs, first + jnp.arange(programs.padded, dtype=jnp.uint32))


def spread(programs: Programs, hyper: Hyper) -> Hyper:
    """Hyper-parameters of all seeds, ``[padded]``: each is a scalar or an array ``[seeds]``."""
    wide = jax.tree.map(lambda x: jnp.broadcast_to(jnp.float32(x), (programs.seeds,)), hyper)
    return pad(programs, wide)


def trim(programs: Programs, tree: Any) -> Any:
    """The seeds that were asked for, without the padding, on the host."""
    keep = slice(programs.seeds)
    return jax.device_get(jax.tree.map(lambda x: x[keep], tree))


def pad(programs: Programs, tree: Any) -> Any:
    """The inverse of `trim`, on the devices; the padding repeats the last seed."""
    surplus = programs.padded - programs.seeds

    def widen(x):
        return jnp.concatenate([x, jnp.repeat(x[-1:], surplus, axis=0)]) if surplus else x

    return place(programs, jax.tree.map(widen, tree))


def place(programs: Programs, tree: Any) -> Any:
    """The same arrays, their leading axis spread over the devices."""
    return jax.device_put(tree, NamedSharding(programs.mesh, PartitionSpec(_AXIS)))


def compile_programs(programs: Programs, hyper: Hyper) -> tuple[Programs, float]:
    """Compiles the programs ahead of time, side by side.

    Evaluation is not waited for: it compiles while the first meta-steps run, and its first call
    waits for it if need be.

    Args:
      programs: Jitted, from `make_programs`.
      hyper: Of all seeds, from `spread`.

    Returns:
      The same record with compiled programs, and the seconds until training could start.
    """
    start = time.perf_counter()
    numbers = seed_numbers(programs, 0)
    state = jax.eval_shape(programs.init, numbers)
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=2)
    step = pool.submit(programs.step.lower(hyper, state).compile)
    init_state = pool.submit(programs.init.lower(numbers).compile)
    ready = programs._replace(init=init_state.result(), step=step.result())
    # Lowered here, since tracing is quick and better not shared with the training thread.
    evaluation = pool.submit(programs.evaluate.lower(hyper, state, numbers, numbers).compile)
    pool.shutdown(wait=False)
    ready = ready._replace(evaluate=lambda *arguments: evaluation.result()(*arguments))
    return ready, time.perf_counter() - start


def _mapper(share: int, mapping: str) -> Callable[[Callable], Callable]:
    """How a device goes over its share of the seeds."""
    if mapping not in ("vmap", "loop"):
        raise ValueError(f"mapping must be vmap or loop, not {mapping!r}.")
    if mapping == "vmap":
        return jax.vmap
    if share > 1:
        return lambda fn: lambda *args: jax.lax.map(lambda one: fn(*one), args)

    def only_one(fn):
        def call(*args):
            out = fn(*jax.tree.map(lambda x: x[0], args))
            return jax.tree.map(lambda x: x[None], out)

        return call

    return only_one
