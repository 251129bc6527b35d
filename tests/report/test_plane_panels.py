"""Agents with z from the prior, side by side."""

import numpy as np
import pytest
from drawable import PLANE
from looks import assert_good

from structlat_jax.envs.base import Plane
from structlat_jax.report.plane.panels import PriorPanel, prior_panels
from structlat_jax.report.plane.reached import reached

H, RADIUS = 5, PLANE.radius


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def prior_panel(rng, label, episodes=7, goals=3, note="a note"):
    angle = np.pi * rng.uniform(size=goals)
    place = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return PriorPanel(label, np.cumsum(rng.normal(0, 0.2, (episodes, H + 1, 2)), 1), place, note)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_prior_panels(rng, tmp_path, count):
    panels = [prior_panel(rng, f"dir:{i + 1}x4") for i in range(count)]
    figure = prior_panels(panels, PLANE)
    assert_good(figure, tmp_path / "figure.png")
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert len(titles) == count
    assert titles[0].startswith("dir:1x4\n7 episodes reach")
    assert titles[0].endswith("\na note")


def test_reached_goals_are_counted_and_filled():
    path = np.linspace([0.0, 0.0], [1.0, 0.0], H + 1)
    goals = np.array([[1.0, 0.19], [1.0, 0.21], [-1.0, 0.0], [0.6, 0.0]])
    np.testing.assert_array_equal(reached(path[None], goals, RADIUS), [True, False, False, True])
    figure = prior_panels([PriorPanel("gau:1", path[None], goals)], PLANE)
    assert figure.axes[0].get_title() == "gau:1\n1 episode reaches 2 of 4 test goals (50%)"
    white = [len(x.get_xdata()) for x in figure.axes[0].lines if x.get_mfc() == "white"]
    assert white == [2]


def test_the_start_does_not_reach_a_goal():
    still = np.zeros((1, H + 1, 2))
    away = np.concatenate([still[:, :1], still[:, 1:] + 1.0], axis=1)
    goal = np.zeros((1, 2))
    assert reached(still, goal, RADIUS).all()
    assert not reached(away, goal, RADIUS).any()


@pytest.mark.parametrize("goals", [True, False])
def test_without_a_radius_nothing_is_reached(rng, tmp_path, goals):
    panel = prior_panel(rng, "gau:1")
    panel = panel if goals else panel._replace(goals=None)
    figure = prior_panels([panel, panel], Plane(project=None))
    assert_good(figure, tmp_path / "figure.png")
    assert figure.axes[0].get_title() == "gau:1\n7 episodes\na note"
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert ("goal" in words) == goals
    assert "goal reached" not in words


def test_a_wrong_shape_raises(rng):
    with pytest.raises(ValueError, match=r"goals must be \[T, 2\], not \[2\]"):
        prior_panels([prior_panel(rng, "a")._replace(goals=np.ones(2))], PLANE)
    with pytest.raises(ValueError, match="at least one panel"):
        prior_panels([], PLANE)
