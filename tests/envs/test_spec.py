"""Specs: their options, their way through JSON and the command line, files of earlier versions."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structlat_jax.config import Config, ConfigError
from structlat_jax.envs import EnvError, EnvSpec
from structlat_jax.envs.legacy import read_env
from structlat_jax.envs.spec import parse_options, spec, text

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), FLOATS, st.text())
VALUES = st.recursive(PLAIN, lambda some: st.lists(some, max_size=3), max_leaves=6)
NAMES = st.from_regex("[a-z][a-z_0-9]{0,8}", fullmatch=True)


def refusal(make, *arguments):
    with pytest.raises(EnvError) as caught:
        make(*arguments)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_options_survive_json(options):
    one = spec("point_robot", options, title="t", widths=(2, 2, 20))
    back = EnvSpec.from_dict(json.loads(json.dumps(one.to_dict())))
    assert back == one
    assert (back.title, back.widths) == (one.title, one.widths)
    assert hash(back) == hash(one)
    assert list(dict(back.options)) == list(options)


def test_the_default_is_the_point_robot():
    assert EnvSpec() == spec("point_robot")
    assert EnvSpec.from_dict({}) == EnvSpec()
    assert Config().env == EnvSpec()


def test_what_is_known_of_the_made_one_is_no_part_of_the_spec():
    assert spec("a", title="x", widths=(1, 2, 3)) == spec("a")
    assert spec("a") != spec("b")
    assert spec("a", {"k": 1}) != spec("a", {"k": 2})


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ([1, [2.5, "x"]], (1, (2.5, "x"))),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (jnp.float32(0.25), 0.25),
        (np.bool_(True), True),
    ],
)
def test_options_become_plain_values(given_, kept):
    (option,) = spec("a", {"k": given_}).options
    assert option == ("k", kept)
    assert type(option[1]) is type(kept)


ODD = [len, {"a": 1}, {1}, np.ones(2), 1j, b"x", [len], math.nan, math.inf, [-math.inf]]


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_options_that_no_file_holds_are_refused(value):
    message = refusal(spec, "a", {"k": value})
    assert message.startswith("the option k of an environment must be a finite number, a text, ")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "env must be an object with a name and options."),
        ("point_robot", "env must be an object with a name and options."),
        ({"name": 3}, "env must be an object with a name and options."),
        ({"options": [1]}, "the options of env must be an object, not [1]."),
        ({"title": 3}, "the title of env must be text, and its widths whole numbers."),
        ({"widths": [1.5]}, "the title of env must be text, and its widths whole numbers."),
        ({"widths": 7}, "the title of env must be text, and its widths whole numbers."),
        ({"options": {"k": {"a": 1}}}, "the option k of an environment must be a finite"),
    ],
)
def test_a_file_that_cannot_be_read(data, words):
    assert refusal(EnvSpec.from_dict, data).startswith(words)
    if data is not None:
        with pytest.raises(ConfigError) as caught:
            Config.from_dict({"env": data})
        assert caught.value.field is None
        assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("one", "value"),
    [
        ("horizon=30", 30),
        ("radius=0.25", 0.25),
        ("radius=1e-3", 1e-3),
        ("on=true", True),
        ("on=False", False),
        ("on=none", None),
        ("on=null", None),
        ("anchors=0,1.5", (0, 1.5)),
        ("anchors=(0, 1.5)", (0, 1.5)),
        ("anchors=[0, 1.5]", (0, 1.5)),
        ("anchors=2,", (2,)),
        ("on=true,False, none", (True, False, None)),
        ("on=true,", (True,)),
        ("names=a,b", "a,b"),
        ("names=true,b", "true,b"),
        ("names=,", ","),
        ("name=Walker2d", "Walker2d"),
        ("name='30'", "30"),
        ("name=a=b", "a=b"),
        ("name=", ""),
        ("path=/tmp/x y", "/tmp/x y"),
    ],
)
def test_values_of_the_command_line(one, value):
    ((name, found),) = parse_options([one]).items()
    assert name == one.partition("=")[0]
    assert found == value
    assert type(found) is type(value)


def test_names_of_the_command_line_may_have_dashes():
    assert parse_options(["goal-radius=1", " step_size =2"]) == {"goal_radius": 1, "step_size": 2}
    assert parse_options([]) == {}


@pytest.mark.parametrize("one", ["horizon", "=3", "3=3", "a b=3", ""])
def test_what_is_no_option(one):
    expected = f"an option of an environment is NAME=VALUE, not {one!r}."
    assert refusal(parse_options, [one]) == expected


def test_an_option_twice():
    assert refusal(parse_options, ["a-b=1", "a_b=2"]) == (
        "the option a_b of the environment is there twice."
    )


LOOKALIKES = st.sampled_from(
    ["30", "1e3", "true", "None", "0,1", "(1, 2)", "'x'", " x ", "a,b", ""]
)


@given(st.one_of(VALUES, LOOKALIKES, st.lists(LOOKALIKES, max_size=2)))
def test_a_shown_value_is_read_as_what_it_is(value):
    ((_, value),) = spec("a", {"k": value}).options
    ((_, found),) = parse_options([f"k={text(value)}"]).items()
    assert repr(found) == repr(value)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (spec("a"), "a"),
        (spec("a", {"k": 1, "m": (0, 1.5)}), "a (k=1, m=0,1.5)"),
        (spec(""), "an environment (handed over as an object)"),
        (spec("", title="mine"), "mine (handed over as an object)"),
    ],
)
def test_in_words(one, words):
    assert str(one) == words


@pytest.mark.parametrize("name", ["m:make", "a.b:make", "x.py:make", "x.py", "/tmp/x.py", ":"])
def test_code_is_told_from_names(name):
    assert spec(name).is_code
    assert not any(spec(one).is_code for one in ("point_robot", "", "pypy", "x.pyc"))


def test_code_alone_has_to_be_named_again():
    assert spec("my own.py:make").flag_again == " --env 'my own.py:make'"
    assert spec("point_robot").flag_again == ""


OLD = {"anchor_start": 0.0, "anchor_end": 3.141592653589793, "width": 64}


def test_files_without_an_environment_are_of_the_point_robot():
    assert read_env(None, {"width": 64}) == (EnvSpec(), {"width": 64})
    assert read_env(None, OLD) == (EnvSpec(), {"width": 64})
    assert Config.from_dict({"structure": OLD}) == Config().replace(width=64)


def test_an_option_that_is_gone_is_read_where_it_asked_for_nothing():
    assert Config.from_dict({"hyper": {"decoder_later": 1.0, "lr": 0.5}}) == Config().replace(
        lr=0.5
    )
    with pytest.raises(ConfigError, match="decoder_later"):
        Config.from_dict({"hyper": {"decoder_later": 10.0}})


def test_anchors_of_old_files_become_options():
    moved = {**OLD, "anchor_end": 1.5}
    expected = spec("point_robot", {"anchors": (0.0, 1.5)})
    assert read_env(None, moved) == (expected, {"width": 64})
    assert Config.from_dict({"structure": moved}).env == expected


@pytest.mark.parametrize(
    "angles",
    [{"anchor_start": 0.0}, {"anchor_start": 0.0, "anchor_end": "x"}, {"anchor_end": True}],
)
def test_anchors_that_are_no_two_numbers(angles):
    message = refusal(read_env, None, angles)
    assert message.startswith("anchor_start and anchor_end must be two numbers, not ")


def test_a_file_with_both_goes_by_its_environment():
    both = {"env": {"name": "other"}, "structure": OLD}
    assert Config.from_dict(both).env == spec("other")
