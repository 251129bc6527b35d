"""Several runs in one picture: lines, bands and the oracle."""

import numpy as np
import pytest
from looks import assert_good
from matplotlib.collections import PolyCollection

from structlat_jax.report import figures_compare
from structlat_jax.report.figures_compare import Curve

P = 6
LIFTS = {"far": 0.0, "near": 2.8, "best": 3.0, "nearer": 2.9}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def curve(rng, label, seeds, points=P, oracle=13.0):
    x = np.arange(1, points + 1)
    return Curve(label, x, rng.uniform(0, 12, (seeds, points)), oracle, 0.0)


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
    bands = [c for c in ax.collections if isinstance(c, PolyCollection)]
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


def test_negative_returns_and_an_oracle_that_not_all_know(rng, tmp_path):
    curves = [
        curve(rng, name, 3, oracle=oracle)._replace(floor=-80.0)
        for name, oracle in (("a", None), ("b", -5.0))
    ]
    curves = [one._replace(returns=one.returns * 5 - 80) for one in curves]
    figure = figures_compare.adaptation_curves(curves, [2, 2])
    assert_good(figure, tmp_path / "figure.png")
    ax = figure.axes[0]
    assert ax.get_ylim()[1] < -5
    assert not ax.child_axes
    assert not any("oracle" in str(line.get_label()) for line in ax.lines)


def test_every_seed_is_inside():
    far = np.array([[-80.0] * P, [-20.0] * P])
    ax = figures_compare.learning_curves([Curve("a", np.arange(P), far)]).axes[0]
    low, high = ax.get_ylim()
    assert low < -80
    assert high > -20


@pytest.mark.parametrize("prior", [[0, 0], [2, 2], [1, 3]])
def test_adaptation_curves(rng, tmp_path, prior):
    curves = [curve(rng, "gau:5", 3), curve(rng, "dir:2x4", 3)]
    figure = figures_compare.adaptation_curves(curves, prior)
    assert_good(figure, tmp_path / "figure.png")
    ax = figure.axes[0]
    shaded = [patch.get_width() for patch in ax.patches]
    assert shaded == ([max(prior)] if max(prior) else [])
    assert ("z from prior" in {text.get_text() for text in ax.texts}) == (max(prior) > 0)


def test_differences_are_paired_and_to_the_best(rng, tmp_path):
    base = rng.uniform(0, 1, (4, P))
    curves = [Curve(name, np.arange(1, P + 1), base + more) for name, more in LIFTS.items()]
    curves[0] = curves[0]._replace(reported=2.0)
    figure = figures_compare.adaptation_curves(curves, [2] * 4)
    assert_good(figure, tmp_path / "figure.png")
    top, below = figure.axes[:2]
    assert below.get_ylabel() == "difference to\nbest"
    levels = [line.get_ydata() for line in below.lines]
    expected = [np.full(P, lift - 3.0) for lift in LIFTS.values() if lift != 3.0]
    for found, wanted in zip(levels, expected, strict=False):
        np.testing.assert_allclose(found, wanted, atol=1e-9)
    marked = [line for line in top.lines if line.get_marker() == "<"]
    assert [line.get_ydata()[0] for line in marked] == [2.0]
    assert "as published" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert below.get_ylim() == pytest.approx((-0.32, 0.32))  # the far one is out of its scale
    styles = {line.get_linestyle() for line in top.lines if line.get_label() in LIFTS}
    assert len(styles) >= 2  # for whoever sees no colours
    others = [curves[0], curves[1]._replace(returns=base[:2])]
    assert len(figures_compare.adaptation_curves(others, [2, 2]).axes) == 1  # not paired


def test_a_wrong_shape_raises(rng):
    good = curve(rng, "a", 2)
    with pytest.raises(ValueError, match=r"returns must be \[S, P=6\], not \[2, 5\]"):
        figures_compare.learning_curves([good, good._replace(returns=np.ones((2, 5)))])
    with pytest.raises(ValueError, match="at least one curve"):
        figures_compare.learning_curves([])
    with pytest.raises(ValueError, match="one per curve"):
        figures_compare.adaptation_curves([good], [])
