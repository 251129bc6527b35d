"""Points on the simplex, and what a sweep of z looks like."""

import numpy as np
import pytest
from looks import assert_clear, assert_good

from structlat_jax.report import figures_map, figures_simplex, figures_sweep
from structlat_jax.report.figures_sweep import Sweep

E, H = 6, 5


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
    figure = figures_simplex.simplex(names, beliefs, rng.uniform(size=tasks), title="title")
    assert_clear(figure, tmp_path / "figure.png")
    titled = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in titled] == names
    for ax, belief in zip(titled, beliefs, strict=True):
        steps = np.array(ax.collections[0].get_segments()).reshape(tasks, E - 1, 2, 2)
        np.testing.assert_allclose(steps[:, :, 0], figures_simplex.barycentric(belief)[:, :-1])
        np.testing.assert_allclose(steps[:, :, 1], figures_simplex.barycentric(belief)[:, 1:])
        written = [text.get_text() for text in ax.texts]
        assert written == [str(k + 1) for k in range(belief.shape[-1])] + [
            str(task + 1) for task in range(tasks)
        ]


@pytest.mark.parametrize("inward", [True, False])
def test_discs_of_one_place_are_set_apart(inward):
    placed = figures_map.apart(np.full((12, 2), 0.7), 0.1, inward)
    gaps = np.linalg.norm(placed[:, None] - placed, axis=-1) + np.eye(12)
    assert gaps.min() >= 0.0999
    np.testing.assert_allclose(placed[0], 0.7)
    second = np.linalg.norm(placed[1]) < np.linalg.norm(placed[0])
    assert second == inward
    alone = np.array([[0.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(figures_map.apart(alone, 0.1, inward), alone)


@pytest.mark.parametrize("classes", [(), (4, 4), (3,)])
@pytest.mark.parametrize("numbers", [0, 1, 5])
def test_sweep(rng, tmp_path, classes, numbers):
    sweeps = [
        Sweep(f"weights {i}", np.eye(k).repeat(2, axis=0), paths(rng, 2 * k))
        for i, k in enumerate(classes)
    ]
    sweeps += [Sweep(f"number {i}", np.linspace(-2, 2, 9), paths(rng, 9)) for i in range(numbers)]
    if not sweeps:
        with pytest.raises(ValueError, match="at least one sweep"):
            figures_sweep.sweep(sweeps)
        return
    figure = figures_sweep.sweep(sweeps, title="title")
    assert_good(figure, tmp_path / "figure.png")
    assert [ax.get_title() for ax in figure.axes if ax.get_title()] == [s.title for s in sweeps]
    bars = [ax for ax in figure.axes if ax.get_ylabel() == "value of the number"]
    assert len(bars) == (numbers > 0)
    words = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    most = max(classes, default=0)
    assert words == [f"class {k + 1} alone" for k in range(most)] + ["start"]


def paths(rng, count):
    return np.cumsum(rng.normal(0, 0.2, (count, H + 1, 2)), axis=1)


def test_a_mixture_has_the_mixed_colour():
    red_and_blue = figures_sweep.blend(np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]))
    np.testing.assert_allclose(red_and_blue[2], red_and_blue[:2].mean(axis=0))


def test_a_wrong_shape_raises(rng):
    with pytest.raises(ValueError, match=r"belief must be \[T=3, E, K\], not \[2, 6, 4\]"):
        figures_simplex.simplex(["a"], [np.ones((2, E, 4))], np.ones(3))
    with pytest.raises(ValueError, match="one array per name"):
        figures_simplex.simplex(["a", "b"], [np.ones((2, E, 4))], np.ones(2))
    with pytest.raises(ValueError, match=r"values must be \[N=4\], not \[3\]"):
        figures_sweep.sweep([Sweep("a", np.ones(3), paths(rng, 4))])
    with pytest.raises(ValueError, match=r"paths must be \[N, P, 2\]"):
        figures_sweep.sweep([Sweep("a", np.ones(3), np.ones((3, H, 3)))])
