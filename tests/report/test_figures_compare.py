"""Several runs in one picture: lines, bands, the oracle, and agents with z from the prior."""

import numpy as np
import pytest
from looks import assert_good
from matplotlib.collections import FillBetweenPolyCollection

from structlat_jax.report import figures_compare, figures_paper
from structlat_jax.report.figures_compare import Curve
from structlat_jax.report.figures_paper import PriorPanel

P, H, RADIUS = 6, 5, 0.2


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def curve(rng, label, seeds, points=P, oracle=13.0):
    x = np.arange(1, points + 1)
    return Curve(label, x, rng.uniform(0, 12, (seeds, points)), oracle)


@pytest.mark.parametrize("seeds", [[1], [2, 2], [3, 1, 10], [4] * 9])
def test_learning_curves(rng, tmp_path, seeds):
    curves = [curve(rng, f"gau:{i}", count, P + i) for i, count in enumerate(seeds)]
    figure = figures_compare.learning_curves(curves)
    assert_good(figure, tmp_path / "figure.png")
    ax = figure.axes[0]
    drawn = {line.get_label(): line for line in ax.lines}
    assert "oracle" in drawn
    for one in curves:
        np.testing.assert_allclose(drawn[one.label].get_ydata(), one.returns.mean(axis=0))
        np.testing.assert_allclose(drawn[one.label].get_xdata(), one.x / 1000.0)
    bands = [c for c in ax.collections if isinstance(c, FillBetweenPolyCollection)]
    assert len(bands) == sum(count >= 3 for count in seeds)
    thin = sum(count for count in seeds if count == 2)
    assert len(ax.lines) == len(curves) + thin + 1


def test_the_note_says_what_is_drawn(rng):
    def note(*seeds):
        curves = [curve(rng, str(i), count) for i, count in enumerate(seeds)]
        return figures_compare.learning_curves(curves).legends[0].get_title().get_text()

    assert note(1, 1) == "one seed"
    assert note(2) == "line: mean over seeds (2); thin: each of two seeds"
    assert note(10, 3) == "line: mean over seeds (3 to 10); band: its 95% t-interval"


def test_different_oracles_are_averaged_and_it_says_so(rng):
    curves = [curve(rng, "a", 2, oracle=12.0), curve(rng, "b", 2, oracle=14.0)]
    ax = figures_compare.learning_curves(curves).axes[0]
    (line,) = [line for line in ax.lines if "oracle" in str(line.get_label())]
    assert line.get_label() == "oracle (mean over the runs)"
    np.testing.assert_allclose(line.get_ydata(), 13.0)


@pytest.mark.parametrize("prior", [[0, 0], [2, 2], [1, 3]])
def test_adaptation_curves(rng, tmp_path, prior):
    curves = [curve(rng, "gau:5", 3), curve(rng, "dir:2x4", 3)]
    figure = figures_compare.adaptation_curves(curves, prior)
    assert_good(figure, tmp_path / "figure.png")
    ax = figure.axes[0]
    shaded = [patch.get_width() for patch in ax.patches]
    assert shaded == ([max(prior)] if max(prior) else [])
    assert ("z from prior" in {text.get_text() for text in ax.texts}) == (max(prior) > 0)


def prior_panel(rng, label, episodes=7, goals=3, note="a note"):
    angle = np.pi * rng.uniform(size=goals)
    place = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return PriorPanel(label, np.cumsum(rng.normal(0, 0.2, (episodes, H + 1, 2)), 1), place, note)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_prior_panels(rng, tmp_path, count):
    panels = [prior_panel(rng, f"dir:{i + 1}x4") for i in range(count)]
    figure = figures_paper.prior_panels(panels, RADIUS)
    assert_good(figure, tmp_path / "figure.png")
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert len(titles) == count
    assert titles[0].startswith("dir:1x4\n7 episodes reach")
    assert titles[0].endswith("\na note")


def test_reached_goals_are_counted_and_filled():
    path = np.linspace([0.0, 0.0], [1.0, 0.0], H + 1)
    goals = np.array([[1.0, 0.19], [1.0, 0.21], [-1.0, 0.0], [0.6, 0.0]])
    np.testing.assert_array_equal(
        figures_paper.reached(path[None], goals, RADIUS), [True, False, False, True]
    )
    figure = figures_paper.prior_panels([PriorPanel("gau:1", path[None], goals)], RADIUS)
    assert figure.axes[0].get_title() == "gau:1\n1 episode reaches 2 of 4 test goals (50%)"
    white = [len(x.get_xdata()) for x in figure.axes[0].lines if x.get_mfc() == "white"]
    assert white == [2]


def test_the_start_does_not_reach_a_goal():
    still = np.zeros((1, H + 1, 2))
    away = np.concatenate([still[:, :1], still[:, 1:] + 1.0], axis=1)
    goal = np.zeros((1, 2))
    assert figures_paper.reached(still, goal, RADIUS).all()
    assert not figures_paper.reached(away, goal, RADIUS).any()


def test_a_wrong_shape_raises(rng):
    good = curve(rng, "a", 2)
    with pytest.raises(ValueError, match=r"returns must be \[S, P=6\], not \[2, 5\]"):
        figures_compare.learning_curves([good, good._replace(returns=np.ones((2, 5)))])
    with pytest.raises(ValueError, match="at least one curve"):
        figures_compare.learning_curves([])
    with pytest.raises(ValueError, match="one per curve"):
        figures_compare.adaptation_curves([good], [])
    with pytest.raises(ValueError, match=r"goals must be \[T, 2\], not \[2\]"):
        figures_paper.prior_panels([prior_panel(rng, "a")._replace(goals=np.ones(2))], RADIUS)
    with pytest.raises(ValueError, match="at least one panel"):
        figures_paper.prior_panels([], RADIUS)
