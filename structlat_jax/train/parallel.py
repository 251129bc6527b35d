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
from jax.typing import ArrayLike

from structlat_jax import settings
from structlat_jax.config import Hyper
from structlat_jax.shapes import Array, Key, Params, Task, make_key
from structlat_jax.train.choose import evaluate_each
from structlat_jax.train.evaluate import Adaptation, References, references
from structlat_jax.train.learn import init, meta_step
from structlat_jax.train.setup import Setup
from structlat_jax.train.state import Metrics, TrainState

_AXIS = "seeds"
_REFERENCES = 2**32 - 1  # a round of evaluation that no number of updates is


class Programs(NamedTuple):
    """The three verbs of a run over seeds; all arrays lead with ``[padded]``.

    Attributes:
      setup: The static half.
      seeds: Seeds that were asked for.
      padded: Seeds that run, a multiple of the devices; the surplus is to be ignored.
      mesh: The devices.
      init: ``(seed numbers [padded])`` to a state.
      step: ``(hyper, state)`` to ``(state, metrics)``; the state is donated.
      evaluate: ``(hyper, state, seed numbers, round, repeat)`` to an `Adaptation` of one repeat on
        the `seen_tasks` followed by the test tasks, by each inference that there is a choice of,
        ``[padded, candidates, T, 1, E, ...]``; see `repeats`. Its keys never meet those of
        training.
      references: ``(untrained parameters, training tasks, test tasks, seed numbers)`` to the
        `References` of the same tasks.
    """

    setup: Setup
    seeds: int
    padded: int
    mesh: Mesh
    init: Callable[[Array], TrainState]
    step: Callable[[Hyper, TrainState], tuple[TrainState, Metrics]]
    evaluate: Callable[[Hyper, TrainState, Array, Array, Array], Adaptation]
    references: Callable[[Params, Task, Task, Array], References]


def root_keys(seed: Array) -> tuple[Key, Key]:
    """The two keys that everything random in a seed's run comes from: training, evaluation."""
    key_train, key_evaluate = jax.random.split(make_key(seed))
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

    def evaluate_seed(hyper, state, seed, eval_round, repeat):
        key = jax.random.fold_in(root_keys(seed)[1], eval_round)
        tasks = _join(seen_tasks(setup, state.train_tasks), state.test_tasks)
        return evaluate_each(setup, hyper, state.learned, tasks, key, repeat)

    def references_seed(untrained, train_tasks, test_tasks, seed):
        key = jax.random.fold_in(root_keys(seed)[1], _REFERENCES)
        tasks = _join(seen_tasks(setup, train_tasks), test_tasks)
        return references(setup, untrained, tasks, key)

    return Programs(
        setup=setup,
        seeds=seeds,
        padded=padded,
        mesh=mesh,
        init=over_seeds(init_seed, mesh, share, mapping),
        step=over_seeds(step_seed, mesh, share, mapping, carried=1),
        evaluate=over_seeds(evaluate_seed, mesh, share, mapping),
        references=over_seeds(references_seed, mesh, share, mapping),
    )


def seen_tasks(setup: Setup, train_tasks: Task, axis: int = 0) -> Task:
    """The training tasks that evaluations look at: the first ones along an axis."""
    keep = (*[slice(None)] * axis, slice(setup.structure.seen_tasks))
    return jax.tree.map(lambda x: x[keep], train_tasks)


def _join(one: Task, other: Task) -> Task:
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), one, other)


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
    spec = PartitionSpec(_AXIS)
    sharding = NamedSharding(mesh, spec)
    # Seeds never communicate, so there is nothing for the replication checker to check.
    local = jax.shard_map(mapped, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    donated = () if carried is None else (carried,)
    return jax.jit(local, in_shardings=sharding, out_shardings=sharding, donate_argnums=donated)


def seed_numbers(programs: Programs, first: int | ArrayLike) -> Array:
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
    # Cut there, since a cut on the devices would be one more copy of the replay.
    whole = jax.device_get(tree)
    if programs.padded == programs.seeds:
        return whole
    return jax.tree.map(lambda x: x[: programs.seeds], whole)


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
    if settings.interpreted():
        return programs, 0.0
    start = time.perf_counter()
    numbers = seed_numbers(programs, 0)
    state = jax.eval_shape(programs.init, numbers)
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=2)
    step = pool.submit(programs.step.lower(hyper, state).compile)
    init_state = pool.submit(programs.init.lower(numbers).compile)
    tasks = (state.train_tasks, state.test_tasks)
    known = pool.submit(programs.references.lower(state.params, *tasks, numbers).compile)
    ready = programs._replace(
        init=init_state.result(), step=step.result(), references=known.result()
    )
    # Lowered here, since tracing is quick and better not shared with the training thread.
    evaluation = pool.submit(programs.evaluate.lower(hyper, state, *[numbers] * 3).compile)
    pool.shutdown(wait=False)
    ready = ready._replace(
        evaluate=lambda *arguments: evaluation.result()(*arguments),
    )
    return ready, time.perf_counter() - start


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
