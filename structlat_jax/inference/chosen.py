"""One of several inferences, whichever did best on the training tasks.

Which inference suits a family of tasks cannot be told ahead: hypotheses that are read through the
place they lead to where a sparse reward is found there, read by a model of rewards where what pays
is dense, the encoder's posterior where it is the dynamics that tell. So all of them go through the
protocol on the training tasks, and the one that ends with the highest return is chosen; the number
of the chosen one is a parameter that no gradient changes.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Int

from structlat_jax.inference.base import Inference, Learned, Randomness
from structlat_jax.shapes import UNKNOWN

_SELECTED = "selected"  # sorts behind what flax calls its parameters, whose draws stay as they are


class Belief(NamedTuple):
    """What is believed of a task.

    Attributes:
      chosen: The number of the inference that believes.
      each: A belief per candidate; those of the others stay blank.
    """

    chosen: Int[Array, ""]
    each: tuple[Any, ...]


def settle(params: dict[str, Any], chosen: Int[ArrayLike, "*seeds"]) -> dict[str, Any]:
    """The inference's own parameters with a choice, or with another one."""
    return {**params, _SELECTED: jnp.asarray(chosen, jnp.float32)}  # as all parameters are


def settled(params: dict[str, Any]) -> Int[Array, "*seeds"]:
    """The choice among the inference's own parameters."""
    return jnp.asarray(params[_SELECTED]).astype(jnp.int32)


def unsettled(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters without a choice, which are those of the one candidate that has any."""
    return {name: value for name, value in params.items() if name != _SELECTED}


def fitted(inference: Inference, params: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a run's inference as another one takes them: one that chooses starts with
    ``fresh``'s choice, and the others have none."""
    own = unsettled(params)
    return settle(own, settled(fresh)) if inference.candidates else own


def make(candidates: Sequence[Inference]) -> Inference:
    """The record.

    Args:
      candidates: At least one; the first is the choice before there is any. One of them at most may
        have parameters of its own.
    """
    (own,) = [one for one in candidates if one.zeros()] or [candidates[0]]

    def of(one: Inference, learned: Learned) -> Learned:
        return learned._replace(inference=unsettled(learned.inference) if one is own else {})

    def switch(number: Array, branch: Callable[..., Any], *operands: Any) -> Any:
        """``branch(i, candidate, *operands)`` of the chosen one."""
        branches = [functools.partial(branch, i, one) for i, one in enumerate(candidates)]
        return jax.lax.switch(number, branches, *operands)

    def randomness(key, episodes, strata, parts):
        keys = jax.random.split(key, len(candidates))
        each = [
            c.randomness(k, episodes, strata, parts) for c, k in zip(candidates, keys, strict=True)
        ]
        starts = [one.start for one in each if one.start is not None]
        inits = [one.init for one in each if one.init is not None]
        return Randomness(
            start=starts[0] if starts else None,
            init=inits[0] if inits else None,
            choices=tuple(one.choices for one in each),
            reset=each[0].reset,
            summary=each[0].summary,
        )

    def init(learned, key, obs):
        def begin(i, one):
            return _put(blank, i, one.init(of(one, learned), key, obs))

        shapes = [jax.eval_shape(lambda c=c: c.init(of(c, learned), key, obs)) for c in candidates]
        blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), tuple(shapes))
        number = settled(learned.inference)
        return Belief(number, switch(number, begin))

    def update(learned, hyper, belief, seen, length):
        def learn(i, one, each):
            return _put(each, i, one.update(of(one, learned), hyper, each[i], seen, length))

        return belief._replace(each=switch(belief.chosen, learn, belief.each))

    def prior(belief, choice):
        def draw(i, one, each, choices):
            return one.prior(each[i], choices[i])

        return switch(belief.chosen, draw, belief.each, choice)

    def choose(learned, belief, obs, left, choice):
        def act(i, one, each, choices):
            return one.choose(of(one, learned), each[i], obs, left, choices[i])

        return switch(belief.chosen, act, belief.each, choice)

    def sample(belief, key):
        return switch(belief.chosen, lambda i, one, each: one.sample(each[i], key), belief.each)

    def greedy(learned, belief, obs, left, key):
        def best(i, one, each):
            if one.greedy is None:
                return one.sample(each[i], key)
            return one.greedy(of(one, learned), each[i], obs, left, key)

        return switch(belief.chosen, best, belief.each)

    def note(belief):
        notes = zip(candidates, belief.each, strict=True)
        return belief.chosen, tuple(one.note(each) for one, each in notes)

    def summary(notes, key):
        numbers, each = notes
        number = numbers.reshape(-1)[0]  # of all notes of an adaptation the same
        return switch(number, lambda i, one, each: one.summary(each[i], key), each)

    def spread(notes):
        numbers, each = notes
        return switch(numbers.reshape(-1)[0], lambda i, one, each: one.spread(each[i]), each)

    def leads(belief, notes):
        i = next(i for i, one in enumerate(candidates) if one.leads is not None)
        shapes = jax.eval_shape(candidates[i].leads, belief.each[i], notes[1][i])
        unknown = jax.tree.map(lambda x: jnp.full(x.shape, UNKNOWN, x.dtype), shapes)

        def lead(i, one, each, own):
            return unknown if one.leads is None else one.leads(each[i], own[i])

        return switch(belief.chosen, lead, belief.each, notes[1])

    def fit(hyper, state, sampler, key):
        number = settled(state.inference_params)
        bare = state._replace(inference_params=unsettled(state.inference_params))
        fitted, metrics = own.fit(hyper, bare, sampler, key)
        return fitted._replace(inference_params=settle(fitted.inference_params, number)), metrics

    return Inference(
        name="auto",
        randomness=randomness,
        init=init,
        update=update,
        prior=prior,
        choose=choose,
        sample=sample,
        note=note,
        summary=summary,
        spread=spread if all(one.spread for one in candidates) else None,
        leads=leads if any(one.leads for one in candidates) else None,
        greedy=greedy if any(one.greedy for one in candidates) else None,
        zeros=lambda: settle(own.zeros(), 0),
        small_heads=own.small_heads,
        moments=lambda params: own.moments(unsettled(params)),
        fit=fit,
        candidates=tuple(candidates),
    )


def _put(each: tuple[Any, ...], i: int, one: Any) -> tuple[Any, ...]:
    return (*each[:i], one, *each[i + 1 :])
