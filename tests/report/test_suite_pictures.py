"""The pictures of a family: what is drawn of which run, and what is left out."""

import made_up
import numpy as np
from looks import assert_clear

from structlat_jax.report import figures_simplex, recovery, suite_pictures
from structlat_jax.report.album import Album

S = 3
MATCHED = "dir:1x3,gau:1"
ALL = {"adaptation_curves", "solved_curves", "prior_coverage", "recovery", "recovered-mixture"}


def informed(latent, noise=0.1):
    """A run of `S` seeds with tasks that are mixtures of three, which its beliefs know: their
    first numbers are the weights with the classes in another order, seed 0 the most exactly."""
    rng = np.random.default_rng(0)
    scores = dict.fromkeys(latent.split(","), 0.5)
    run = made_up.run(latent, [4.0, 8.0, 6.0], recovery={"mixture": scores, "gain": scores})
    for kind in ("train", "test"):
        axes = run.arrays[f"returns_{kind}"].shape
        truth = rng.dirichlet(np.ones(3), axes[:2])
        belief = np.zeros((*axes, run.config.latent_space().dim))
        belief[..., : min(3, belief.shape[-1])] = truth[:, :, None, None, [2, 0, 1]]
        belief += noise * np.arange(S)[:, None, None, None, None] * rng.normal(size=belief.shape)
        run.arrays[f"belief_{kind}"] = belief
        run.arrays[f"factor_mixture_{kind}"] = truth
        run.arrays[f"factor_gain_{kind}"] = rng.normal(size=axes[:2])
    return run


def drawn(*runs):
    album = Album()
    shown = suite_pictures.draw("family", {run.latent: run for run in runs}, album)
    assert set(shown) == set(album.figures)
    return album


def test_everything_that_is_known_is_drawn(tmp_path):
    album = drawn(informed("gau:4"), informed(MATCHED))
    assert set(album.figures) == ALL
    assert album.left_out == []
    for name, figure in album.figures.items():
        assert figure._suptitle.get_text() == "family"
        assert_clear(figure, tmp_path / name)


def test_what_is_recovered_is_that_of_the_seed_in_the_middle():
    run = informed(MATCHED)
    figure = drawn(informed("gau:4"), run).figures["recovered-mixture"]
    linear, matched = figure.axes
    assert linear.get_title().startswith("gau:4\nlinear map, cross-validated\nR² ")
    assert matched.get_title().startswith("dir:1x3,gau:1\ndir:1x3: classes matched\nR² 0.")
    own = recovery.of_evaluation(run.config.latent_space(), run.arrays, run.finite)
    scores = own["mixture"]["dir:1x3"].matched
    told = f"R² {scores.mean():.2f} ({scores.min():.2f} to {scores.max():.2f})"
    assert matched.get_title().endswith(told)
    kinds = ("train", "test")
    truth = np.concatenate([run.arrays[f"factor_mixture_{kind}"][1] for kind in kinds])
    says = np.concatenate([run.arrays[f"belief_{kind}"][1, :, 0, -1] for kind in kinds])
    ends = np.concatenate([one.get_segments() for one in matched.collections])
    corners = figures_simplex.corners(3)
    np.testing.assert_allclose(ends[:, 0], truth @ corners)
    np.testing.assert_allclose(ends[:, 1], says[:, [1, 2, 0]] @ corners)
    (train, test) = (len(one.get_segments()) for one in matched.collections)
    assert (train, test) == (run.config.structure.seen_tasks, run.config.structure.test_tasks)


def test_coverage_counts_what_was_reached_so_far():
    """Made-up episodes succeed from the second on."""
    figure = drawn(made_up.run("gau:2", [4.0] * S)).figures["prior_coverage"]
    (line, _, _) = figure.axes[0].containers[0]
    np.testing.assert_allclose(line.get_ydata(), [0.0, 1.0])


def test_solved_is_the_share_of_each_episode():
    run = made_up.run("gau:2", [4.0] * S)
    run.arrays["success_test"] = np.zeros(run.returns().shape)
    run.arrays["success_test"][:, 0, :, -1] = 1.0
    axes = drawn(run).figures["solved_curves"].axes[0]
    (line,) = [one for one in axes.lines if one.get_label() == "gau:2"]
    solved = 100.0 / run.returns().shape[1]
    np.testing.assert_allclose(line.get_ydata(), [0.0, 0.0, 0.0, solved])
    assert axes.get_ylabel() == "% of test tasks that an episode solves"
    assert axes.get_ylim() == (-2.0, 102.0)


def test_a_family_of_which_little_is_known():
    run = made_up.unknown(made_up.run("gau:2", [4.0, 6.0]))
    album = drawn(run)
    assert set(album.figures) == {"adaptation_curves"}
    assert album.left_out == [
        "solved_curves, prior_coverage: nothing says when family is a success.",
        "recovery: no factor of family is known.",
    ]
    labels = {str(line.get_label()) for line in album.figures["adaptation_curves"].axes[0].lines}
    assert "oracle" not in labels


def test_seeds_that_are_not_finite_are_left_out():
    run = informed(MATCHED)
    run.arrays["returns_test"][0] = np.nan
    gone = informed("gau:4")
    gone.arrays["returns_test"][:] = np.nan
    album = drawn(run, gone)
    assert album.left_out == ["gau:4 of family: no seed is finite."]
    assert set(album.figures) == ALL
    (line,) = [
        one
        for one in album.figures["adaptation_curves"].axes[0].lines
        if one.get_label() == MATCHED
    ]
    np.testing.assert_allclose(line.get_ydata()[-1], 7.0)
    assert drawn(gone).figures == {}


def test_arrays_that_do_not_fit_cost_one_picture():
    run = informed(MATCHED)
    for kind in ("train", "test"):
        run.arrays[f"belief_{kind}"] = run.arrays[f"belief_{kind}"][..., :0]
    album = drawn(run)
    assert set(album.figures) == ALL - {"recovered-mixture"}
    (sentence,) = album.left_out
    assert sentence.startswith("recovered-mixture: it cannot be drawn")
