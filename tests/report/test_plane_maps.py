"""The maps: made for every plane that occurs, with and without goals, inside their borders."""

import dataclasses

import matplotlib
import numpy as np
import pytest
from drawable import PLANE
from looks import assert_good

from structlat_jax.envs.base import Plane
from structlat_jax.report.plane import map as maps
from structlat_jax.report.plane import paths
from structlat_jax.report.plane.reached import reached

E, H = 6, 5
PATH = "path (colour: final direction)"
BARE = Plane(project=None)
WIDE = Plane(project=None, radius=30.0, units="km", outline=np.array([[0.0, 0.0], [900.0, 40.0]]))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def goals_of(weight):
    return np.stack([np.cos(np.pi * weight), np.sin(np.pi * weight)], -1).astype(np.float32)


def walks(rng, *axes, scale=0.1):
    return np.cumsum(rng.normal(0, scale, (*axes, H + 1, 2)), axis=-2)


def words(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("tasks", [1, 10])
def test_task_map_counts_every_goal(rng, tmp_path, tasks):
    train, test = goals_of(rng.dirichlet([0.2, 0.2], 30)[:, 0]), goals_of(np.ones(tasks))
    figure = paths.task_map(train, test, PLANE)
    assert_good(figure, tmp_path / "figure.png")
    heights = [sum(bar.get_height() for bar in ax.patches) for ax in figure.axes[2:]]
    assert heights == [30, tasks]
    assert words(figure) == ["goal", "success is paid (0.2 m)", "start"]


@pytest.mark.parametrize("plane", [BARE, WIDE])
def test_task_map_of_another_plane(rng, tmp_path, plane):
    train, test = rng.uniform(-400, 400, (30, 2)), rng.uniform(-400, 400, (10, 2))
    figure = paths.task_map(train, test, plane, starts=np.array([[50.0, 50.0]]))
    assert_good(figure, tmp_path / "figure.png")
    assert figure.axes[0].get_ylabel() == ("y (km)" if plane.units else "y")
    assert ("success is paid (30 km)" in words(figure)) == (plane.radius > 0)


def test_a_goal_at_180_degrees_is_not_at_minus_180():
    rounded = np.array([[-1.0, -8.7e-8], [1.0, -8.7e-8], [0.0, -1.0]])
    np.testing.assert_allclose(maps.angles(rounded), [180.0, 0.0, -90.0])


@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_prior_paths_are_all_inside_the_map(rng, tmp_path, scale):
    walked = walks(rng, 8, scale=scale)
    goals = goals_of(np.array([0.1, 0.5, 0.9]))
    figure = paths.prior_paths(walked, PLANE, goals, "gau:5", "and so on")
    assert_good(figure, tmp_path / "figure.png")
    (x_low, x_high), (y_low, y_high) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert np.all((walked > [x_low, y_low]) & (walked < [x_high, y_high]))
    assert words(figure) == ["goal reached", "not reached", "start", PATH]
    found = reached(walked, goals, PLANE.radius)
    said = f"8 episodes reach {found.sum()} of 3 test goals ({found.mean():.0%})\nand so on"
    assert figure.axes[0].get_title() == said


@pytest.mark.parametrize("plane", [BARE, WIDE])
@pytest.mark.parametrize("scale", [(1e-3, 1e-3), (100.0, 0.0), (0.0, 5.0), (0.0, 0.0)])
def test_paths_alone_are_a_map(rng, tmp_path, plane, scale):
    """Without goals, and of whatever size and shape, a still one among them."""
    walked = walks(rng, 8, scale=1.0) * scale
    figure = paths.prior_paths(walked, plane)
    assert_good(figure, tmp_path / "figure.png")
    assert words(figure) == ["start", PATH]
    figure = paths.adaptation_paths(walked[None], np.full((1, 8), -3.0), 2, plane)
    assert_good(figure, tmp_path / "other.png")


@pytest.mark.parametrize("tasks", [1, 3, 7, 10])
def test_adaptation_paths(rng, tmp_path, tasks):
    path = walks(rng, tasks, E)
    returns, oracle = np.full((tasks, E), 6.5), np.full(tasks, 13.0)
    goals = goals_of((np.arange(tasks) + 0.5) / tasks)
    figure = paths.adaptation_paths(
        path, returns, 2, PLANE, goals, oracle, np.zeros(tasks), title="dir:2x4"
    )
    assert_good(figure, tmp_path / "figure.png")
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == [f"{i + 1}: 6.5 / 13.0 (50%)" for i in range(tasks)]


@pytest.mark.parametrize(
    ("oracle", "floor", "said"),
    [
        (None, -80.0, "1: -20.0"),
        (-5.0, -80.0, "1: -20.0 / -5.0 (80%)"),
        (-90.0, -80.0, "1: -20.0 / -90.0"),
    ],
)
def test_a_score_counts_from_the_floor(rng, oracle, floor, said):
    known = None if oracle is None else np.array([oracle])
    returns = np.linspace(-80, -20, E)[None]
    figure = paths.adaptation_paths(
        walks(rng, 1, E), returns, 2, BARE, oracle=known, floor=np.array([floor])
    )
    assert figure.axes[0].get_title() == said
    assert ("oracle" in figure.get_suptitle()) == (oracle is not None)


def test_of_many_tasks_some_are_shown(rng, tmp_path):
    figure = paths.adaptation_paths(walks(rng, 90, E), np.zeros((90, E)), 2, BARE)
    assert_good(figure, tmp_path / "figure.png")
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert (len(titles), titles[0], titles[-1]) == (20, "1: 0.0", "90: 0.0")
    assert "20 of 90 tasks" in figure.get_suptitle()


def test_prior_episodes_have_the_colour_of_no_context(rng):
    path = rng.normal(0, 0.1, (1, E, H + 1, 2))
    figure = paths.adaptation_paths(path, np.ones((1, E)), 3, PLANE, np.ones((1, 2)))
    colours = figure.axes[0].collections[0].get_colors()
    assert len(np.unique(colours, axis=0)) == 1 + (E - 3)
    np.testing.assert_array_equal(colours[:3], np.tile(colours[0], (3, 1)))
    assert colours[0][0] > colours[0][2]  # orange, and the others blue
    assert np.all(colours[3:, 0] < colours[3:, 2])
    darkness = colours[3:, :3].sum(axis=1)
    assert np.all(np.diff(darkness) < 0)


def test_goals_in_one_place_share_a_panel_and_labels_sort_them(rng):
    goals = goals_of(np.array([0.0, 0.5, 0.001, 1.0, 0.002]))
    returns, label = np.tile(np.arange(5.0)[:, None], E), np.array([0.0, 0.5, 0.001, 1.0, 0.002])
    figure = paths.adaptation_paths(
        walks(rng, 5, E), returns, 2, PLANE, goals, np.full(5, 8.0), label=label
    )
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["4: 3.0 / 8.0 (38%)", "2: 1.0 / 8.0 (12%)", "5, 3 + 1: 2.0 / 8.0 (25%)"]
    assert "of 5 tasks" not in figure.get_suptitle()


def test_directions_of_a_whole_turn_differ(rng):
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ends = 3.0 * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    straight = np.linspace(np.zeros(2), ends, H + 1, axis=1)
    found = paths.prior_paths(straight, BARE).axes[0].collections[0].get_colors()
    assert len(np.unique(found.round(3), axis=0)) == 8
    half = paths.prior_paths(straight, PLANE).axes[0].collections[0].get_colors()
    np.testing.assert_allclose(half[0, :3], matplotlib.colormaps["viridis"](0.0)[:3])


def test_limits_hold_outline_points_and_discs():
    (x_low, x_high), (y_low, y_high) = maps.limits(PLANE, np.array([[0.0, -0.5], [np.nan, 9.0]]))
    assert x_low < -1.2
    assert x_high > 1.2
    assert y_low < -0.7
    assert 1.2 < y_high < 2.0


def test_every_start_is_marked_once():
    walked = np.zeros((4, 3, H + 1, 2))
    walked[2:, :, 0] = 0.5
    np.testing.assert_array_equal(maps.starts_of(walked), [[0.0, 0.0], [0.5, 0.5]])


def test_a_wrong_shape_raises():
    with pytest.raises(ValueError, match="test_goals"):
        paths.task_map(np.ones((3, 2)), np.ones((0, 2)), PLANE)
    with pytest.raises(ValueError, match=r"goals must be \[2, 2\], not \[3, 2\]"):
        paths.adaptation_paths(np.ones((2, E, H, 2)), np.ones((2, E)), 2, PLANE, np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"returns must be \[2, 6\], not \[2, 5\]"):
        paths.adaptation_paths(np.ones((2, E, H, 2)), np.ones((2, 5)), 2, PLANE)


def test_planes_are_records():
    assert dataclasses.replace(PLANE, radius=0.0).outline is PLANE.outline
