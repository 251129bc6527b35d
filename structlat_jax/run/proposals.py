"""Which hyper-parameters to try next: Optuna's samplers behind one pure function.

No study is kept: each batch of trials is proposed from the trials before it and a seed, so that a
search that was interrupted goes on as it would have, and no file of Optuna's is ever read.
"""

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from structlat_jax.errors import InputError

SAMPLERS = ("tpe", "random")


class Range(NamedTuple):
    """Numbers from ``low`` to ``high``, both included; whole ones if both are whole.

    Attributes:
      low, high: ``low`` is below ``high``.
      log: Whether their logarithm is what is drawn evenly; then ``low`` is above 0.
    """

    low: float
    high: float
    log: bool = False


Axes = Mapping[str, Range | list[Any]]
"""What is searched: a range or the values to choose from, by field."""


class Trial(NamedTuple):
    """What was tried, and what it was worth.

    Attributes:
      params: Values by field.
      value: What is to be great; None where nothing came of it.
    """

    params: dict[str, Any]
    value: float | None


def require() -> ModuleType:
    """The library; raises `InputError` if it is not installed."""
    try:
        import optuna
    except ImportError:
        raise InputError("a search needs optuna: pip install 'structlat-jax[tune]'.") from None
    return optuna


def points(axes: Axes) -> float:
    """How many different trials there are; infinite with a range of real numbers."""
    return math.prod(_size(axis) for axis in axes.values())


def propose(
    axes: Axes, tried: Sequence[Trial], count: int, seed: int, sampler: str = SAMPLERS[0]
) -> list[dict[str, Any]]:
    """The next trials, a function of the arguments; none of them was there before.

    Args:
      axes: What is searched; `points` must leave enough of it.
      tried: All trials so far.
      count: How many to propose. None of them knows what the others will be worth: a TPE counts
        those that are under way as bad ones, which keeps them apart.
      seed: Of the search; how many were tried is mixed in.
      sampler: One of `SAMPLERS`.

    Returns:
      Values by field, of each trial.

    Raises:
      InputError: if Optuna is not installed.
      ValueError: if a trial lies outside of the axes.
    """
    optuna = require()
    wanted = {name: _distribution(optuna, axis) for name, axis in axes.items()}
    own, other = np.random.SeedSequence([seed, len(tried)]).generate_state(2).tolist()
    with _quiet(optuna):
        study = optuna.create_study(direction="maximize", sampler=_sampler(optuna, sampler, own))
        for trial in tried:
            study.add_trial(_told(optuna, trial, wanted))
        # A sampler that has found the best of few choices would propose it for ever.
        elsewhere = optuna.create_study(sampler=_sampler(optuna, "random", other))
        known = [trial.params for trial in tried]
        for _ in range(count):
            params = study.ask(wanted).params
            while params in known:
                params = elsewhere.ask(wanted).params
            known.append(params)
    return known[len(tried) :]


def _size(axis: Range | list[Any]) -> float:
    if isinstance(axis, list):
        return len(axis)
    return axis.high - axis.low + 1 if _whole(axis) else math.inf


def _whole(axis: Range) -> bool:
    return isinstance(axis.low, int) and isinstance(axis.high, int)


def _distribution(optuna: ModuleType, axis: Range | list[Any]) -> Any:
    kinds = optuna.distributions
    if isinstance(axis, list):
        return kinds.CategoricalDistribution(axis)
    kind = kinds.IntDistribution if _whole(axis) else kinds.FloatDistribution
    return kind(axis.low, axis.high, log=axis.log)


def _sampler(optuna: ModuleType, name: str, seed: int) -> Any:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _told(optuna: ModuleType, trial: Trial, wanted: dict[str, Any]) -> Any:
    states = optuna.trial.TrialState
    state = states.FAIL if trial.value is None else states.COMPLETE
    return optuna.trial.create_trial(
        state=state, value=trial.value, params=trial.params, distributions=wanted
    )


@contextlib.contextmanager
def _quiet(optuna: ModuleType) -> Iterator[None]:
    """Without a line per study, and without warnings of what is experimental in old versions."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
