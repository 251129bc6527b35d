"""Bodies as models: rebuilt as the engine would have built them, and refused if they cannot be."""

import os

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")
pytest.importorskip("gymnasium")

from structlat_jax.envs import EnvError, make  # noqa: E402
from structlat_jax.envs.bodies import engine, kinds, models  # noqa: E402

KINDS = {kind.name: kind for kind in (kinds.CHEETAH, kinds.ANT, kinds.HOPPER, kinds.WALKER)}
LOOKS = ("cam_", "light_", "mat_", "tex_", "vis_")


def of_file(kind):
    with models.quietly():
        return mujoco.MjModel.from_xml_path(os.path.join(models._assets(), kind.file))


def numbers_of(model):
    """All that is physics, by name."""
    named = {
        name: getattr(model, name) for name in dir(model) if not name.startswith((*LOOKS, "_"))
    }
    return {
        name: np.array(x)
        for name, x in named.items()
        if isinstance(x, np.ndarray) and x.dtype.kind == "f" and name != "geom_rgba"
    }


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_standard_body_is_that_of_the_file(kind):
    """Stripped of what is only for looking at, with its total mass set by another way."""
    mine, its = numbers_of(models.build(kind, {})), numbers_of(of_file(kind))
    assert {"body_mass", "dof_invweight0", "actuator_gear"} < set(mine)
    for name, x in mine.items():
        np.testing.assert_allclose(x, its[name], rtol=1e-12, atol=1e-12, err_msg=name)
    assert sorted(KINDS) == ["ant", "cheetah", "hopper", "walker"]


def test_factors_of_one_change_nothing():
    kind = kinds.WALKER
    zeros = {name: np.zeros(models.size_of(kind, name)) for name in ("length", *models.GROUPS)}
    mine, its = numbers_of(models.build(kind, zeros)), numbers_of(models.build(kind, {}))
    for name, x in mine.items():
        np.testing.assert_allclose(x, its[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_body_of_another_density_is_what_the_compiler_makes_of_it():
    """And not only its masses: the weights of constraints follow."""
    kind, twice = kinds.HOPPER, 2.0
    spec = mujoco.MjSpec.from_file(os.path.join(models._assets(), kind.file))
    for geom in spec.geoms:
        geom.density = twice * geom.density
    its = spec.compile()
    mine = models.build(kind, {"density": [np.log(twice)]})
    for name in ("body_mass", "body_inertia", "dof_invweight0", "body_invweight0", "dof_M0"):
        np.testing.assert_allclose(getattr(mine, name), getattr(its, name), rtol=1e-12)
    assert not np.allclose(mine.dof_invweight0, models.build(kind, {}).dof_invweight0, rtol=0.1)


def test_longer_thighs_hang_where_they_should():
    """Of a hopper, 0.45 m to 0.9 m: all below hangs lower by as much, and weighs the same."""
    kind = kinds.HOPPER
    mine = models.build(kind, {"length": np.log([1.0, 2.0, 1.0, 1.0])})
    usual, places = models.build(kind, {}), {}
    for label, model in (("mine", mine), ("usual", usual)):
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        places[label] = {
            body: data.body(body).xpos[2] for body in ("torso", "thigh", "leg", "foot")
        }
    fall = {body: places["usual"][body] - z for body, z in places["mine"].items()}
    np.testing.assert_allclose([fall[body] for body in ("torso", "thigh")], 0.0, atol=1e-12)
    np.testing.assert_allclose([fall[body] for body in ("leg", "foot")], 0.45, atol=1e-12)
    same = [1, 3, 4]
    np.testing.assert_allclose(mine.body_mass[same], usual.body_mass[same])
    # A capsule: a cylinder of 0.05 m and 0.9 m, and a ball, of a thousand kilograms per m^3.
    area = np.pi * 0.05**2
    assert mine.body_mass[2] == pytest.approx(1000.0 * area * (0.9 + 4.0 / 3.0 * 0.05))
    assert float(kinds.height_of(kind, np.log([1.0, 2.0, 1.0, 1.0]))) == pytest.approx(1.7 / 1.25)


def test_each_group_changes_what_it_says():
    kind = kinds.ANT
    usual = models.build(kind, {})
    for group, (fields, owner) in models.GROUPS.items():
        mine = models.build(kind, {group: np.full(models.size_of(kind, group), np.log(1.5))})
        for field in fields:
            ratio = getattr(mine, field) / np.where(getattr(usual, field), getattr(usual, field), 1)
            changed = ratio[getattr(usual, field) != 0]
            if owner == "torso":
                changed = ratio[1]
            np.testing.assert_allclose(changed, 1.5, err_msg=group)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e4, -1e4])
def test_a_body_that_cannot_be_is_refused_in_a_sentence(wrong):
    with pytest.raises(EnvError, match=r"the mass of a hopper must be the standard body's times"):
        models.build(kinds.HOPPER, {"mass": np.array([0.0, wrong, 0.0, 0.0])})


def test_bodies_are_built_once_and_not_kept_for_ever(monkeypatch):
    built = []
    monkeypatch.setattr(models, "KEPT", 3)
    monkeypatch.setattr(models, "build", lambda kind, numbers: built.append(numbers) or object())
    cache = models.Cache(kinds.HOPPER, {"gear": 1})
    bodies = [cache.of(np.float32([x])) for x in (0.0, 0.1, 0.0, 0.1)]
    assert len(built) == 2
    assert bodies[0] is bodies[2]
    for x in (0.2, 0.3, 0.4):
        cache.of(np.float32([x]))
    assert len(cache._built) == 3
    cache.of(np.float32([0.0]))
    assert len(built) == 6


def test_what_is_missing_is_a_sentence(monkeypatch):
    real = models.importlib.util.find_spec
    gone = {"mujoco", "mujoco.mjx"}
    monkeypatch.setattr(
        models.importlib.util, "find_spec", lambda name: None if name in gone else real(name)
    )
    with pytest.raises(EnvError) as error:
        make("cheetah_vel")
    assert str(error.value) == (
        "the environment cheetah_vel needs mujoco: pip install 'structlat-jax[bodies]'."
    )
    gone.remove("mujoco")
    with pytest.raises(EnvError, match=r"needs mujoco\.mjx: pip install 'structlat-jax\[mjx\]'\."):
        make("cheetah_vel", backend="mjx")


def test_backends_are_named():
    with pytest.raises(EnvError, match="backend must be one of auto, mujoco, mjx, not 'brax'"):
        make("cheetah_vel", backend="brax")
    assert engine.make("x", kinds.CHEETAH, {}, "auto").name == "mujoco"  # on a processor
