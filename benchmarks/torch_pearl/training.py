"""Training with the baseline: it makes PEARL's updates. Our program collects, fits the inference
that its evaluation needs, and evaluates; none of that is timed."""

import time

import jax
import jax.numpy as jnp

from benchmarks import harness
from benchmarks.torch_pearl import convert
from benchmarks.torch_pearl.agent import Agent
from benchmarks.torch_pearl.replay import Replay
from structlat_jax.algos.schedules import entropy_weight, kl_weight, step_size_share
from structlat_jax.config import Config
from structlat_jax.data import replay
from structlat_jax.data.batches import sampler, view
from structlat_jax.train import parallel
from structlat_jax.train.collect import collect
from structlat_jax.train.evaluate import evaluate, last_return
from structlat_jax.train.learn import init
from structlat_jax.train.setup import make_setup
from structlat_jax.train.state import TrainState


class Training:
    """One seed under way.

    Attributes:
      seconds: Spent in updates and draws so far.
      updates: Done so far.
    """

    def __init__(self, config: Config, seed: int):
        self.setup = make_setup(config)
        self._hyper = jax.tree.map(jnp.float32, config.hyper)
        key_train, self._key_evaluate = parallel.root_keys(jnp.uint32(seed))
        self._state = jax.jit(lambda key: init(self.setup, key))(key_train)
        convert.use_device()
        self._agent = Agent(self.setup)
        convert.load(self._agent, self._state.params)
        self._collect = jax.jit(self._collected)
        self._score = jax.jit(self._scored)
        self.seconds, self.updates = 0.0, 0

    def train(self, updates: int) -> None:
        """Meta-steps until that many updates more are done."""
        until = self.updates + updates
        while self.updates < until:
            rings = self.gather()
            count = min(self.setup.structure.updates_per_step, until - self.updates)
            start = time.perf_counter()
            self.update(rings, count)
            self.seconds += time.perf_counter() - start

    def gather(self) -> Replay:
        """Collects one block with the present policy; the whole replay as tensors."""
        self._state = self._collect(self._now())
        return convert.replay(self.setup, self._state)

    def update(self, rings: Replay, count: int) -> None:
        """That many draws and updates."""
        shape = (self.setup.structure.meta_batch,)
        done = jnp.int32(self.updates)
        weights = float(kl_weight(self._hyper, done)), float(entropy_weight(self._hyper, done))
        self._agent.scale_steps(float(step_size_share(self._hyper, done)))
        for _ in range(count):
            self._agent.update(rings.draw(self._agent.space.noise(shape)), *weights)
        self.updates += count

    def score(self) -> float:
        """Mean return of the last episode on the test tasks."""
        learned = self._now().learned
        return float(self._score(learned, self._state.test_tasks, self._key_evaluate))

    def _now(self) -> TrainState:
        """Our state with the baseline's networks."""
        params = convert.store(self._agent, self._state.params)
        return self._state._replace(params=params, updates=jnp.int32(self.updates))

    def _collected(self, state):
        key, key_collect, key_fit = jax.random.split(state.key, 3)
        block, _ = collect(self.setup, self._hyper, state, key_collect)
        rings = replay.write(state.replay, self.setup.layout, block)
        state = state._replace(replay=rings, key=key)
        source = sampler(self.setup, self._hyper, view(self.setup, self._hyper, rings))
        return self.setup.inference.fit(self._hyper, state, source, key_fit)[0]

    def _scored(self, learned, tasks, key):
        return last_return(evaluate(self.setup, self._hyper, learned, tasks, key))


def updates_per_second(config: Config, count: int, repeats: int) -> dict[str, float]:
    """Median, least and greatest rate of draws and updates, after one turn that is not counted."""
    training = Training(config, seed=0)
    rings = training.gather()
    seconds = harness.timings(lambda: training.update(rings, count), repeats)
    return harness.summary([count / s for s in seconds])
