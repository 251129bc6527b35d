"""What an inference is: a belief about the task, how it learns, and which z it acts on."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from structlat_jax.config import Hyper
from structlat_jax.shapes import Array, Key, Params, Transition


class Learned(NamedTuple):
    """All that was learned.

    Attributes:
      agent: The agent's parameters.
      inference: The inference's own; empty where it needs none.
    """

    agent: Params
    inference: Params


class Randomness(NamedTuple):
    """The random numbers of one adaptation of E episodes with P latents each.

    An inference draws them ahead, together: episodes that are to look in different places must
    know of each other.

    Attributes:
      start: Key of the reset whose observation `Inference.init` is given; None if it needs none.
      init: Key for `Inference.init`, or None.
      choices: For every choice of z, a pytree ``[E, P, ...]``; a key where none is chosen.
      reset: Key of the episodes' resets.
      summary: Key for `Inference.summary`.
    """

    start: Key | None
    init: Key | None
    choices: Any
    reset: Key
    summary: Key


class Leads(NamedTuple):
    """Where hypotheses lead, in G groups of neighbours.

    Attributes:
      obs: Mean over a group of the observations at which its imagined episodes end,
        ``[G, obs_dim]``.
      weight: Probability of each group given what was seen before each episode, ``[E, G]``.
    """

    obs: Array
    weight: Array


def _nothing_to_fit(hyper: Hyper, state: Any, sampler: Any, key: Key) -> tuple[Any, dict]:
    del hyper, sampler, key
    return state, {}


@dataclasses.dataclass(frozen=True)
class Inference:
    """A record of pure functions for one task at a time; the caller vmaps.

    A belief is whatever pytree the inference carries. Evaluation and loaded agents share a record.

    Attributes:
      name: For tables.
      randomness: ``(key, episodes, strata, parts)`` to `Randomness`; the last three are static. Of
        ``strata`` consecutive episodes each takes a part of the prior of its own, if the inference
        can.
      init: ``(learned, key, obs [obs_dim])`` to the belief before anything was seen.
      update: ``(learned, hyper, belief, transitions [H], length)`` to the belief after the first
        ``length`` of them.
      sample: ``(belief, key)`` to a draw from the posterior, ``[D]``; from the prior while nothing
        was seen.
      note: belief to what is to be recorded of it, a pytree.
      summary: ``(notes [...], key)`` to the posterior means of z ``[..., D]`` and the encoder's KL
        to the prior in nats ``[..., blocks]``.
      prior: ``(belief, choice)`` to z ``[D]`` as if nothing had been seen; None with
        `condition`, where no z is chosen.
      choose: ``(learned, belief, obs [obs_dim], steps left, choice)`` to the z to act on, ``[D]``;
        the steps left are static. None as `prior`.
      spread: notes ``[...]`` to the posterior standard deviation of z ``[..., D]``; None where it
        is not known.
      leads: ``(belief before anything was seen, notes [E])`` to `Leads`, or None where the
        inference has no hypotheses.
      greedy: ``(learned, belief, obs, steps left, key)`` to the z of most expected return, or None
        where the inference cannot tell.
      zeros: The inference's own parameters, all zero, for `init.initialise`.
      small_heads: As there.
      moments: Its own parameters to its optimiser's state.
      fit: ``(hyper, state, sampler, key)`` to the training state with its own parameters fitted to
        batches, and metrics by name; after the algorithm's updates.
      candidates: Of an inference that is one of several, these; see `chosen`.
      condition: ``(learned, belief)`` to what the policy is given in place of z, ``[C]``. Where it
        is there, the agent acts on its belief: it looks at it before every step and updates it
        after every step, in all episodes alike, and no z is chosen. None where one z is chosen per
        episode.
      gathered: Total evidence ``[stat_dim]`` to the belief that has seen as much; None where a
        belief is more than a sum of evidence, or no z is inferred.
      told: ``(belief, task)`` to the belief of an agent that is told which task it is in; None
        where it has to find out.
      rest: ``(learned, hyper, belief)`` to the belief as it is acted on in the next episode, worked
        out between episodes; None where there is nothing to work out.
      explores: Whether the blind episodes of an evaluation draw their actions, without which
        nothing could be found out; only with `condition`.
    """

    name: str
    randomness: Callable[[Key, int, int, int], Randomness]
    init: Callable[[Learned, Key | None, Array | None], Any]
    update: Callable[[Learned, Hyper, Any, Transition, Array], Any]
    sample: Callable[[Any, Key], Array]
    note: Callable[[Any], Any]
    summary: Callable[[Any, Key], tuple[Array, Array]]
    prior: Callable[[Any, Any], Array] | None = None
    choose: Callable[[Learned, Any, Array, int, Any], Array] | None = None
    spread: Callable[[Any], Array] | None = None
    leads: Callable[[Any, Any], Leads] | None = None
    greedy: Callable[[Learned, Any, Array, int, Key], Array] | None = None
    zeros: Callable[[], Params] = dict
    small_heads: tuple[str, ...] = ()
    moments: Callable[[Params], Any] = lambda _: ()
    fit: Callable[[Hyper, Any, Any, Key], tuple[Any, dict[str, Array]]] = _nothing_to_fit
    condition: Callable[[Learned, Any], Array] | None = None
    gathered: Callable[[Array], Any] | None = None
    told: Callable[[Any, Any], Any] | None = None
    rest: Callable[[Learned, Hyper, Any], Any] | None = None
    explores: bool = False
    candidates: tuple[Any, ...] = ()  # of this class, which old checkers of types cannot name here
