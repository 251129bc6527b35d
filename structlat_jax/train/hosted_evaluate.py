"""The adaptation protocol in host environments: workers go through the episodes of all tasks, and
compiled programs infer between them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.config import Hyper
from structlat_jax.inference import chosen
from structlat_jax.inference.base import Inference, Learned, Randomness
from structlat_jax.shapes import Key, Task, data_to_keys, keys_to_data, make_key
from structlat_jax.train import players
from structlat_jax.train.evaluate import Adaptation
from structlat_jax.train.hosted import OverSeeds, widened
from structlat_jax.train.rollout import path
from structlat_jax.train.setup import Setup


class Who(NamedTuple):
    """Whose protocol it is; all arrays lead with ``[S]``.

    Attributes:
      learned: Of each seed.
      hyper: Of each seed.
      number: Of the candidate that infers in each lane, int32 ``[S, L]``; None if there are none.
    """

    learned: Learned
    hyper: Hyper
    number: Any


class Verbs:
    """What an inference does between episodes, for lanes ``[S, L]`` of a task and a key each."""

    def __init__(self, inference: Inference, setup: Setup, over: OverSeeds):
        """Jits them; ``over`` as in `hosted`."""
        self.inference, self.setup = inference, setup
        s, horizon = setup.structure, setup.env.horizon

        def randomness(key: Key) -> Any:
            random = inference.randomness(key, s.eval_episodes, s.eval_prior_episodes, 1)
            return random._replace(reset=jax.random.split(random.reset, s.eval_episodes))

        # Keys travel as integers.
        self.keys = jax.eval_shape(lambda: randomness(make_key(0)))
        key = jax.eval_shape(lambda: make_key(0))

        def begin(who, data, obs):
            init = data_to_keys(data.init, self.keys.init)
            return inference.init(self._own(who), init, obs)

        def choose(who, belief, data, obs, index):
            every = data_to_keys(data.choices, self.keys.choices)
            choice = jax.tree.map(lambda x: x[index, 0], every)
            z = jax.lax.cond(
                index < s.eval_prior_episodes,
                lambda b, c: inference.prior(b, c),
                lambda b, c: inference.choose(self._own(who), b, obs, horizon, c),
                *(belief, choice),
            )
            return z, inference.note(belief)

        def update(who, belief, seen, length):
            return inference.update(self._own(who), who.hyper, belief, seen, length)

        def conclude(data, unseen, notes):
            mean, kl = inference.summary(notes, data_to_keys(data.summary, self.keys.summary))
            spread = None if inference.spread is None else inference.spread(notes)
            leads = None if inference.leads is None else inference.leads(unseen, notes)
            return mean, kl, spread, leads

        self.randomness = over(
            _lanes(lambda data: keys_to_data(randomness(data_to_keys(data, key))))
        )
        self.begin = over(_lanes(begin, shared=1))
        self.choose = over(_lanes(choose, shared=1))
        self.update = over(_lanes(update, shared=1))
        self.conclude = over(_lanes(conclude))

    def _own(self, who: Who) -> Learned:
        """What one lane infers with."""
        if who.number is None:
            return who.learned
        return who.learned._replace(inference=chosen.settle(who.learned.inference, who.number))


def _lanes(fn: Callable[..., Any], shared: int = 0) -> Callable[..., Any]:
    """``fn`` of one lane as one of all lanes of a seed, one after the other; of a `Who` before the
    other arguments only the numbers have an axis of lanes."""

    def mapped(*arguments):
        who, each = arguments[:shared], arguments[shared:]
        numbers = who[0].number if who else None

        def one(inputs):
            number, own = inputs
            return fn(*(x._replace(number=number) for x in who), *own)

        return jax.lax.map(one, (numbers, each))

    return mapped


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The protocol of a setup.

    Attributes:
      setup: Static.
      own: Of its inference.
      paper: Of the encoder's posterior; the same where that is its inference.
    """

    setup: Setup
    own: Verbs
    paper: Verbs


def make(setup: Setup, over: OverSeeds) -> Protocol:
    """The protocol; ``over`` as in `hosted`."""
    own = Verbs(setup.inference, setup, over)
    amortised = setup.inference is setup.encoder
    return Protocol(setup, own, own if amortised else Verbs(setup.encoder, setup, over))


def run(
    protocol: Protocol, who: Who, tasks: Task, keys: np.ndarray, seeds: int, encoder: bool
) -> Adaptation:
    """The protocol in lanes.

    Args:
      protocol: From `make`.
      who: Of all seeds, ``[padded]``.
      tasks: On the host, ``[padded, L]``.
      keys: As data, ``[padded, L, 2]``: for everything random in a lane.
      seeds: Those that count; the surplus is taken to be like the last.
      encoder: Whether the encoder's posterior is evaluated beside another inference.

    Returns:
      Arrays of the host, ``[padded, L, E, ...]``.
    """
    both = np.asarray(_split(jnp.asarray(keys)))
    if protocol.own is protocol.paper:
        paper = _by(protocol.paper, who, tasks, both[..., 1, :], seeds)
        return paper._replace(encoder=paper.returns)
    own = _by(protocol.own, who, tasks, both[..., 0, :], seeds)
    if not encoder:
        return own
    bare = who._replace(number=None)
    paper = _by(protocol.paper, bare, tasks, both[..., 1, :], seeds)
    return own._replace(encoder=paper.returns)


@jax.jit
def _split(data: jax.Array) -> jax.Array:
    """Keys as data ``[S, L, 2]`` to two of each, ``[S, L, 2, 2]``."""
    keys = data_to_keys(data, jax.eval_shape(lambda: make_key(0)))
    return keys_to_data(jax.vmap(jax.vmap(jax.random.split))(keys))


def _by(verbs: Verbs, who: Who, tasks: Task, keys: np.ndarray, seeds: int) -> Adaptation:
    """The protocol with one inference."""
    setup, env, s = verbs.setup, verbs.setup.env, verbs.setup.structure
    padded = keys.shape[0]
    acting = players.policies(setup, jax.device_get(who.learned.agent), seeds)
    known = jax.tree.map(lambda x: x[:seeds], tasks)
    random: Randomness = verbs.randomness(keys)
    resets = np.asarray(random.reset)
    looks = random.start is not None  # else nobody asks what is observed before z is chosen

    def first(data):
        if not looks:
            return np.zeros((*keys.shape[:2], env.obs_dim), np.float32)
        return widened(players.firsts(setup, known, np.asarray(data)[:seeds]), padded)

    belief = unseen = verbs.begin(who, random, first(random.start))
    seen, latents, notes = [], [], []
    for index in range(s.eval_episodes):
        at = np.full(keys.shape[:2], index, np.int32)
        obs = first(resets[:, :, index])
        z, note = verbs.choose(who, belief, random, obs, at)
        one = players.play(setup, acting, known, resets[:seeds, :, index], np.asarray(z)[:seeds])
        one = widened(one, padded)
        belief = verbs.update(who, belief, one.transitions, one.length)
        seen.append(one)
        latents.append(np.asarray(z))
        notes.append(note)
    seen = jax.tree.map(lambda *x: np.stack(x, axis=2), *seen)
    notes = jax.tree.map(lambda *x: jnp.stack(x, axis=2), *notes)
    mean, kl, spread, leads = jax.device_get(verbs.conclude(random, unseen, notes))
    return Adaptation(
        returns=seen.transitions.reward.sum(axis=-1),
        encoder=None,
        success=None if env.success is None else seen.success,
        length=seen.length,
        path=np.asarray(path(seen)),
        z=np.stack(latents, axis=2),
        belief=mean,
        kl=kl,
        reward=seen.transitions.reward,
        spread=spread,
        leads=leads,
    )


def evaluate(setup: Setup, hyper: Hyper, learned: Learned, tasks: Task, key: Key) -> Adaptation:
    """`evaluate.evaluate` in a host environment, of one seed."""
    repeats = setup.structure.eval_repeats
    count = jax.tree.leaves(tasks)[0].shape[0]
    keys = np.asarray(keys_to_data(jax.random.split(key, (count, repeats))))
    who = jax.tree.map(lambda x: jnp.asarray(x)[None], Who(learned, hyper, None))
    lanes = jax.tree.map(lambda x: np.repeat(np.asarray(x), repeats, axis=0)[None], tasks)
    encoder = setup.structure.eval_encoder
    found = run(_alone(setup), who, lanes, keys.reshape(1, -1, 2), 1, encoder)
    return jax.tree.map(lambda x: x.reshape(count, repeats, *x.shape[2:]), found)


@functools.lru_cache(maxsize=16)
def _alone(setup: Setup) -> Protocol:
    """The protocol of one seed."""

    def over(fn):
        def only_one(*arguments):
            out = fn(*jax.tree.map(lambda x: x[0], arguments))
            return jax.tree.map(lambda x: x[None], out)

        return jax.jit(only_one)

    return make(setup, over)


def first_obs(setup: Setup) -> np.ndarray:
    """What is observed first in an episode of some task, ``[obs_dim]``; zeros if the inference does
    not ask for it."""
    key_random, key_task, key_reset = jax.random.split(make_key(0), 3)
    if jax.eval_shape(lambda: setup.inference.randomness(key_random, 2, 1, 1)).start is None:
        return np.zeros(setup.env.obs_dim, np.float32)
    tasks = jax.tree.map(lambda x: np.asarray(x)[None], setup.env.sample_tasks(key_task, 1))
    return players.firsts(setup, tasks, np.asarray(keys_to_data(key_reset)).reshape(1, 1, 2))[0, 0]
