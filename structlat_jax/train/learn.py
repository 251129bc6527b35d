"""Meta-training: one meta-step is learn after collect, a pure function of its state."""

import jax
import jax.numpy as jnp

from structlat_jax.algos.base import Learner
from structlat_jax.config import Hyper
from structlat_jax.data import batches, replay
from structlat_jax.inference.base import Learned
from structlat_jax.nets.init import initialise
from structlat_jax.shapes import Array, Episodes, Key, Params, Task
from structlat_jax.train.collect import collect
from structlat_jax.train.setup import Setup
from structlat_jax.train.state import Metrics, TrainState
from structlat_jax.train.trials import of_step


def init(setup: Setup, key: Key, start: Array | None = None) -> TrainState:
    """The state of one seed before any experience: its tasks, its networks, an empty replay.

    Args:
      setup: Static.
      key: For everything random.
      start: A number from 1 up for another start of the same seed: with the same tasks, but with
        other networks and draws.
    """
    key_tasks, key_split, *own = jax.random.split(key, 4)
    if start is not None:
        own = [jax.random.fold_in(one, start) for one in own]
    key_networks, key_train = own
    train_tasks, test_tasks = _tasks(setup, key_tasks, key_split)
    params, own = init_params(setup, key_networks)
    trials = setup.algorithm.on_policy
    rings = _rings(setup) if trials is None else trials.memory()
    params = setup.algorithm.told(params, train_tasks)
    return TrainState(
        params=params,
        moments=setup.algorithm.moments(params),
        inference_params=own,
        inference_moments=setup.inference.moments(own),
        replay=rings,
        key=key_train,
        updates=jnp.zeros((), jnp.int32),
        train_tasks=train_tasks,
        test_tasks=test_tasks,
    )


def _tasks(setup: Setup, key_tasks: Key, key_split: Key) -> tuple[Task, Task]:
    """A seed's training and test tasks."""
    s = setup.structure
    if setup.env.split is not None:
        return tuple(map(_strong, setup.env.split(key_tasks, s.train_tasks, s.test_tasks)))
    count = s.train_tasks + s.test_tasks
    tasks = _strong(setup.env.sample_tasks(key_tasks, count))
    order = jax.random.permutation(key_split, count)
    train, test = order[: s.train_tasks], order[s.train_tasks :]
    return jax.tree.map(lambda x: x[train], tasks), jax.tree.map(lambda x: x[test], tasks)


def _strong(tasks: Task) -> Task:
    """The same, of strong types: a restored state must be of the same type as a fresh one, or it
    traces anew."""
    return jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), tasks)


def _rings(setup: Setup) -> replay.Replay:
    shape = (setup.structure.train_tasks, setup.blocks, setup.episodes_per_step)
    return replay.empty(*shape, setup.env.horizon, setup.layout)


def init_params(setup: Setup, key: Key) -> tuple[Params, Params]:
    """Fresh parameters of the agent and of its inference."""
    algorithm, inference = setup.algorithm, setup.inference
    zeros = (algorithm.zeros(), inference.zeros())
    small = (*algorithm.small_heads, *inference.small_heads)
    params, own = initialise(key, zeros, setup.structure.init, small)
    return algorithm.start(params), own


def meta_step(setup: Setup, hyper: Hyper, state: TrainState) -> tuple[TrainState, Metrics]:
    """Collects from every training task, and learns from all that was kept.

    Args:
      setup: Static.
      hyper: Traced hyper-parameters, each a scalar.
      state: Of one seed.

    Returns:
      The next state and the metrics.
    """
    if setup.algorithm.on_policy is not None:
        return _trials_step(setup, hyper, state)
    key_next, key_collect, key_update, key_fit = jax.random.split(state.key, 4)
    block, collected = collect(setup, hyper, state, key_collect)
    state, learned = learn(setup, hyper, state, block, (key_update, key_fit))
    return state._replace(key=key_next), {**learned, **collected}


def _trials_step(setup: Setup, hyper: Hyper, state: TrainState) -> tuple[TrainState, Metrics]:
    """The meta-step of who learns from trials: what was collected is learned from, and then gone
    but for what the algorithm itself keeps."""
    s, learn_from = setup.structure, setup.algorithm.on_policy.learn
    key_next, key_act, key_learn = jax.random.split(state.key, 3)
    trials = of_step(setup, hyper, state, key_act)
    learner = Learner(state.params, state.moments, state.replay)
    learner, metrics = learn_from(hyper, learner, trials, state.updates, key_learn)
    before, updates = state.updates, state.updates + s.updates_per_step
    params, moments, memory = learner
    state = state._replace(params=params, moments=moments, replay=memory, updates=updates)
    returns = jnp.mean(jnp.sum(trials.episodes.transitions.reward, axis=-1), axis=0)
    collected = {"collected_first_return": returns[0], "collected_last_return": returns[-1]}
    return state._replace(key=key_next), {**_means(metrics, state.learned, before), **collected}


def learn(
    setup: Setup, hyper: Hyper, state: TrainState, block: Episodes, keys: tuple[Key, Key]
) -> tuple[TrainState, Metrics]:
    """Writes the replay, runs U updates, fits the inference; wherever the experience came from.

    Args:
      setup: Static.
      hyper: Traced hyper-parameters, each a scalar.
      state: Of one seed.
      block: Episodes of each training task, ``[T, E]``: prior, exploring, posterior ones.
      keys: For the updates, and for the inference.

    Returns:
      The next state, its key as it was, and the metrics.
    """
    algorithm, key_update, key_fit = setup.algorithm, *keys
    rings = replay.write(state.replay, setup.layout, block)
    sampler = batches.sampler(setup, hyper, batches.view(setup, hyper, rings))

    def body(carry, draws):
        params, moments, updates = carry
        batch, coefficients = sampler.make(draws), algorithm.coefficients(hyper, updates)
        params, moments, metrics = algorithm.update(params, moments, batch, coefficients)
        return (params, moments, updates + 1), metrics

    start = (state.params, state.moments, state.updates)
    keys = jax.random.split(key_update, setup.structure.updates_per_step)
    (params, moments, updates), metrics = jax.lax.scan(body, start, jax.vmap(sampler.draw)(keys))
    state = state._replace(params=params, moments=moments, replay=rings, updates=updates)
    state, fitted = setup.inference.fit(hyper, state, sampler, key_fit)
    means = _means(metrics, state.learned, start[-1])
    return state, {**means, **fitted}


def _means(metrics: dict[str, Array], learned: Learned, before: Array) -> Metrics:
    """What a meta-step reports of its updates' metrics ``[U, ...]``, ``before`` of which were done
    when it began."""
    bad = first_not_finite(metrics, learned)
    means = {name: jnp.mean(x, axis=0) for name, x in metrics.items()}
    return {**means, "not_finite_at": jnp.where(bad > 0, before + bad, 0)}


def first_not_finite(metrics: dict[str, Array], learned: Learned) -> Array:
    """The first update, from 1, whose metrics ``[U, ...]`` are not finite, or the last if only the
    parameters after it are not; 0 if all is well."""
    each = [jnp.isfinite(x).reshape(x.shape[0], -1).all(axis=1) for x in metrics.values()]
    bad = ~jnp.stack(each).all(axis=0)
    after = [jnp.isfinite(x).all() for x in jax.tree.leaves(learned)]
    bad = bad.at[-1].set(bad[-1] | ~jnp.stack(after).all())
    return jnp.where(bad.any(), 1 + jnp.argmax(bad), 0)
