"""The record itself: the short form of a plane, and what pictures sort tasks by."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import line

from structlat_jax.envs import Plane, labels

TASKS = jnp.array([3.0, -1.0, 2.0])


def changed(**fields):
    return dataclasses.replace(line(), **fields)


def test_a_goal_is_a_short_form_of_a_plane():
    env = changed(goal=lambda task: jnp.stack([task, 0.0]), goal_radius=0.25)
    assert env.plane.radius == 0.25
    assert env.plane.units == ""
    assert env.plane.outline is None
    np.testing.assert_array_equal(env.plane.goal(TASKS[0]), [3.0, 0.0])
    obs = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(env.plane.project(obs), obs[..., :2])


def test_the_short_form_survives_a_copy():
    env = changed(goal=lambda task: jnp.zeros(2), goal_radius=0.25)
    assert dataclasses.replace(env, name="other").plane is env.plane


def test_both_forms_are_one_too_many():
    plane = Plane(project=lambda obs: obs[..., :2])
    with pytest.raises(ValueError, match="a plane, or its short form goal, not both"):
        changed(plane=plane, goal=lambda task: jnp.zeros(2))
    assert changed(plane=plane).plane.goal is None
    assert line().plane is None


def several(task):
    return {"mixture": jnp.stack([0.5 * task, task]), "style": task}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"label": lambda task: -task, "factors": several}, [-3.0, 1.0, -2.0]),
        ({"label": None, "factors": several}, [1.5, -0.5, 1.0]),
        ({"label": None, "factors": lambda task: {"one": task}}, [3.0, -1.0, 2.0]),
        ({"label": None, "factors": lambda task: {}}, [0.0, 1.0, 2.0]),
        ({"label": None, "factors": None}, [0.0, 1.0, 2.0]),
    ],
)
def test_labels_are_the_environments_or_the_first_factor_or_an_index(fields, expected):
    env = changed(**fields)
    found = jax.jit(lambda tasks: labels(env, tasks))(TASKS)
    np.testing.assert_allclose(found, expected)


def test_environments_are_static_arguments():
    """They stand in closures and in static arguments of compiled functions."""
    env = line()
    assert hash(env) == hash(env)
    assert env == dataclasses.replace(env)
    assert env != line()
