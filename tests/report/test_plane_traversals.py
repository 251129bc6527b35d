"""What a traversal of z looks like."""

import numpy as np
import pytest
from drawable import PLANE
from looks import assert_good

from structlat_jax.envs.base import Plane
from structlat_jax.report.plane.traversals import Traversal, blend, draw

H = 5


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("classes", [(), (4, 4), (3,)])
@pytest.mark.parametrize("numbers", [0, 1, 5])
def test_traversals(rng, tmp_path, classes, numbers):
    traversals = [
        Traversal(f"weights {i}", np.eye(k).repeat(2, axis=0), paths(rng, 2 * k))
        for i, k in enumerate(classes)
    ]
    traversals += [
        Traversal(f"number {i}", np.linspace(-2, 2, 9), paths(rng, 9)) for i in range(numbers)
    ]
    if not traversals:
        with pytest.raises(ValueError, match="at least one traversal"):
            draw(traversals, PLANE)
        return
    figure = draw(traversals, PLANE, "title")
    assert_good(figure, tmp_path / "figure.png")
    assert [ax.get_title() for ax in figure.axes if ax.get_title()] == [s.title for s in traversals]
    bars = [ax for ax in figure.axes if ax.get_ylabel() == "value of the number"]
    assert len(bars) == (numbers > 0)
    words = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    most = max(classes, default=0)
    assert words == [f"class {k + 1} alone" for k in range(most)] + ["start"]


def paths(rng, count):
    return np.cumsum(rng.normal(0, 0.2, (count, H + 1, 2)), axis=1)


def test_a_mixture_has_the_mixed_colour():
    red_and_blue = blend(np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]))
    np.testing.assert_allclose(red_and_blue[2], red_and_blue[:2].mean(axis=0))


@pytest.mark.parametrize("scale", [1e-3, 500.0])
def test_discs_go_with_the_size_of_the_plane(rng, tmp_path, scale):
    ends = np.zeros((4, H + 1, 2))
    ends[:, 1:] = scale
    figure = draw([Traversal("weights", np.eye(4), ends)], Plane(project=None))
    assert_good(figure, tmp_path / "figure.png")
    discs = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    places = np.array([[*line.get_xdata(), *line.get_ydata()] for line in discs])
    assert len(np.unique((places / scale).round(3), axis=0)) == 4
    box = np.stack([figure.axes[0].get_xlim(), figure.axes[0].get_ylim()])
    inside = 0.025 * np.ptp(box[0])  # half a disc
    x, y = places.reshape(4, 2, -1).mean(axis=-1).T
    assert np.all((x > box[0, 0] + inside) & (x < box[0, 1] - inside))
    assert np.all((y > box[1, 0] + inside) & (y < box[1, 1] - inside))


def test_values_of_several_numbers_have_the_colours_of_their_order(rng, tmp_path):
    figure = draw([Traversal("on a sphere", None, paths(rng, 9))], PLANE)
    assert_good(figure, tmp_path / "figure.png")
    assert len(np.unique(figure.axes[0].collections[0].get_colors(), axis=0)) == 9
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["first to last value", "start"]


def test_a_wrong_shape_raises(rng):
    with pytest.raises(ValueError, match=r"values must be \[N=4\], not \[3\]"):
        draw([Traversal("a", np.ones(3), paths(rng, 4))], PLANE)
    with pytest.raises(ValueError, match=r"paths must be \[N, P, 2\]"):
        draw([Traversal("a", np.ones(3), np.ones((3, H, 3)))], PLANE)
