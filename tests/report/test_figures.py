"""The figures: made for every shape that occurs, labelled, inside their borders, saved."""

import matplotlib
import numpy as np
import pytest
from looks import assert_good

from structlat_jax.report import (
    figures_belief,
    figures_learning,
    figures_map,
    figures_paths,
    figures_style,
)

P, R, E, H = 4, 2, 6, 5
BLOCKS = {
    "gau:1,dir:3x5,cat:1x3": (
        ("gau", 1, 1, "gau:1"),
        ("dir", 3, 5, "dir:3x5"),
        ("cat", 1, 3, "cat:1x3"),
    ),
    "gau:5": (("gau", 5, 1, "gau:5"),),
    "cat:2x4": (("cat", 2, 4, "cat:2x4"),),
    "cat:1x10": (("cat", 1, 10, "cat:1x10"),),
}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def goals_of(weight):
    return np.stack([np.cos(np.pi * weight), np.sin(np.pi * weight)], -1).astype(np.float32)


def learning(rng, seeds, points=P):
    curve = rng.uniform(0, 12, (3, seeds, points))
    kl = rng.uniform(0, 5, (seeds, points, 2))
    return np.arange(points) * 1000.0, *curve, 13.0, "dir:2x4,gau:2", kl, ("dir:2x4", "gau:2")


@pytest.mark.parametrize(("seeds", "points"), [(1, P), (3, P), (3, 1)])
def test_learning_curve(rng, tmp_path, seeds, points):
    figure = figures_learning.learning_curve(*learning(rng, seeds, points))
    assert_good(figure, tmp_path / "figure.png")
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert labels == ["return of an episode", "KL to prior\n(nats)"]
    assert "thousands" in figure.axes[1].get_xlabel()


def test_learning_curve_draws_the_mean_and_every_seed(rng):
    arguments = learning(rng, 3)
    top = figures_learning.learning_curve(*arguments).axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in top.lines}
    np.testing.assert_allclose(drawn["test tasks"], arguments[1].mean(axis=0))
    assert len(top.lines) == 3 * (1 + 3) + 1  # means, seeds and the oracle
    assert len(top.collections) == 3


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(("tasks", "prior_episodes"), [(1, 0), (10, 2), (10, E)])
def test_adaptation_curve(rng, tmp_path, seeds, tasks, prior_episodes):
    returns = rng.uniform(0, 12, (seeds, tasks, R, E))
    oracle = np.full((seeds, tasks), 13.0)
    figure = figures_learning.adaptation_curve(returns, oracle, prior_episodes, "dir:2x4")
    assert_good(figure, tmp_path / "figure.png")
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert ("z from prior" in texts) == (prior_episodes > 0)
    assert ("z from posterior" in texts) == (prior_episodes < E)


def test_a_diverged_seed_leaves_a_gap(rng, tmp_path):
    arguments = learning(rng, 3)
    arguments[1][0, -1] = np.nan
    arguments[2][1, 0] = np.inf
    assert_good(figures_learning.learning_curve(*arguments), tmp_path / "figure.png")


@pytest.mark.parametrize("tasks", [1, 10])
def test_task_map_counts_every_goal(rng, tmp_path, tasks):
    train, test = goals_of(rng.dirichlet([0.2, 0.2], 30)[:, 0]), goals_of(np.ones(tasks))
    figure = figures_paths.task_map(train, test, 0.2)
    assert_good(figure, tmp_path / "figure.png")
    heights = [sum(bar.get_height() for bar in ax.patches) for ax in figure.axes[2:]]
    assert heights == [30, tasks]


def test_a_goal_at_180_degrees_is_not_at_minus_180():
    rounded = np.array([[-1.0, -8.7e-8], [1.0, -8.7e-8], [0.0, -1.0]])
    np.testing.assert_allclose(figures_map.angles(rounded), [180.0, 0.0, -90.0])


@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_prior_paths_are_all_inside_the_map(rng, tmp_path, scale):
    paths = np.cumsum(rng.normal(0, scale, (8, H + 1, 2)), axis=1)
    figure = figures_paths.prior_paths(paths, goals_of(rng.uniform(size=3)), "gau:5")
    assert_good(figure, tmp_path / "figure.png")
    (x_low, x_high), (y_low, y_high) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert np.all((paths > [x_low, y_low]) & (paths < [x_high, y_high]))


@pytest.mark.parametrize("tasks", [1, 3, 7, 10])
def test_adaptation_paths(rng, tmp_path, tasks):
    path = np.cumsum(rng.normal(0, 0.1, (tasks, E, H + 1, 2)), axis=2)
    returns, oracle = np.full((tasks, E), 6.5), np.full(tasks, 13.0)
    goals = goals_of(rng.uniform(size=tasks))
    figure = figures_paths.adaptation_paths(path, goals, returns, oracle, 2, 0.2, "dir:2x4")
    assert_good(figure, tmp_path / "figure.png")
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == [f"{i + 1}: 6.5 / 13.0 (50%)" for i in range(tasks)]


def test_prior_episodes_have_the_colour_of_no_context(rng):
    path = rng.normal(0, 0.1, (1, E, H + 1, 2))
    figure = figures_paths.adaptation_paths(
        path, np.ones((1, 2)), np.ones((1, E)), np.ones(1), 3, 0.2
    )
    colours = figure.axes[0].collections[0].get_colors()
    assert len(np.unique(colours, axis=0)) == 1 + (E - 3)
    np.testing.assert_array_equal(colours[:3], np.tile(colours[0], (3, 1)))
    np.testing.assert_allclose(colours[-1], matplotlib.colormaps["viridis"](1.0))


@pytest.mark.parametrize("tasks", [1, 10])
@pytest.mark.parametrize("spec", BLOCKS)
def test_belief(rng, tmp_path, spec, tasks):
    blocks = BLOCKS[spec]
    parts = [
        rng.dirichlet(np.ones(size), (tasks, E))
        if family != "gau"
        else rng.normal(size=(tasks, E, 1))
        for family, variables, size, _ in blocks
        for _ in range(variables)
    ]
    weight = rng.uniform(size=tasks)
    figure = figures_belief.belief(blocks, np.concatenate(parts, -1), weight, 2)
    assert_good(figure, tmp_path / "figure.png")
    columns = sum(1 if family == "gau" else variables for family, variables, _, _ in blocks)
    assert len(figure.axes) == tasks * columns
    rows = [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]
    order = np.argsort(-weight)
    assert rows == [f"task {i + 1}\nw = {weight[i]:.2f}" for i in order]


def test_belief_stacks_the_weights_up_to_one(rng):
    weights = rng.dirichlet(np.ones(4), (1, E))
    ax = figures_belief.belief((("dir", 1, 4, "dir:1x4"),), weights, np.ones(1)).axes[0]
    layers = [patch.get_data() for patch in ax.patches]
    heights = np.stack([layer.values - layer.baseline for layer in layers], -1)
    np.testing.assert_allclose(heights, weights[0], atol=1e-12)
    np.testing.assert_allclose(layers[-1].values, 1.0)


def test_interval_is_the_t_interval():
    mean, half = figures_style.interval(np.array([[1.0], [2.0], [3.0]]))
    np.testing.assert_allclose(mean, [2.0])
    np.testing.assert_allclose(half, [4.302653 / np.sqrt(3.0)], rtol=1e-6)
    assert np.isnan(figures_style.interval(np.ones((1, 2)))[1]).all()


def test_a_wrong_shape_raises(rng):
    with pytest.raises(ValueError, match=r"oracle must be \[S=2, T=3\], not \[3, 2\]"):
        figures_learning.adaptation_curve(np.ones((2, 3, R, E)), np.ones((3, 2)), 2)
    with pytest.raises(ValueError, match=r"belief must be \[T, E, 8\]"):
        figures_belief.belief((("dir", 2, 4, "dir:2x4"),), np.ones((1, E, 7)), np.ones(1))
    with pytest.raises(ValueError, match="test_goals"):
        figures_paths.task_map(np.ones((3, 2)), np.ones((0, 2)), 0.2)


@pytest.mark.parametrize(("name", "written"), [("a", "a.png"), ("b.pdf", "b.pdf")])
def test_save_goes_by_the_suffix(rng, tmp_path, name, written):
    figure = figures_paths.prior_paths(np.zeros((1, H + 1, 2)), np.ones((1, 2)), "")
    path = figures_style.save(figure, tmp_path / "new" / name)
    assert path == tmp_path / "new" / written
    assert path.stat().st_size > 1000


def test_the_callers_settings_are_left_alone(rng):
    before = dict(matplotlib.rcParams)
    figures_learning.learning_curve(*learning(rng, 1))
    assert dict(matplotlib.rcParams) == before
