"""What films draw of Meta-World's arm, and of host environments at all."""

import dataclasses

import numpy as np

from structlat_jax.envs.base import Env
from structlat_jax.envs.host import gripper
from structlat_jax.envs.host.base import HostEnv

PROGRAMS = {"reset", "step", "goal", "goal_radius"}
"""What the compiled program alone asks of an environment, and the short form of a plane."""


def test_whoever_reads_an_environment_can_read_a_host_environment():
    known = {field.name for field in dataclasses.fields(HostEnv)} | set(vars(HostEnv))
    assert {field.name for field in dataclasses.fields(Env)} - known == PROGRAMS


def test_fingers_close_and_the_thing_is_where_it_is_seen():
    obs = np.zeros((2, 39))
    obs[:, :3], obs[:, 3], obs[:, 4:7] = [0.1, 0.0, 0.3], [1.0, 0.0], [0.2, 0.0, 0.02]
    lines = gripper.lines(obs)
    assert lines.shape == (2, 8, 2, 2)
    apart = lines[:, 3, 0, 0] - lines[:, 2, 0, 0]
    np.testing.assert_allclose(apart, [0.1, 0.0], atol=1e-9)
    np.testing.assert_allclose(lines[:, 0, 0], [[0.1, 0.3]] * 2)
    np.testing.assert_allclose(lines[:, 4:].mean(axis=(1, 2)), [[0.2, 0.02]] * 2)


def test_what_is_further_away_is_further_up_and_to_the_right():
    obs = np.zeros((2, 39))
    obs[1, 1] = 1.0
    near, far = gripper.lines(obs)[:, 0, 0]
    np.testing.assert_allclose(far - near, [0.5, 0.3])
