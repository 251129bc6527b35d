"""Points on the simplex, and discs that are set apart."""

import numpy as np
import pytest
from looks import assert_clear

from structlat_jax.report import figures_marks, figures_simplex

E = 6


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("classes", [2, 3, 4, 7])
def test_corners_are_a_regular_polygon(classes):
    at = figures_simplex.corners(classes)
    np.testing.assert_allclose(at.sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(at, axis=1), 1.0)
    edges = np.linalg.norm(at - np.roll(at, 1, axis=0), axis=1)
    np.testing.assert_allclose(edges, 2 * np.sin(np.pi / classes))
    if classes > 2:  # on a flat base
        lowest = np.sort(at[:, 1])[:2]
        np.testing.assert_allclose(lowest[0], lowest[1])
    with pytest.raises(ValueError, match="at least 2"):
        figures_simplex.corners(1)


def test_barycentric_maps_classes_to_corners_and_even_weights_to_the_centre():
    at = figures_simplex.corners(5)
    np.testing.assert_allclose(figures_simplex.barycentric(np.eye(5)), at)
    even = figures_simplex.barycentric(np.full((2, 3, 5), 0.2))
    np.testing.assert_allclose(even, np.zeros((2, 3, 2)), atol=1e-12)


@pytest.mark.parametrize("tasks", [1, 10])
@pytest.mark.parametrize("classes", [(2,), (4, 4), (2, 2, 3, 5, 10)])
def test_simplex(rng, tmp_path, classes, tasks):
    beliefs = [rng.dirichlet(np.ones(k), (tasks, E)) for k in classes]
    names = [f"variable {i}" for i in range(len(classes))]
    label = rng.uniform(size=tasks)
    figure = figures_simplex.simplex(names, beliefs, label, "mass", "title")
    assert_clear(figure, tmp_path / "figure.png")
    bars = {ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()} - {"task"}
    flat = any(count <= 3 for count in classes)
    assert bars == ({"mass of the task", "episodes of context"} if flat else set())
    titled = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in titled] == names
    for ax, belief in zip(titled, beliefs, strict=True):
        if belief.shape[-1] > 3:
            assert_layers(ax, belief, np.argsort(-label))
            continue
        steps = np.array(ax.collections[0].get_segments()).reshape(tasks, E - 1, 2, 2)
        np.testing.assert_allclose(steps[:, :, 0], figures_simplex.barycentric(belief)[:, :-1])
        np.testing.assert_allclose(steps[:, :, 1], figures_simplex.barycentric(belief)[:, 1:])
        written = [text.get_text() for text in ax.texts]
        assert written == [str(k + 1) for k in range(belief.shape[-1])] + [
            str(task + 1) for task in range(tasks)
        ]


def assert_layers(ax, belief, order):
    """A bar per task with a layer per class, sorted; and where those of the prior meet."""
    widths = np.array([bar.get_width() for bar in ax.patches]).reshape(belief.shape[-1], -1)
    np.testing.assert_allclose(widths.T, belief[order, -1])
    assert [text.get_text() for text in ax.get_yticklabels()] == [str(i + 1) for i in order]
    edges = [line.get_xdata()[0] for line in ax.lines]
    np.testing.assert_allclose(edges, np.cumsum(belief[:, 0].mean(axis=0))[:-1])


def test_of_many_tasks_some_are_shown_with_their_numbers(rng, tmp_path):
    belief = rng.dirichlet(np.ones(3), (90, E))
    figure = figures_simplex.simplex(["a"], [belief], np.arange(90))
    assert_clear(figure, tmp_path / "figure.png")
    numbers = [text.get_text() for text in figure.axes[0].texts][3:]
    assert (len(numbers), numbers[0], numbers[-1]) == (20, "1", "90")
    assert "20 of 90 tasks" in figure.legends[0].get_title().get_text()
    bars = [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]
    assert bars == ["episodes of context"]  # the labels only count the tasks


@pytest.mark.parametrize("inward", [True, False])
def test_discs_of_one_place_are_set_apart(inward):
    placed = figures_marks.apart(np.full((12, 2), 0.7), 0.1, inward)
    gaps = np.linalg.norm(placed[:, None] - placed, axis=-1) + np.eye(12)
    assert gaps.min() >= 0.0999
    np.testing.assert_allclose(placed[0], 0.7)
    second = np.linalg.norm(placed[1]) < np.linalg.norm(placed[0])
    assert second == inward
    alone = np.array([[0.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(figures_marks.apart(alone, 0.1, inward), alone)


def test_a_wrong_shape_raises():
    with pytest.raises(ValueError, match=r"belief must be \[T=3, E, K\], not \[2, 6, 4\]"):
        figures_simplex.simplex(["a"], [np.ones((2, E, 4))], np.ones(3))
    with pytest.raises(ValueError, match="one array per name"):
        figures_simplex.simplex(["a", "b"], [np.ones((2, E, 4))], np.ones(2))
