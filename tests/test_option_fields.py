"""Options that carry their limits, and the sentence that refuses a value."""

import copy
import dataclasses
import pickle

import pytest

from structlat_jax.options import ConfigError, allowed, check, conditions, option


@dataclasses.dataclass(frozen=True)
class Knobs:
    count: int = option(3, "how many", low=2, high=5)
    share: float = option(0.5, "how much", above=0.0)
    mode: str = option("slow", "which way", choices=("slow", "fast"))
    name: str = option("x", "what it is called")
    shown: bool = option(True, "whether it is shown")
    free: float = option(0.0, "any number")


SENTENCES = [
    ("count", 1, "count must be at least 2 and at most 5, not 1."),
    ("count", 6, "count must be at least 2 and at most 5, not 6."),
    ("count", 2.0, "count must be a whole number, not 2.0."),
    ("count", True, "count must be a whole number, not True."),
    ("share", 0.0, "share must be above 0, not 0.0."),
    ("share", 1e-60, "share must be above 0 in single precision, not 1e-60."),
    ("share", float("nan"), "share must be above 0, not nan."),
    ("share", "1", "share must be a number, not '1'."),
    ("mode", "quick", "mode must be one of slow, fast, not 'quick'."),
    ("name", None, "name must be text, not None."),
    ("shown", 1, "shown must be true or false, not 1."),
    ("free", float("inf"), "free must be finite, not inf."),
    ("free", 1e39, "free must be finite in single precision, not 1e+39."),
]


def test_a_value_that_is_wrong_as_it_stands_is_not_blamed_on_its_precision():
    with pytest.raises(ConfigError) as caught:
        check(Knobs(share=-0.1))
    assert str(caught.value) == "share must be above 0, not -0.1."


def test_where_an_option_is_read_is_said_in_words():
    read = option(1, "a number", where={"mode": ("slow", "fast"), "name": ("x",)})
    assert conditions(read) == "mode: slow or fast; name: x"
    assert conditions(option(1, "a number")) == ""


@pytest.mark.parametrize(("field", "value", "sentence"), SENTENCES)
def test_what_is_not_allowed_is_said_in_one_sentence(field, value, sentence):
    with pytest.raises(ConfigError) as caught:
        check(Knobs(**{field: value}))
    assert str(caught.value) == sentence
    assert (caught.value.field, repr(caught.value.value)) == (field, repr(value))


@pytest.mark.parametrize(
    "given", [{}, {"count": 2}, {"count": 5}, {"share": 2}, {"mode": "fast"}, {"free": -1e30}]
)
def test_what_is_allowed_passes(given):
    check(Knobs(**given))


def test_the_limits_in_words():
    words = [allowed(field) for field in dataclasses.fields(Knobs)]
    assert words == ["at least 2 and at most 5", "above 0", "one of slow, fast", "", "", ""]


def flag(name):
    return "--" + name.replace("_", "-")


def test_names_of_fields_are_rendered_and_nothing_else():
    error = ConfigError("meta_batch", "at most `train_tasks` (4)", 5)
    assert str(error) == "meta_batch must be at most train_tasks (4), not 5."
    assert error.sentence(flag) == "--meta-batch must be at most --train-tasks (4), not 5."
    given = ConfigError("mode", "one of slow, fast", "`train_tasks`")
    assert given.sentence(flag) == "--mode must be one of slow, fast, not '`train_tasks`'."


def test_a_free_sentence_keeps_its_form():
    error = ConfigError.free("`latent`: a spec is there twice; `a b` and `` are no names.")
    assert (error.field, error.value) == (None, None)
    assert str(error) == "latent: a spec is there twice; `a b` and `` are no names."
    assert error.sentence(flag).startswith("--latent: a spec")


def test_it_survives_copies_and_processes():
    error = ConfigError("count", "at most `other`", 7)
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(again), str(again)) == (ConfigError, str(error))
        assert (again.field, again.rule, again.value) == ("count", "at most `other`", 7)
