"""Blocks by factors: every number is there, in a colour on which it can be read."""

import numpy as np
import pytest
from looks import assert_good

from structlat_jax.report.figures_matrix import Matrix, blocks_by_factor

MATRICES = [
    Matrix("gau:3", ["gau:3"], [[0.86, -0.02]]),
    Matrix("dir:1x3,gau:1", ["dir:1x3", "gau:1"], [[0.9, -1.03], [np.nan, 0.55]]),
]
FACTORS = ["mixture", "gain"]


@pytest.mark.parametrize("count", [1, 2])
def test_numbers_and_names(tmp_path, count):
    figure = blocks_by_factor(MATRICES[:count], FACTORS, "family")
    assert_good(figure, tmp_path / "figure.png")
    written = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    expected = [["0.86", "-0.02"], ["0.90", "-1.03", "-", "0.55"]][:count]
    assert written == [*expected, []]  # the last axes are the bar of colours
    for ax, one in zip(figure.axes, MATRICES[:count], strict=False):
        assert ax.get_title(loc="left") == one.title
        assert [label.get_text() for label in ax.get_yticklabels()] == one.blocks
        rows = [text.get_position()[1] for text in ax.texts]
        assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first block is on top
        assert sorted(rows) == rows
    labels = [label.get_text() for label in figure.axes[count - 1].get_xticklabels()]
    assert labels == FACTORS


def test_light_on_dark_and_dark_on_light():
    ax = blocks_by_factor(MATRICES[:1], FACTORS).axes[0]
    light, dark = (text.get_color() for text in ax.texts)
    assert (light, dark) == ("#333333", "white")


def test_a_wrong_shape_raises():
    with pytest.raises(ValueError, match=r"scores must be \[1, 2\], not \[1, 3\]"):
        blocks_by_factor([MATRICES[0]._replace(scores=np.ones((1, 3)))], FACTORS)
    with pytest.raises(ValueError, match="at least one matrix and one factor"):
        blocks_by_factor([], FACTORS)
    with pytest.raises(ValueError, match="at least one matrix and one factor"):
        blocks_by_factor(MATRICES, [])
