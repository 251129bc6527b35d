"""Programs under measurement: meta-training of some seeds, and one update by itself."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from structlat_jax.algos.base import Learner
from structlat_jax.config import Config, Hyper
from structlat_jax.data import replay
from structlat_jax.data.batches import Draws, draw, sampler, view
from structlat_jax.train import parallel
from structlat_jax.train.collect import collect
from structlat_jax.train.learn import init
from structlat_jax.train.setup import Setup, make_setup
from structlat_jax.train.state import TrainState
from structlat_jax.train.trials import of_step


class Run:
    """Meta-training under way; `step` runs one meta-step of all seeds.

    Attributes:
      setup: The static half.
      compile_seconds: Until the first meta-step could start.
      updates: Gradient updates of one `step`, all seeds together.
      bytes: Of one device, as the compiler sees the meta-step: its state and its scratch memory.
    """

    def __init__(
        self,
        config: Config,
        seeds: int = 1,
        devices: list | None = None,
        mapping: str | None = None,
        first: int = 0,
    ):
        self.setup = make_setup(config)
        self._programs = parallel.make_programs(self.setup, seeds, devices, mapping)
        self.hyper = parallel.spread(self._programs, config.hyper)
        numbers = parallel.seed_numbers(self._programs, first)
        start = time.perf_counter()
        shapes = jax.eval_shape(self._programs.init, numbers)
        self._step = self._programs.step.lower(self.hyper, shapes).compile()
        self.compile_seconds = time.perf_counter() - start
        self.state = self._programs.init(numbers)
        self.updates = seeds * config.structure.updates_per_step
        memory = self._step.memory_analysis()
        self.bytes = memory.argument_size_in_bytes + memory.temp_size_in_bytes

    def step(self) -> Any:
        """One meta-step; its metrics."""
        self.state, metrics = self._step(self.hyper, self.state)
        return metrics

    def one_seed(self) -> TrainState:
        """The state of the first seed, on the default device."""
        return jax.tree.map(lambda x: x[0], self.state)


def updates_alone(setup: Setup, count: int) -> Callable[[Hyper, TrainState], Any]:
    """``(hyper, state)`` of one seed to parameters and metrics after some updates, with nothing
    collected. All parameters are handed out, so that the compiler may leave none untrained."""
    update = one_update(setup)

    def of_seed(hyper: Hyper, state: TrainState):
        def body(carry, draws):
            now = state._replace(params=carry[0], moments=carry[1])
            params, moments, metrics = update(hyper, now, draws)
            return (params, moments), metrics

        draws = jax.vmap(lambda key: draw(setup, key))(jax.random.split(state.key, count))
        (params, _), metrics = jax.lax.scan(body, (state.params, state.moments), draws)
        return params, metrics

    return of_seed


def compile_updates(
    setup: Setup, states: TrainState, count: int, devices: int = 1
) -> tuple[Callable[[], Any], Any, float]:
    """`updates_alone` compiled for copies of states ``[seeds]``, shared between the first devices.

    Returns:
      A call without arguments, the program, and the seconds that compiling took.
    """
    seeds = len(states.updates)
    programs = parallel.make_programs(setup, seeds, jax.devices()[:devices])
    hyper = parallel.spread(programs, setup.config.hyper)
    states = parallel.place(programs, jax.tree.map(lambda x: x.copy(), states))
    jitted = parallel.over_seeds(updates_alone(setup, count), programs.mesh, seeds // devices)
    start = time.perf_counter()
    program = jitted.lower(hyper, states).compile()
    return lambda: program(hyper, states), program, time.perf_counter() - start


def experienced(setup: Setup, seeds: int) -> TrainState:
    """States of some seeds whose replay holds one block, ``[seeds]``."""
    hyper = jax.tree.map(jnp.float32, setup.config.hyper)

    def one(seed):
        state = init(setup, parallel.root_keys(seed)[0])
        key, key_collect = jax.random.split(state.key)
        block, _ = collect(setup, hyper, state, key_collect)
        rings = replay.write(state.replay, setup.layout, block)
        return state._replace(replay=rings, key=key)

    return jax.jit(lambda numbers: jax.lax.map(one, numbers))(jnp.arange(seeds, dtype=jnp.uint32))


def one_update(setup: Setup) -> Callable[..., Any]:
    """``(hyper, state, draws=None)`` to new parameters, moments and metrics: a draw from the replay
    and one `Algorithm.update`; the random numbers come from the state's key if none are given."""

    def update(hyper: Hyper, state: TrainState, draws: Draws | None = None):
        source = sampler(setup, hyper, view(setup, hyper, state.replay))
        batch = source.make(source.draw(state.key) if draws is None else draws)
        coefficients = setup.algorithm.coefficients(hyper, state.updates)
        return setup.algorithm.update(state.params, state.moments, batch, coefficients)

    return update


def updates_of_trials(setup: Setup, state: TrainState) -> tuple[Callable[..., Any], tuple]:
    """How an algorithm that learns from trials makes the updates of one meta-step of one seed, and
    what it is given: its hyper-parameters, learner, trials, updates and key."""
    hyper = jax.tree.map(jnp.float32, setup.config.hyper)
    key_act, key_learn = jax.random.split(state.key)
    trials = jax.jit(lambda key: of_step(setup, hyper, state, key))(key_act)
    learner = Learner(state.params, state.moments, state.replay)
    return setup.algorithm.on_policy.learn, (hyper, learner, trials, state.updates, key_learn)
