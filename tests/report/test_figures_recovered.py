"""Recovered weights against true ones: on a line, a triangle, and weight by weight."""

import numpy as np
import pytest
from looks import assert_clear, assert_good

from structlat_jax.report.figures_recovered import Recovered, recovered
from structlat_jax.report.figures_simplex import barycentric

T = 12


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def panel(rng, classes, title="dir:1x3,gau:1\ndir:1x3: classes matched\nR² 0.83 (0.79 to 0.86)"):
    truth = rng.dirichlet(np.full(classes, 0.2), T)
    found = truth + 0.1 * rng.normal(size=truth.shape)
    return Recovered(title, truth, found, np.arange(T) >= 8)


def points(ax, size):
    """The lines of an axes that are ``size`` points without a line between them."""
    return [line for line in ax.lines if line.get_linestyle() == "None" and len(line._x) == size]


@pytest.mark.parametrize("panels", [1, 3, 5])
def test_two_classes_are_points_beside_a_diagonal(rng, tmp_path, panels):
    made = [panel(rng, 2) for _ in range(panels)]
    figure = recovered(made, "mixture", "family", "a note\nof two lines")
    assert_good(figure, tmp_path / "figure.png")
    for ax, one in zip(figure.axes, made, strict=False):
        (seen,), (unseen,) = points(ax, 8), points(ax, 4)
        np.testing.assert_array_equal(seen.get_xydata(), np.c_[one.truth, one.found][:8, [0, 2]])
        np.testing.assert_array_equal(unseen.get_xydata(), np.c_[one.truth, one.found][8:, [0, 2]])
        assert ax.get_ylim() == figure.axes[0].get_ylim()
    assert "a note" in figure.legends[0].get_title().get_text()


@pytest.mark.parametrize("panels", [1, 3])
def test_three_classes_are_joined_with_their_truth(rng, tmp_path, caplog, panels):
    made = [panel(rng, 3) for _ in range(panels)]
    figure = recovered(made, "mixture", "family", "a note\nof two lines")
    assert_clear(figure, tmp_path / "figure.png")
    assert not caplog.records
    top = figure._suptitle.get_window_extent()
    for ax, one in zip(figure.axes, made, strict=True):
        ends = np.concatenate([c.get_segments() for c in ax.collections])
        np.testing.assert_allclose(ends[:, 0], barycentric(one.truth))
        np.testing.assert_allclose(ends[:, 1], barycentric(one.found))
        assert not ax.title.get_window_extent().overlaps(top.padded(-2))
        low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
        assert np.all((ends > low) & (ends < high))


@pytest.mark.parametrize("classes", [4, 6])
@pytest.mark.parametrize("panels", [1, 3])
def test_more_classes_have_a_column_each(rng, tmp_path, panels, classes):
    made = [panel(rng, classes, f"gau:{i}") for i in range(panels)]
    figure = recovered(made, "mixture")
    assert_good(figure, tmp_path / "figure.png")
    axes = np.reshape(figure.axes, (panels, classes))
    for row, one in zip(axes, made, strict=True):
        assert [text.get_text() for text in row[-1].texts] == [one.title]
        for k, ax in enumerate(row):
            (unseen,) = points(ax, 4)
            np.testing.assert_array_equal(unseen.get_ydata(), one.found[8:, k])


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_a_wild_map_does_not_flatten_the_rest(rng, tmp_path, classes):
    one = panel(rng, classes)
    one.found[0] = 50.0
    figure = recovered([one], "mixture")
    assert_clear(figure, tmp_path / "figure.png")
    assert figure.axes[0].get_ylim()[1] < 4


def test_tasks_of_one_kind_only(rng, tmp_path):
    one = panel(rng, 3)._replace(unseen=np.ones(T, bool))
    assert_clear(recovered([one], "mixture"), tmp_path / "figure.png")


def test_a_wrong_shape_raises(rng):
    one = panel(rng, 3)
    with pytest.raises(ValueError, match=r"found must be \[T=12, 3\], not \[11, 3\]"):
        recovered([one._replace(found=one.found[1:])], "mixture")
    with pytest.raises(ValueError, match=r"truth must be \[T, 3\], not \[12, 4\]"):
        recovered([one, panel(rng, 4)], "mixture")
    with pytest.raises(ValueError, match="at least one panel"):
        recovered([], "mixture")
    with pytest.raises(ValueError, match="at least 2, not 1"):
        recovered([panel(rng, 1)], "mixture")
