"""Recovery: what is there is found, what is not is not, whatever the order of classes."""

import numpy as np
import pytest

from structlat_jax.latents import latent_space
from structlat_jax.report.recovery import of_all_tasks, of_evaluation, recover

SPACE = latent_space("dir:2x3,gau:2")
S, T, R = 2, 40, 3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def truth(rng):
    return {
        "mixture": rng.dirichlet([0.5] * 3, (S, T)),
        "style": rng.normal(size=(S, T)),
    }


def beliefs(rng, first, second, gau):
    """``[S, T, R, D]`` from what each part is, with a little noise."""
    z = np.concatenate([first, second, gau], axis=-1)
    return z[:, :, None] + 0.01 * rng.normal(size=(S, T, R, z.shape[-1]))


def test_each_block_has_what_it_is_named_after(rng, truth):
    order = [2, 0, 1]
    other = rng.dirichlet([1.0] * 3, (S, T))
    style = np.stack([0.5 - 2.0 * truth["style"], rng.normal(size=(S, T))], axis=-1)
    found = recover(SPACE, beliefs(rng, other, truth["mixture"][..., order], style), truth)
    mixture, styles = found["mixture"], found["style"]
    assert np.all(mixture["dir:2x3"].linear > 0.99)
    assert np.all(mixture["dir:2x3"].matched > 0.99)
    assert np.all(styles["gau:2"].linear > 0.99)
    assert np.all(mixture["gau:2"].linear < 0.2)
    assert np.all(styles["dir:2x3"].linear < 0.2)
    assert mixture["gau:2"].matched is None
    assert styles["dir:2x3"].matched is None
    assert mixture["dir:2x3"].linear.shape == (S,)
    for says in (mixture["dir:2x3"].weights, mixture["dir:2x3"].predicted):
        assert says.shape == (S, T, R, 3)
        np.testing.assert_allclose(says.mean(axis=2), truth["mixture"], atol=0.05)
    assert mixture["gau:2"].weights is None
    assert styles["gau:2"].predicted.shape == (S, T, R, 1)


def test_a_linear_map_of_a_mixture_is_no_match(rng, truth):
    turned = truth["mixture"] @ (0.4 * np.eye(3) + 0.2)
    found = recover(SPACE, beliefs(rng, turned, turned, np.zeros((S, T, 2))), truth)
    assert np.all(found["mixture"]["dir:2x3"].linear > 0.9)
    assert np.all(found["mixture"]["dir:2x3"].matched < 0.8)


def test_a_fit_to_noise_is_worth_nothing(rng, truth):
    noise = rng.normal(size=(S, T, 8))
    found = recover(SPACE, beliefs(rng, noise[..., :3], noise[..., 3:6], noise[..., 6:]), truth)
    assert all(np.all(one.linear < 0.1) for by in found.values() for one in by.values())


def test_repeats_of_a_task_do_not_help_its_prediction(rng, truth):
    """A number that tells each task, but nothing about others."""
    own = np.broadcast_to(rng.normal(size=(T, 2)), (S, T, 2))
    still = np.full((S, T, 3), 1 / 3)
    found = recover(SPACE, beliefs(rng, still, still, own), truth)
    assert np.all(found["style"]["gau:2"].linear < 0.1)


def test_a_factor_that_does_not_vary_is_nan(rng, truth):
    still = {"style": np.ones((S, T, 1))}
    found = recover(SPACE, beliefs(rng, *[truth["mixture"]] * 2, np.zeros((S, T, 2))), still)
    assert np.all(np.isnan(found["style"]["dir:2x3"].linear))


def test_of_an_evaluation(rng, truth):
    """Training tasks come first, the last belief counts, and seeds that are not finite do not."""
    z = beliefs(rng, truth["mixture"], truth["mixture"], np.zeros((S, T, 2)))
    z = np.stack([np.zeros_like(z), z], axis=3)
    z[1, 0, 0, 0, 0] = np.nan
    arrays = {
        f"{name}_{kind}": array[:, part]
        for name, array in {"belief": z, "factor_mixture": truth["mixture"]}.items()
        for kind, part in (("train", slice(30)), ("test", slice(30, None)))
    }
    found = of_evaluation(SPACE, arrays, np.array([True, False]))
    (one,) = found["mixture"]["dir:2x3"].matched
    assert one > 0.99
    np.testing.assert_array_equal(of_all_tasks(arrays, "factor_mixture"), truth["mixture"])
    assert of_evaluation(SPACE, arrays, np.array([False, False])) == {}
    without = {name: array for name, array in arrays.items() if "factor" not in name}
    assert of_evaluation(SPACE, without, np.array([True, True])) == {}


def test_three_tasks_are_the_least(rng):
    with pytest.raises(ValueError, match="at least 3 tasks, not 2"):
        recover(SPACE, np.zeros((1, 2, 1, 8)), {"style": np.zeros((1, 2))})
