"""The configuration: what is allowed, what is refused, and in which words."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structlat_jax import config as configuration
from structlat_jax.config import PRESETS, Config, ConfigError, Hyper, Structure, preset
from structlat_jax.envs import EnvSpec
from structlat_jax.envs.spec import spec
from structlat_jax.run.plan import Plan

FIELDS = configuration.fields()
BY_TYPE = {kind: [n for n, f in FIELDS.items() if f.type is kind] for kind in (int, float, bool)}
CHOICES = [name for name, field in FIELDS.items() if field.metadata["choices"]]
LOW = [n for n, f in FIELDS.items() if f.metadata["low"] is not None]
HIGH = [n for n, f in FIELDS.items() if f.metadata["high"] is not None]
ABOVE = [n for n, f in FIELDS.items() if f.metadata["above"] is not None]


def refusal(**changes):
    """The message of the error, which is one sentence."""
    with pytest.raises(ConfigError) as caught:
        Config().replace(**changes)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize("of", [np.int64, np.uint8, np.int32, jnp.int32, np.array])
def test_whole_numbers_of_numpy_and_jax_are_whole_numbers(of):
    made = Config().replace(width=of(8), lr=of(1))
    assert made == Config().replace(width=8, lr=1)
    assert type(made.structure.width) is int
    plan = Plan(made, "cpu", of(2), of(0), of(30), of(1), of(60))
    assert type(plan.seeds) is int
    json.dumps({**plan.records(), **made.to_dict()})


@pytest.mark.parametrize("of", [np.float32, np.float64, jnp.float32, np.array])
def test_numbers_of_numpy_and_jax_are_numbers(of):
    made = Config().replace(lr=of(0.25))
    assert made == Config().replace(lr=0.25)
    assert type(made.hyper.lr) is float
    assert "whole number" in refusal(width=of(8.0))


def test_kinds_of_numpy_are_not_mixed_up():
    assert Config().replace(eval_encoder=np.bool_(True)).structure.eval_encoder is True
    assert "true or false" in refusal(eval_encoder=np.int64(1))
    assert "whole number" in refusal(width=np.bool_(True))
    assert "whole number" in refusal(width=np.ones(1, int))


@pytest.mark.parametrize("name", FIELDS)
def test_field_is_documented_and_typed(name):
    field = FIELDS[name]
    assert len(field.metadata["help"]) > 10
    assert field.type in (int, float, bool, str)
    assert isinstance(field.default, field.type)


def test_names_are_unique_across_sections():
    count = len(dataclasses.fields(Structure)) + len(dataclasses.fields(Hyper))
    assert len(FIELDS) == count


@pytest.mark.parametrize("name", FIELDS)
def test_section_holds_its_fields(name):
    section = configuration.section_of(name)
    assert hasattr(getattr(Config(), section), name)


@given(st.sampled_from(LOW), st.floats(1e-3, 1e3))
def test_below_the_range(name, amount):
    low = FIELDS[name].metadata["low"]
    value = int(low - math.ceil(amount)) if FIELDS[name].type is int else low - amount
    message = refusal(**{name: value})
    assert message.startswith(f"{name} must be ")
    assert f"at least {low:g}" in message
    assert repr(value) in message


@given(st.sampled_from(HIGH), st.floats(1e-3, 1e3))
def test_above_the_range(name, amount):
    high = FIELDS[name].metadata["high"]
    amount = math.ceil(amount) if FIELDS[name].type is int else amount
    message = refusal(**{name: high + amount})
    assert message.startswith(f"{name} must be ")
    assert f"at most {high:g}" in message


@given(st.sampled_from(ABOVE), st.floats(0.0, 1e3))
def test_not_above_the_open_bound(name, amount):
    bound = FIELDS[name].metadata["above"]
    message = refusal(**{name: bound - amount})
    assert message.startswith(f"{name} must be ")
    assert f"above {bound:g}" in message


@pytest.mark.parametrize("name", LOW)
def test_the_bound_itself_is_allowed(name):
    field = FIELDS[name]
    others = {"prior_episodes": {}, "context_episodes": {"context_episodes_min": 1}}
    edge = {
        "train_tasks": {"meta_batch": 1},
        "eval_episodes": {"eval_prior_episodes": 1},
        "lr_decay_end": {"lr_decay_start": 0.0},
        **others,
    }.get(name, {})
    value = field.type(field.metadata["low"])
    changed = Config().replace(**{name: value}, **edge)
    assert changed.to_dict()[configuration.section_of(name)][name] == value


@given(st.sampled_from(CHOICES), st.text(max_size=8))
def test_unknown_choice(name, value):
    choices = FIELDS[name].metadata["choices"]
    if value not in choices:
        message = refusal(**{name: value})
        assert message.startswith(f"{name} must be one of ")
        assert all(choice in message for choice in choices)


WRONG_TYPES = {
    int: st.one_of(st.floats(), st.text(), st.none(), st.booleans(), st.lists(st.integers())),
    float: st.one_of(st.text(), st.none(), st.booleans(), st.complex_numbers()),
    bool: st.one_of(st.integers(), st.floats(), st.text(), st.none()),
}
KINDS = {int: "a whole number", float: "a number", bool: "true or false"}


@given(st.data(), st.sampled_from(list(WRONG_TYPES)))
def test_wrong_type(data, kind):
    name = data.draw(st.sampled_from(BY_TYPE[kind]))
    value = data.draw(WRONG_TYPES[kind])
    with pytest.raises(ConfigError, match=f"^{name} must be {KINDS[kind]}, not "):
        Config().replace(**{name: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", BY_TYPE[float])
def test_not_finite(name, value):
    message = refusal(**{name: value})
    assert message.startswith(f"{name} must be ")
    assert repr(value) in message


@pytest.mark.parametrize("name", BY_TYPE[float])
def test_whole_numbers_are_numbers(name):
    early = Config().replace(lr_decay_start=0.0)  # or the end of the decay would lie before it
    assert early.replace(**{name: 1}) == early.replace(**{name: 1.0})


def test_the_step_sizes_cannot_stop_decaying_before_they_begin():
    assert Config().replace(lr_decay_start=5.0, lr_decay_end=5.0).hyper.lr_decay_end == 5.0
    message = refusal(lr_decay_start=5.0, lr_decay_end=4.0)
    assert message == "lr_decay_end must be at least lr_decay_start (5), not 4.0."


@pytest.mark.parametrize("latent", ["", "foo:3", "dir:2", "dir:2x1", "gau:2x3", "gau:0", 3, None])
def test_latent_is_checked(latent):
    with pytest.raises(ConfigError, match="latent"):
        Config().replace(latent=latent)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"context_episodes": 2, "context_episodes_min": 3}, ["context_episodes_min", "(2)", "3"]),
        ({"eval_episodes": 4, "eval_prior_episodes": 4}, ["eval_prior_episodes", "(4)", "4"]),
        ({"train_tasks": 2, "meta_batch": 3}, ["meta_batch", "train_tasks (2)", "3"]),
    ],
)
def test_cross_field_rules(changes, names):
    message = refusal(**changes)
    assert all(name in message for name in names)
    first, second = changes
    relaxed = {first: changes[first] + 1, second: changes[second]}
    Config().replace(**relaxed)


@pytest.mark.parametrize("count", [3, 6, 100, 127, 2**20 - 1])
def test_hypotheses_are_a_power_of_two(count):
    assert refusal(hypotheses=count) == f"hypotheses must be a power of two from 2 up, not {count}."
    for allowed in (2, 64, 2**20):
        assert Config().replace(hypotheses=allowed).structure.hypotheses == allowed


@given(st.text(max_size=12))
def test_unknown_field(name):
    if name not in FIELDS:
        with pytest.raises(ConfigError, match="no field"):
            Config().replace(**{name: 1})
        with pytest.raises(ConfigError, match="no field"):
            Config.from_dict({"hyper": {name: 1}})


def test_replace_leaves_the_original_and_the_rest():
    base = Config()
    changed = base.replace(width=base.structure.width + 1, lr=base.hyper.lr * 2)
    assert base == Config()
    assert changed.structure.width == base.structure.width + 1
    assert changed.hyper.lr == base.hyper.lr * 2
    assert changed.env == base.env
    back = changed.replace(width=base.structure.width, lr=base.hyper.lr)
    assert back == base
    elsewhere = changed.replace(env=spec("other", {"horizon": 3}))
    assert elsewhere.env == spec("other", {"horizon": 3})
    assert elsewhere.replace(width=base.structure.width).env == elsewhere.env
    assert (elsewhere.structure, elsewhere.hyper) == (changed.structure, changed.hyper)
    with pytest.raises(dataclasses.FrozenInstanceError):
        base.structure.width = 3


@given(st.sampled_from(list(PRESETS)), st.floats(1e-6, 1.0), st.integers(1, 500), st.booleans())
def test_survives_json(name, lr, width, flag):
    config = preset(name)[0].replace(lr=lr, width=width, encoder_norm=flag)
    config = config.replace(env=spec("mine", {"width": width, "on": flag, "rates": (lr, "x")}))
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_missing_fields_take_their_defaults():
    assert Config.from_dict({}) == Config()
    assert Config.from_dict({"hyper": {"lr": 0.5}}) == Config().replace(lr=0.5)


@pytest.mark.parametrize("data", [None, 3, [], "x", {"hyper": 3}, {"structure": [1]}])
def test_from_dict_needs_objects(data):
    with pytest.raises(ConfigError, match="object"):
        Config.from_dict(data)


def test_hyper_is_a_pytree_of_its_fields():
    leaves, treedef = jax.tree.flatten(Hyper())
    assert leaves == [getattr(Hyper(), f.name) for f in dataclasses.fields(Hyper)]
    doubled = jax.tree.unflatten(treedef, [2 * leaf for leaf in leaves])
    assert doubled.lr == 2 * Hyper().lr


def test_hyper_is_traced_and_structure_is_hashable():
    assert float(jax.jit(lambda hyper: hyper.lr + hyper.tau)(Hyper(lr=1.0, tau=0.5))) == 1.5
    assert hash(Config()) == hash(Config())
    assert hash(Config()) != hash(Config().replace(width=65))
    assert hash(Config()) != hash(Config().replace(env=EnvSpec("other")))


def test_an_error_has_a_field_a_rule_and_a_value():
    with pytest.raises(ConfigError) as caught:
        Config().replace(train_tasks=2, meta_batch=3)
    error = caught.value
    assert (error.field, error.rule, error.value) == ("meta_batch", "at most `train_tasks` (2)", 3)
    assert str(error) == "meta_batch must be at most train_tasks (2), not 3."
    flag = lambda name: "--" + name.replace("_", "-")  # noqa: E731
    assert error.sentence(flag) == "--meta-batch must be at most --train-tasks (2), not 3."


def test_an_error_about_no_field_is_a_sentence_by_itself():
    error = ConfigError(None, "there is `lr`, and no more.")
    assert str(error) == "there is lr, and no more."
    assert error.sentence(str.upper) == "there is LR, and no more."
    assert (error.field, error.value) == (None, None)
    with pytest.raises(ConfigError) as caught:
        Config().replace(latent="foo:3")
    assert caught.value.field is None
    assert caught.value.sentence(str.upper).startswith("LATENT: the latent spec has 'foo:3'")


def test_values_are_judged_as_the_program_will_see_them():
    """In single precision, in which a number just below the bound is the bound."""
    assert refusal(lr=1e-60) == "lr must be above 0 in single precision, not 1e-60."
    assert refusal(lr=1e60) == "lr must be above 0 in single precision, not 1e+60."


def test_every_option_has_one_owner():
    names = [f.name for owner in configuration.OWNERS for f in dataclasses.fields(owner)]
    assert len(names) == len(set(names))
    assert sorted([*names, "latent"]) == sorted(FIELDS)
    default = Config().to_dict()
    for owner in configuration.OWNERS:
        for field in dataclasses.fields(owner):
            assert default[configuration.section_of(field.name)][field.name] == field.default
