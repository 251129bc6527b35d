"""The figures: made for every shape that occurs, labelled, inside their borders, saved."""

import matplotlib
import numpy as np
import pytest
from looks import assert_good

from structlat_jax.report import figures_axes, figures_belief, figures_learning, figures_style
from structlat_jax.report.parts import Shown

P, R, E, H = 4, 2, 6, 5
BLOCKS = {
    "gau:1,dir:3x5,cat:1x3": (
        Shown("gau:1", "real", 1, 1),
        Shown("dir:3x5", "simplex", 3, 5),
        Shown("cat:1x3", "simplex", 1, 3),
    ),
    "gau:5": (Shown("gau:5", "real", 5, 1),),
    "cat:2x4": (Shown("cat:2x4", "simplex", 2, 4),),
    "cat:1x10": (Shown("cat:1x10", "simplex", 1, 10),),
    "on a sphere": (Shown("vmf:2x3", "real", 2, 3),),
    "many": (Shown("gau:30", "real", 30, 1),),
}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def learning(rng, seeds, points=P, **changes):
    names = ("test_return", "train_return", "prior_return")
    known = {name: rng.uniform(0, 12, (seeds, points)) for name in names}
    kl = rng.uniform(0, 5, (seeds, points, 2))
    return {
        "updates": np.arange(points) * 1000.0,
        **known,
        "title": "dir:2x4,gau:2",
        "oracle": 13.0,
        "floor": 0.0,
        "kl": kl,
        "block_names": ("dir:2x4", "gau:2"),
        **changes,
    }


@pytest.mark.parametrize(("seeds", "points"), [(1, P), (3, P), (3, 1)])
def test_learning_curve(rng, tmp_path, seeds, points):
    figure = figures_learning.learning_curve(**learning(rng, seeds, points))
    assert_good(figure, tmp_path / "figure.png")
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert labels == ["return of an episode", "KL to prior\n(nats)"]
    assert "thousands" in figure.axes[1].get_xlabel()


def test_learning_curve_draws_the_mean_and_every_seed(rng):
    arguments = learning(rng, 3)
    top = figures_learning.learning_curve(**arguments).axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in top.lines}
    np.testing.assert_allclose(drawn["test tasks"], arguments["test_return"].mean(axis=0))
    assert len(top.lines) == 3 * (1 + 3) + 1  # means, seeds and the oracle
    assert len(top.collections) == 3


def test_learning_curve_without_kl_has_one_panel(rng, tmp_path):
    figure = figures_learning.learning_curve(**learning(rng, 2, kl=None))
    assert_good(figure, tmp_path / "figure.png")
    assert len(figure.axes) == 1
    assert "thousands" in figure.axes[0].get_xlabel()


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(("tasks", "prior_episodes"), [(1, 0), (10, 2), (10, E)])
def test_adaptation_curve(rng, tmp_path, seeds, tasks, prior_episodes):
    returns = rng.uniform(0, 12, (seeds, tasks, R, E))
    oracle = np.full((seeds, tasks), 13.0)
    figure = figures_learning.adaptation_curve(
        *(returns, prior_episodes, "dir:2x4", oracle, 0.0 * oracle)
    )
    assert_good(figure, tmp_path / "figure.png")
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert ("z from prior" in texts) == (prior_episodes > 0)
    assert ("z from posterior" in texts) == (prior_episodes < E)


def percents(ax):
    """The axis on the right, which is a child and no axes of the figure."""
    return [child for child in ax.child_axes if child.get_ylabel() == "% of oracle"]


def test_returns_may_be_negative_and_the_oracle_unknown(rng, tmp_path):
    curve = np.linspace(-80, -20, E) + rng.normal(0, 1, (3, 4, R, E))
    figure = figures_learning.adaptation_curve(curve, 2, floor=np.full((3, 4), -80.0))
    assert_good(figure, tmp_path / "figure.png")
    ax = figure.axes[0]
    low, high = ax.get_ylim()
    assert -90 < low < -80
    assert -20 < high < -10  # and not up to zero
    assert not percents(ax)
    assert [line.get_label() for line in ax.lines].count("untrained") == 1


@pytest.mark.parametrize(
    ("values", "oracle", "floor", "low", "high"),
    [
        ((0.0, 12.0), 13.0, 0.0, 0.0, 13.78),
        ((0.3, 12.0), 13.0, 0.0, 0.0, 13.78),
        ((-80.0, -20.0), None, None, -83.6, -16.4),
        ((-80.0, -20.0), -5.0, -80.0, -84.5, -0.5),
        ((900.0, 1000.0), None, 880.0, 872.8, 1007.2),  # zero is far, and is not shown
        ((900.0, 1000.0), None, 0.0, 894.0, 1006.0),  # so is this floor
        ((5.0, np.nan), None, None, 4.0, 6.0),
        ((np.nan, np.nan), None, None, -1.0, 1.0),
    ],
)
def test_range_of_returns(values, oracle, floor, low, high):
    ax = figures_style.Figure().subplots()
    figures_axes.returns_axis(ax, np.array(values), oracle=oracle, floor=floor)
    assert ax.get_ylim() == pytest.approx((low, high))
    assert len(percents(ax)) == (oracle is not None and floor is not None)


@pytest.mark.parametrize(("oracle", "floor"), [(-80.0, -80.0), (-90.0, -80.0), (5.0, None)])
def test_there_are_percents_only_above_a_floor(oracle, floor):
    ax = figures_style.Figure().subplots()
    figures_axes.returns_axis(ax, np.zeros(2), oracle=oracle, floor=floor)
    assert not percents(ax)


def test_percents_count_from_the_floor():
    ax = figures_style.Figure().subplots()
    figures_axes.returns_axis(ax, np.array([-70.0, -20.0]), oracle=-5.0, floor=-80.0)
    ax.figure.draw_without_rendering()
    (right,) = percents(ax)
    low, high = ax.get_ylim()
    expected = [100 * (end + 80) / 75 for end in (low, high)]
    np.testing.assert_allclose(right.get_ylim(), expected)


def test_a_diverged_seed_leaves_a_gap(rng, tmp_path):
    arguments = learning(rng, 3)
    arguments["test_return"][0, -1] = np.nan
    arguments["train_return"][1, 0] = np.inf
    assert_good(figures_learning.learning_curve(**arguments), tmp_path / "figure.png")


@pytest.mark.parametrize("tasks", [1, 10])
@pytest.mark.parametrize("spec", BLOCKS)
def test_belief(rng, tmp_path, spec, tasks):
    blocks = BLOCKS[spec]
    parts = [
        rng.dirichlet(np.ones(block.size), (tasks, E))
        if block.kind == "simplex"
        else rng.normal(size=(tasks, E, block.size))
        for block in blocks
        for _ in range(block.variables)
    ]
    label = rng.uniform(size=tasks)
    figure = figures_belief.belief(blocks, np.concatenate(parts, -1), label, "mass", 2)
    assert_good(figure, tmp_path / "figure.png")
    columns = sum(1 if block.size == 1 else block.variables for block in blocks)
    assert len(figure.axes) == tasks * columns
    rows = [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]
    order = np.argsort(-label)
    assert rows == [f"task {i + 1}\nmass {label[i]:.3g}" for i in order]
    assert len(figure.legends[0].get_texts()) <= 14


def test_of_many_tasks_some_are_shown(rng, tmp_path):
    blocks, label = BLOCKS["cat:2x4"], np.arange(100.0)
    figure = figures_belief.belief(
        blocks, rng.dirichlet(np.ones(4), (100, E, 2)).reshape(100, E, 8), label
    )
    rows = [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]
    assert rows[0] == "task 1"
    assert rows[-1] == "task 100"
    assert len(rows) == 16
    assert figure.legends[0].get_title().get_text() == "16 of 100 tasks"


def test_belief_stacks_the_weights_up_to_one(rng):
    weights = rng.dirichlet(np.ones(4), (1, E))
    blocks = (Shown("dir:1x4", "simplex", 1, 4),)
    ax = figures_belief.belief(blocks, weights, np.ones(1)).axes[0]
    layers = [patch.get_data() for patch in ax.patches]
    heights = np.stack([layer.values - layer.baseline for layer in layers], -1)
    np.testing.assert_allclose(heights, weights[0], atol=1e-12)
    np.testing.assert_allclose(layers[-1].values, 1.0)


def test_unused_blocks_are_pale_and_the_prior_is_a_reference(rng):
    blocks = (Shown("dir:1x2", "simplex", 1, 2), Shown("gau:1", "real", 1, 1))
    weights = rng.dirichlet(np.ones(2), (2, E))
    belief = np.concatenate([weights, rng.normal(size=(2, E, 1))], axis=-1)
    kl = np.zeros((2, E, 2))
    kl[:, -1] = [0.02, 1.5]
    spread = np.full((2, E, 3), 0.5)
    figure = figures_belief.belief(blocks, belief, np.arange(2), kl=kl, spread=spread)
    unused, used = figure.axes[:2]
    assert unused.get_title() == "dir:1x2\nweights\n0.02 nats: unused"
    assert used.get_title() == "gau:1\nmeans\n1.50 nats"
    assert all(patch.get_alpha() < 0.5 for patch in unused.patches)
    (prior,) = unused.collections[-1].get_segments()
    np.testing.assert_allclose(prior[:, 1], weights[0, 0, 0])
    levels = [line.get_ydata()[0] for line in used.lines[:2]]
    np.testing.assert_allclose(levels, belief[0, 0, 2] + np.array([-0.5, 0.5]))
    (band,) = used.collections
    low, high = band.get_paths()[0].get_extents().intervaly
    assert (low, high) == pytest.approx((belief[0, :, 2].min() - 0.5, belief[0, :, 2].max() + 0.5))
    assert {"prior", "± 1 deviation"} <= {t.get_text() for t in figure.legends[0].get_texts()}


def test_interval_is_the_t_interval():
    mean, half = figures_style.interval(np.array([[1.0], [2.0], [3.0]]))
    np.testing.assert_allclose(mean, [2.0])
    np.testing.assert_allclose(half, [4.302653 / np.sqrt(3.0)], rtol=1e-6)
    assert np.isnan(figures_style.interval(np.ones((1, 2)))[1]).all()


def test_a_wrong_shape_raises():
    with pytest.raises(ValueError, match=r"oracle must be \[S=2, T=3\], not \[3, 2\]"):
        figures_learning.adaptation_curve(np.ones((2, 3, R, E)), 2, oracle=np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"belief must be \[T, E, 8\]"):
        figures_belief.belief(BLOCKS["cat:2x4"], np.ones((1, E, 7)), np.ones(1))


@pytest.mark.parametrize(("name", "written"), [("a", "a.png"), ("b.pdf", "b.pdf")])
def test_save_goes_by_the_suffix(tmp_path, name, written):
    figure = figures_learning.adaptation_curve(np.ones((1, 1, 1, 2)), 1)
    path = figures_style.save(figure, tmp_path / "new" / name)
    assert path == tmp_path / "new" / written
    assert path.stat().st_size > 1000


def test_the_callers_settings_are_left_alone_and_do_not_matter(rng, tmp_path):
    with matplotlib.rc_context({"text.usetex": True, "lines.linewidth": 9.0}):
        before = dict(matplotlib.rcParams)
        figure = figures_learning.learning_curve(**learning(rng, 1))
        figures_style.save(figure, tmp_path / "figure.png")
        assert dict(matplotlib.rcParams) == before
    assert figure.axes[0].lines[0].get_linewidth() < 9.0
    assert not figure.axes[0].title.get_usetex()


def test_a_name_with_dollars_is_a_name(tmp_path):
    figure = figures_learning.adaptation_curve(np.ones((1, 1, 1, 2)), 1, "runs/$a_{$ and $\\x$")
    figures_style.save(figure, tmp_path / "figure.png")
