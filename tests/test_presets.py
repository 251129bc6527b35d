"""Presets: the general ones, and those of an environment over them."""

import dataclasses

import pytest
from tiny import line

from structlat_jax.config import BASELINES, PRESETS, Config, ConfigError, preset, preset_names
from structlat_jax.envs import Preset, make, point_robot
from structlat_jax.envs.spec import spec

OWN = dataclasses.replace(
    line(),
    presets={
        "small": Preset(updates=7, changes={"width": 8, "eval_episodes": 9}),
        "paper": Preset(updates=11, changes={"meta_batch": 3, "lr": 0.5}),
    },
)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_and_have_a_budget(name):
    config, updates = preset(name)
    assert Config(config.structure, config.hyper) == config
    assert config.latent_space().dim > 0
    assert updates == PRESETS[name].updates > 0
    values = {**config.to_dict()["structure"], **config.to_dict()["hyper"]}
    assert all(values[field] == value for field, value in PRESETS[name].changes.items())


def test_the_default_is_the_first_and_changes_nothing():
    assert preset() == preset("cpu") == (Config(), PRESETS["cpu"].updates)
    assert preset_names() == preset_names(line()) == list(PRESETS) == ["cpu", "paper"]


def test_the_papers_preset_infers_and_steps_as_the_paper_does():
    paper, _ = preset("paper")
    assert paper.structure.inference == "amortised"
    assert (paper.structure.depth, paper.structure.encoder_depth) == (3, 3)
    assert (paper.hyper.mean_reg, paper.hyper.std_reg) == (1e-3, 1e-3)
    assert paper.hyper.lr_end == 1.0  # no decay
    assert paper.structure.posterior == "context"


def test_what_suits_one_task_stands_with_that_task():
    general = preset()[0].structure
    assert (general.posterior, general.inference) == ("task", "auto")
    own = preset(None, point_robot.make())[0].structure
    assert (own.posterior, own.inference) == ("context", "hypotheses")
    assert preset("paper", point_robot.make()) == preset("paper")


@pytest.mark.parametrize("name", ["triangle", "tetrahedron", "speed_mix", "drive_mix", "grid_mix"])
def test_mixtures_have_many_tasks_and_a_mean_posterior_like_the_prior(name):
    own, _ = preset(env=make(name))
    assert (own.structure.train_tasks, own.structure.kl) == (100, "exact")
    assert own.structure.seen_tasks == 10
    assert own.hyper.aggregate_kl == 3.0


def test_an_environments_own_come_first():
    assert preset_names(OWN) == ["small", "paper", "cpu"]
    assert preset(env=OWN) == preset("small", OWN)
    config, updates = preset("small", OWN)
    assert (config, updates) == (Config().replace(width=8, eval_episodes=9), 7)
    assert preset("cpu", OWN) == preset("cpu")


def test_an_environments_own_lie_over_the_general_ones_of_the_same_name():
    config, updates = preset("paper", OWN)
    assert updates == 11
    assert config == preset("paper")[0].replace(meta_batch=3, lr=0.5)
    assert config.structure.inference == "amortised"


def test_the_environment_stands_in_the_configuration():
    wanted = spec("line", {"horizon": 3})
    assert preset("small", OWN, wanted)[0].env == wanted
    assert preset("small", OWN)[0].env == Config().env


def test_an_unknown_preset():
    with pytest.raises(ConfigError) as caught:
        preset("fast", OWN)
    assert caught.value.field == "preset"
    known = "small, paper, cpu, pearl-belief, oracle, rl2, varibad, maml"
    assert str(caught.value) == f"preset must be one of {known}, not 'fast'."
    with pytest.raises(ConfigError, match=r"preset must be one of cpu, paper, .*maml, not 'small'"):
        preset("small")


@pytest.mark.parametrize("changes", [{"width": 0}, {"no_such": 1}, {"latent": "foo"}])
def test_a_preset_with_a_value_that_is_not_allowed(changes):
    wrong = dataclasses.replace(line(), presets={"mine": Preset(5, changes)})
    with pytest.raises(ConfigError):
        preset("mine", wrong)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"latnet": "gau:2"}, "the preset mine of line: there is no field 'latnet'"),
        ({"width": 0}, "the preset mine of line: width must be at least 1, not 0"),
    ],
)
def test_a_preset_that_is_wrong_is_named(changes, said):
    env = dataclasses.replace(line(), presets={"mine": Preset(10, changes)})
    with pytest.raises(ConfigError, match=said):
        preset("mine", env)


@pytest.mark.parametrize(("explores", "adapts"), [(1, 2), (2, 2), (7, 7)])
def test_maml_adapts_to_what_an_evaluation_explores(explores, adapts):
    own = Preset(updates=7, changes={"eval_episodes": 9, "eval_prior_episodes": explores})
    found = preset("maml", dataclasses.replace(line(), presets={"small": own}))[0].structure
    assert (found.algorithm, found.adapt_episodes, found.trial_episodes) == (
        *("maml", adapts),
        2 * adapts,
    )
    assert found.blind_episodes == adapts


@pytest.mark.parametrize(
    "name", ["point_robot", "tetrahedron", "drive_mix", "grid_mix", "cheetah_vel"]
)
@pytest.mark.parametrize("algorithm", BASELINES)
def test_an_algorithms_settings_suit_every_environment(name, algorithm):
    if name == "cheetah_vel":
        pytest.importorskip("mujoco")
    config, _ = preset(algorithm, make(name))
    assert config.structure.algorithm == algorithm
    assert config.structure.blind_episodes < config.structure.eval_episodes
