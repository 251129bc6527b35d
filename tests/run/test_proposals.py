"""What to try next: from the axes, what was tried and a seed alone."""

import math
import sys

import pytest

from structlat_jax.errors import InputError
from structlat_jax.run import proposals
from structlat_jax.run.proposals import SAMPLERS, Range, Trial, points, propose

AXES = {
    "lr": Range(1e-4, 1e-2, log=True),
    "width": Range(8, 64),
    "choice": ["greedy", "thompson"],
    "prior_factor": [True, False],
}
BEST = 1e-3


def tried(batch, worth):
    return [Trial(params, worth(params)) for params in batch]


def near(params):
    return -abs(math.log10(params["lr"] / BEST))


def search(axes, batches, count, worth=near, **options):
    found = []
    for _ in range(batches):
        found += tried(propose(axes, found, count, 0, **options), worth)
    return found


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_they_are_a_function_of_the_arguments(sampler):
    before = search(AXES, 2, 8, sampler=sampler)
    batch = propose(AXES, before, 8, 0, sampler)
    assert batch == propose(AXES, before, 8, 0, sampler)
    assert batch != propose(AXES, before, 8, 1, sampler)
    assert batch != propose(AXES, before[:8], 8, 0, sampler)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_they_lie_within_the_axes_and_have_their_types(sampler):
    for trial in search(AXES, 3, 8, sampler=sampler):
        params = trial.params
        assert list(params) == list(AXES)
        assert 1e-4 <= params["lr"] <= 1e-2
        assert type(params["width"]) is int
        assert 8 <= params["width"] <= 64
        assert params["choice"] in AXES["choice"]
        assert type(params["prior_factor"]) is bool


def test_a_log_range_is_drawn_evenly_by_its_logarithm():
    drawn = propose({"lr": Range(1e-4, 1.0, log=True)}, [], 200, 0, "random")
    below = sum(one["lr"] < 1e-2 for one in drawn)
    assert 75 < below < 125
    drawn = propose({"lr": Range(1e-4, 1.0)}, [], 200, 0, "random")
    assert sum(one["lr"] < 1e-2 for one in drawn) < 10


def test_what_was_good_is_looked_at_again_and_chance_does_not_learn():
    def distance(sampler):
        late = search({"lr": AXES["lr"]}, 6, 8, sampler=sampler)[24:]
        return sum(-one.value for one in late) / len(late)

    assert distance("tpe") < 0.75 * distance("random")


def test_what_failed_is_no_guide():
    """Failed trials have no value, yet they count as trials."""
    before = [trial._replace(value=None) for trial in search(AXES, 2, 8)]
    assert len(propose(AXES, before, 8, 0)) == 8


def test_nothing_is_proposed_twice():
    few = {"choice": ["a", "b", "c"], "depth": Range(1, 3)}
    assert points(few) == 9
    found = [trial.params for trial in search(few, 3, 3, lambda params: params["depth"])]
    assert len({tuple(params.items()) for params in found}) == 9
    assert points(AXES) == math.inf


def test_a_trial_of_another_search_is_refused():
    with pytest.raises(ValueError, match="not in"):
        propose({"choice": ["a", "b"]}, [Trial({"choice": "c"}, 1.0)], 1, 0)


def test_optuna_says_nothing(capfd):
    search(AXES, 2, 4)
    assert capfd.readouterr() == ("", "")


def test_without_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'structlat-jax\[tune\]'"):
        proposals.require()
