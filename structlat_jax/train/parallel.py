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
from structlat_jax.envs.host.base import HostEnv
from structlat_jax.shapes import Array, Key, Params, Task, make_key
from structlat_jax.train import hosted, hosted_programs
from structlat_jax.train.choose import evaluate_each
from structlat_jax.train.evaluate import Adaptation, References, references
from structlat_jax.train.learn import init, meta_step
from structlat_jax.train.over_seeds import AXIS, over_seeds
from structlat_jax.train.setup import Setup
from structlat_jax.train.state import Metrics, TrainState

_REFERENCES = 2**32 - 1  # a round of evaluation that no number of updates is


class Programs(NamedTuple):
    """The verbs of a run over seeds; all arrays lead with ``[padded]``.

    Attributes:
      setup: The static half.
      seeds: Seeds that were asked for.
      padded: Seeds that run, a multiple of the devices; the surplus is to be ignored.
      mesh: The devices.
      init: ``(seed numbers [padded])`` to a state.
      restart: ``(seed numbers [padded], number)`` to the state of another start, from 1 up; see
        `learn.init`.
      step: ``(hyper, state)`` to ``(state, metrics)``; the state is donated. In a host environment
        workers collect in the middle of it; see `hosted`.
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
    restart: Callable[[Array, int], TrainState]
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
    mesh = jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)

    def over(fn, carried=None):
        return over_seeds(fn, mesh, share, mapping, carried)

    def evaluation_key(seed, eval_round=_REFERENCES):
        return jax.random.fold_in(root_keys(seed)[1], eval_round)

    def init_seed(seed):
        return init(setup, root_keys(seed)[0])

    def restart_seed(seed, start):
        return init(setup, root_keys(seed)[0], start)

    restarted = over(restart_seed)

    def restart(numbers, start):
        return restarted(numbers, jnp.full_like(numbers, start))

    if isinstance(setup.env, HostEnv):
        return Programs(
            setup=setup,
            seeds=seeds,
            padded=padded,
            mesh=mesh,
            init=over(init_seed),
            restart=restart,
            step=hosted.Step(setup, seeds, over),
            evaluate=hosted_programs.Evaluate(setup, seeds, over, evaluation_key),
            references=hosted_programs.Known(setup, seeds, over, evaluation_key),
        )

    def step_seed(hyper, state):
        return meta_step(setup, hyper, state)

    def evaluate_seed(hyper, state, seed, eval_round, repeat):
        key = evaluation_key(seed, eval_round)
        tasks = evaluated_tasks(setup, state.train_tasks, state.test_tasks)
        return evaluate_each(setup, hyper, state.learned, tasks, key, repeat)

    def references_seed(untrained, train_tasks, test_tasks, seed):
        key = evaluation_key(seed)
        tasks = evaluated_tasks(setup, train_tasks, test_tasks)
        return references(setup, untrained, tasks, key)

    return Programs(
        setup=setup,
        seeds=seeds,
        padded=padded,
        mesh=mesh,
        init=over(init_seed),
        restart=restart,
        step=over(step_seed, carried=1),
        evaluate=over(evaluate_seed),
        references=over(references_seed),
    )


def seen_tasks(setup: Setup, train_tasks: Task, axis: int = 0) -> Task:
    """The training tasks that evaluations look at: the first ones along an axis."""
    keep = (*[slice(None)] * axis, slice(setup.structure.seen_tasks))
    return jax.tree.map(lambda x: x[keep], train_tasks)


def evaluated_tasks(setup: Setup, train_tasks: Task, test_tasks: Task) -> Task:
    """The tasks of one seed's evaluation: the `seen_tasks`, then the test tasks."""
    seen = seen_tasks(setup, train_tasks)
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), seen, test_tasks)


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
    return jax.device_put(tree, NamedSharding(programs.mesh, PartitionSpec(AXIS)))


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
