"""Evaluations of a run in host environments, called as jitted functions are."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from structlat_jax.config import Hyper
from structlat_jax.shapes import Key, Params, Task, keys_to_data
from structlat_jax.train import players
from structlat_jax.train.evaluate import References
from structlat_jax.train.hosted import OverSeeds, widened
from structlat_jax.train.hosted_evaluate import Who, make, run
from structlat_jax.train.setup import Setup


class Evaluate:
    """`Programs.evaluate` of a run in host environments; compiled when it is first called."""

    def __init__(
        self, setup: Setup, seeds: int, over: OverSeeds, key_of: Callable[[Any, Any], Key]
    ):
        """``key_of`` a seed's number and a round; the others as in `hosted`."""
        self.setup, self.seeds, self.protocol = setup, seeds, make(setup, over)
        s = setup.structure
        count = s.seen_tasks + s.test_tasks

        def keys(seed, eval_round, repeat):
            every = jax.random.split(key_of(seed, eval_round), (count, s.eval_repeats))
            return keys_to_data(every[:, repeat])

        self._keys = over(keys)

    def __call__(self, hyper: Hyper, state: Any, numbers: Any, eval_round: Any, repeat: Any) -> Any:
        """See `Programs.evaluate`."""
        s, candidates = self.setup.structure, self.setup.inference.candidates
        each = max(1, len(candidates))
        tasks = joined(self.setup, *jax.device_get((state.train_tasks, state.test_tasks)))
        keys = np.asarray(self._keys(numbers, eval_round, repeat))
        padded, count = keys.shape[:2]

        def tiled(x):
            return np.concatenate([np.asarray(x)] * each, axis=1)

        number = np.broadcast_to(
            np.repeat(np.arange(each, dtype=np.int32), count), (padded, each * count)
        )
        who = Who(state.learned, hyper, np.array(number) if candidates else None)
        encoder = s.eval_encoder and not candidates
        found = run(
            self.protocol, who, jax.tree.map(tiled, tasks), tiled(keys), self.seeds, encoder
        )
        return jax.tree.map(lambda x: x.reshape(padded, each, count, 1, *x.shape[2:]), found)

    def lower(self, *_: Any) -> "Evaluate":
        """Itself."""
        return self

    def compile(self) -> "Evaluate":
        """Itself."""
        return self


class Known:
    """`Programs.references` of a run in host environments: of each task one episode by the
    untrained agent, and one by the environment's controller."""

    def __init__(self, setup: Setup, seeds: int, over: OverSeeds, key_of: Callable[[Any], Key]):
        """As of `Evaluate`."""
        self.setup, self.seeds = setup, seeds
        count = setup.structure.seen_tasks + setup.structure.test_tasks

        def draw(seed):
            key_z, key_reset = jax.random.split(key_of(seed))
            resets = keys_to_data(jax.random.split(key_reset, count))
            return setup.space.sample_prior(key_z, (count,)), resets

        self._draw = over(draw)

    def __call__(
        self, untrained: Params, train_tasks: Task, test_tasks: Task, numbers: Any
    ) -> References:
        """See `Programs.references`."""
        z, resets = jax.tree.map(lambda x: np.asarray(x)[: self.seeds], self._draw(numbers))
        tasks = joined(self.setup, *jax.device_get((train_tasks, test_tasks)))
        tasks = jax.tree.map(lambda x: x[: self.seeds], tasks)
        acting = players.policies(self.setup, jax.device_get(untrained), self.seeds)
        floor = players.play(self.setup, acting, tasks, resets, z).transitions.reward.sum(axis=-1)
        oracle = None
        if self.setup.env.controller is not None:
            oracle = players.controlled(self.setup, tasks, resets)
        return widened(References(floor, oracle), jax.tree.leaves(test_tasks)[0].shape[0])

    def lower(self, *_: Any) -> "Known":
        """Itself."""
        return self

    def compile(self) -> "Known":
        """Itself."""
        return self


def joined(setup: Setup, train_tasks: Task, test_tasks: Task) -> Task:
    """The training tasks that evaluations look at and then the test tasks, ``[S, T]``."""
    seen = setup.structure.seen_tasks
    return jax.tree.map(
        lambda a, b: np.concatenate([a[:, :seen], b], axis=1), train_tasks, test_tasks
    )
