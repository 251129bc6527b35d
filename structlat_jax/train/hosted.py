"""Training in host environments: workers collect, and the compiled `learn` learns from it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from structlat_jax.config import Hyper
from structlat_jax.shapes import Array, Episodes, Task, data_to_keys, keys_to_data
from structlat_jax.train import players
from structlat_jax.train.collect import Intent, intend, returns_by_kind
from structlat_jax.train.learn import learn
from structlat_jax.train.setup import Setup
from structlat_jax.train.state import Metrics, TrainState

OverSeeds = Callable[..., Callable[..., Any]]
"""A function of one seed, and which of its arguments is donated, to the jitted one of all."""


class Step:
    """`learn.meta_step` of all seeds where episodes are a matter of workers: two programs, and the
    workers between them. It is compiled as one function that is jitted."""

    def __init__(self, setup: Setup, seeds: int, over: OverSeeds):
        """See `make`."""
        self.setup, self.seeds = setup, seeds
        self._before = over(lambda hyper, state: _before(setup, hyper, state))
        self._after = over(
            lambda hyper, state, block, keys: _after(setup, hyper, state, block, keys), carried=1
        )

    def __call__(self, hyper: Hyper, state: TrainState) -> tuple[TrainState, Metrics]:
        """See `Programs.step`."""
        intent, keys = self._before(hyper, state)
        block = self._collected(jax.device_get((intent, state.params, state.train_tasks)))
        return self._after(hyper, state, block, keys)

    def lower(self, hyper: Hyper, state: TrainState) -> "Step":
        """Traces both programs for arguments of these shapes."""
        _, keys = jax.eval_shape(self._before, hyper, state)
        shape = (state.updates.shape[0], self.setup.structure.train_tasks)
        block = _blank(self.setup, (*shape, self.setup.episodes_per_step))
        self._lowered = (
            self._before.lower(hyper, state),
            self._after.lower(hyper, state, block, keys),
        )
        return self

    def compile(self) -> "Step":
        """Compiles what `lower` has traced."""
        self._before, self._after = (one.compile() for one in self._lowered)
        return self

    def _collected(self, found: tuple[Intent, Any, Task]) -> Episodes:
        intent, params, tasks = jax.tree.map(lambda x: x[: self.seeds], found)
        each = intent.z.shape[2]
        shape = intent.z.shape[:3]

        def flat(x):
            return np.ascontiguousarray(x).reshape(x.shape[0], -1, *x.shape[3:])

        block = players.play(
            self.setup,
            players.policies(self.setup, params, self.seeds),
            jax.tree.map(lambda x: np.repeat(x, each, axis=1), tasks),
            flat(intent.reset),
            flat(intent.z),
            flat(np.broadcast_to(intent.explores[:, None], shape)),
            flat(intent.actions),
            flat(intent.noise),
        )
        return widened(
            jax.tree.map(lambda x: x.reshape(*shape, *x.shape[2:]), block), found[0].z.shape[0]
        )


def widened(tree: Any, padded: int) -> Any:
    """Arrays of the host with their last seed repeated until there are so many."""

    def widen(x):
        return np.concatenate([x, np.repeat(x[-1:], padded - x.shape[0], axis=0)])

    return jax.tree.map(widen, tree)


def _before(setup: Setup, hyper: Hyper, state: TrainState) -> tuple[Intent, tuple[Array, ...]]:
    """What is to be collected, and the keys for what comes behind it, as data: the same as those of
    `learn.meta_step`."""
    key_next, key_collect, key_update, key_fit = jax.random.split(state.key, 4)
    intent = intend(setup, hyper, state, key_collect)
    return keys_to_data((intent, (key_next, key_update, key_fit)))


def _after(
    setup: Setup, hyper: Hyper, state: TrainState, block: Episodes, keys: tuple[Array, ...]
) -> tuple[TrainState, Metrics]:
    key_next, *own = data_to_keys(keys, (state.key,) * 3)
    state, learned = learn(setup, hyper, state, block, tuple(own))
    return state._replace(key=key_next), {**learned, **returns_by_kind(setup, block)}


def _blank(setup: Setup, lead: tuple[int, ...]) -> Episodes:
    """The shapes of so many episodes."""
    horizon = setup.env.horizon
    shapes = setup.layout.unpack(np.zeros((horizon, setup.layout.width), np.float32))
    one = Episodes(shapes, np.zeros((), np.int32), np.zeros((), np.float32))
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((*lead, *x.shape), x.dtype), one)
