"""What every figure must be: not blank, nothing cut off, nothing covered by a legend."""

import matplotlib.image
import numpy as np

from structlat_jax.report import figures_style


def assert_clear(figure, path):
    """The file exists, is not blank, nothing is cut off or covered by a legend."""
    saved = matplotlib.image.imread(figures_style.save(figure, path))
    # Saving laid the figure out; ink on the border would be something that is cut off.
    border = np.concatenate([saved[0], saved[-1], saved[:, 0], saved[:, -1]])
    assert saved[..., :3].std() > 0.02
    assert np.all(border[:, :3] == 1.0)
    boxes = [ax.get_tightbbox() for ax in shown(figure)]
    for legend in figure.legends:
        inside = legend.get_window_extent().padded(-4)  # its margin is empty and has no frame
        assert not any(inside.overlaps(box) for box in boxes)


def assert_good(figure, path):
    """`assert_clear`, and its axes are labelled."""
    assert_clear(figure, path)
    assert any(ax.get_xlabel() for ax in shown(figure))
    assert any(ax.get_ylabel() for ax in shown(figure))


def shown(figure):
    """The axes that can be seen."""
    return [ax for ax in figure.axes if ax.get_visible()]
