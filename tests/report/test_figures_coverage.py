"""How many tasks are reached: means, intervals, and what the legend says of them."""

import numpy as np
import pytest
from looks import assert_good

from structlat_jax.report.figures_coverage import Coverage, prior_coverage
from structlat_jax.report.figures_style import interval


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def reaching(rng, label, seeds, episodes=5):
    return Coverage(label, np.sort(rng.uniform(size=(seeds, episodes)), axis=1))


@pytest.mark.parametrize("episodes", [1, 5, 20])
@pytest.mark.parametrize("seeds", [1, 2, 8])
def test_prior_coverage(rng, tmp_path, seeds, episodes):
    agents = [reaching(rng, f"gau:{i}", seeds, episodes) for i in range(3)]
    figure = prior_coverage(agents, "family")
    assert_good(figure, tmp_path / "figure.png")
    ax = figure.axes[0]
    assert len(ax.containers) == 3
    for one, drawn in zip(agents, ax.containers, strict=True):
        line, _, bars = drawn
        mean, half = interval(one.reached)
        np.testing.assert_allclose(line.get_ydata(), mean)
        np.testing.assert_array_less(np.abs(line.get_xdata() - np.arange(1, episodes + 1)), 0.5)
        if seeds > 2:
            ends = np.array(bars[0].get_segments())[:, :, 1]
            np.testing.assert_allclose(ends[:, 0], np.maximum(mean - half, 0.0))
            np.testing.assert_allclose(ends[:, 1], np.minimum(mean + half, 1.0))
        assert bool(bars) == (seeds > 2)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (1, "one seed"),
        (2, "dot: mean over seeds (2); dashes: each seed"),
        (3, "dot: mean over seeds (3); bars: its 95% t-interval"),
    ],
)
def test_the_note_says_what_is_drawn(rng, seeds, said):
    figure = prior_coverage([reaching(rng, "a", seeds)])
    assert figure.legends[0].get_title().get_text() == said


def test_a_wrong_shape_raises():
    with pytest.raises(ValueError, match=r"reached must be \[S, P\], not \[5\]"):
        prior_coverage([Coverage("a", np.ones(5))])
    with pytest.raises(ValueError, match="at least one agent"):
        prior_coverage([])
