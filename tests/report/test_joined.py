"""Runs that differ in their seeds alone, as one run."""

import made_up
import numpy as np
import pytest
from tiny import config

from structlat_jax.report import joined, table
from structlat_jax.store.run_folder import CheckpointError

VALUES = np.array([4.0, 8.0, 6.0, 2.0, 9.0])


def part(first, count, latent="dir:1x3", **changes):
    """A run of some of the seeds whose returns are `VALUES`; each trained for 30 s."""
    return made_up.run(
        latent,
        VALUES[first : first + count].tolist(),
        **{
            "seeds": count,
            "first_seed": first,
            "wall_seconds": 30.0 * count + 10.0,
            "device": "1 x cpu",
            **changes,
        },
    )


def test_a_joined_run_is_the_run_of_all_seeds():
    whole = table.row(part(0, 5))
    assert table.row(joined.join([part(0, 2), part(2, 3)])) == whole
    assert table.row(joined.join([part(4, 1), part(0, 2), part(2, 2)])) == whole
    assert table.row(joined.join([part(0, 5)])) == whole


def test_every_array_has_the_seeds_in_their_order():
    found = joined.join([part(3, 2), part(0, 3)])
    whole = part(0, 5)
    assert found.arrays.keys() == whole.arrays.keys()
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
    assert (found.seeds, found.results["first_seed"]) == (5, 0)
    np.testing.assert_array_equal(found.metrics["updates"], [20.0, 20.0])


def test_the_names_of_axes_are_no_seeds():
    parts = [part(0, 2), part(2, 3)]
    for one in parts:
        one.arrays["axes"] = np.array(["seed", "task", "repeat", "episode"])
    found = joined.join(parts)
    assert found.arrays["axes"].tolist() == ["seed", "task", "repeat", "episode"]
    assert found.seeds == 5


def test_what_one_lacks_the_whole_lacks():
    older = part(0, 2)
    arrays = {name: x for name, x in older.arrays.items() if not name.startswith("amortised")}
    found = joined.join([older._replace(arrays=arrays), part(2, 3)])
    assert found.encoder() is None
    assert found.seeds == 5


def test_means_over_seeds_weigh_each_seed_alike():
    one = part(0, 2, kl_nats={"dir:1x3": 1.0}, block_used={"dir:1x3": 0.5}, wall_seconds=110.0)
    other = part(2, 3, kl_nats={"dir:1x3": 2.0}, block_used={"dir:1x3": 1.0})
    found = joined.join([one, other])
    assert found.results["kl_nats"] == {"dir:1x3": pytest.approx(1.6)}
    assert found.results["block_used"] == {"dir:1x3": pytest.approx(0.8)}
    assert table.seconds(found) == pytest.approx((2 * 50 + 3 * 30) / 5)


def test_a_seed_that_is_not_finite_weighs_nothing():
    one = part(0, 2, kl_nats={"dir:1x3": 1.0})
    one.arrays["returns_test"][0] = np.nan
    found = joined.join([one, part(2, 3, kl_nats={"dir:1x3": 2.0})])
    assert found.results["kl_nats"] == {"dir:1x3": pytest.approx((1 * 1.0 + 3 * 2.0) / 4)}
    assert table.row(found)["not_finite_seeds"] == [0]


def test_no_seed_of_a_part_is_finite():
    one = part(0, 2, kl_nats={})
    one.arrays["returns_test"][:] = np.nan
    found = joined.join([one, part(2, 3, kl_nats={"dir:1x3": 2.0})])
    assert found.results["kl_nats"] == {"dir:1x3": 2.0}
    assert joined.join([one]).results["kl_nats"] == {}


def test_recovery_is_of_all_seeds():
    parts = [part(0, 2), part(2, 3)]
    key = np.random.default_rng(0)
    for one in parts:
        for kind in ("train", "test"):
            axes = one.returns(kind).shape
            truth = key.dirichlet(np.ones(3), axes[:2])
            one.arrays[f"factor_mixture_{kind}"] = truth
            one.arrays[f"belief_{kind}"] = np.broadcast_to(truth[:, :, None, None], (*axes, 3))
    found = joined.join(parts).results
    assert found["recovery_matched"] == {"mixture": {"dir:1x3": pytest.approx(1.0)}}


def test_what_runs_were_trained_with_is_said_once_each():
    found = joined.join([part(0, 2, device="2 x cpu"), part(2, 2, device="1 x cpu"), part(4, 1)])
    assert found.results["device"] == "2 x cpu, 1 x cpu"
    assert found.results["jax_version"] == "0"


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (part(2, 2, latent="gau:3"), "differ in more than their seeds"),
        (part(2, 2, env="line"), "differ in more than their seeds"),
        (part(2, 2, updates=40), "differ in updates"),
        (part(2, 2, preset="paper"), "differ in preset"),
        (part(1, 2), "both have seed 1"),
        (part(3, 2), "have no seeds in between: 2 missing"),
        (part(4, 1), "have no seeds in between: 2 to 3 missing"),
        (part(2, 2, first_seed=None), "do not say its first_seed"),
        (part(2, 2, first_seed=True), "do not say its first_seed"),
    ],
)
def test_runs_that_do_not_belong_together(later, said):
    with pytest.raises(CheckpointError, match=said):
        joined.join([part(0, 2), later])


def test_configurations_must_agree():
    other = made_up.run_of(config(latent="dir:1x3", width=16), [1.0], made_up.Path("b"))
    with pytest.raises(CheckpointError, match="run and b differ in more than their seeds"):
        joined.join([part(0, 2), other._replace(results={**other.results, "first_seed": 2})])
