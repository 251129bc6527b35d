"""Outcomes cut into runs and joined from shares."""

import numpy as np
import pytest
from tiny import assert_same, setup

from structlat_jax.run.outcome import ARRAYS, Outcome, join, last_kl, part
from structlat_jax.train.evaluate import Adaptation, References

LANES, STEPS = 5, 3


@pytest.fixture(params=["all", "without what an environment may lack"])
def whole(request):
    lanes = np.arange(float(LANES))
    rows = [{"updates": step, "seed": lane} for step in range(STEPS) for lane in range(LANES)]
    fields = {name: lanes[:, None] + i for i, name in enumerate(Adaptation._fields)}
    references = References(lanes[:, None] - 9.0, lanes[:, None])
    if request.param != "all":
        fields |= {"encoder": None, "success": None}
        references = references._replace(oracle=None)
    made = (Adaptation(**fields), lanes, -lanes, references, {"w": lanes})
    return Outcome(rows, *made, {"a": 1}, False)


def test_a_part_holds_its_lanes(whole):
    found = part(whole, 1, 2)
    assert [(row["updates"], row["seed"]) for row in found.rows] == [
        (step, lane) for step in range(STEPS) for lane in (1, 2)
    ]
    assert found.floor.tolist() == [[-8.0], [-7.0]]
    assert found.train_tasks.tolist() == [1.0, 2.0]
    assert found.adaptation.returns.tolist() == [[1.0], [2.0]]
    assert found.seeds == 2
    assert found.results == {}


@pytest.mark.parametrize("sizes", [(5,), (3, 2), (1, 1, 3)])
def test_joining_undoes_cutting(whole, sizes):
    starts = np.cumsum((0, *sizes[:-1]))
    joined = join([part(whole, int(a), n) for a, n in zip(starts, sizes, strict=True)])
    assert joined.rows == whole.rows
    for name in ARRAYS:
        assert_same(getattr(joined, name), getattr(whole, name))


def test_a_part_that_ended_early_goes_on_with_empty_rows(whole):
    measured = [{**row, "q": 1.0} for row in whole.rows]
    whole.rows = measured
    parts = [part(whole, *cut) for cut in ((0, 2), (2, 1), (3, 2))]
    del parts[0].rows[2:]  # its first meta-step is left
    for row, full in zip(join(parts).rows, measured, strict=True):
        gone = full["updates"] > 0 and full["seed"] < 2
        assert row == ({name: full[name] for name in ("updates", "seed")} if gone else full)


def test_last_kl_is_a_mean_over_lanes():
    rows = [{"kl cat:1x3": 1.0, "kl gau:1": 0.0}, {"kl cat:1x3": 3.0, "kl gau:1": 1.0}]
    found = last_kl(setup(), rows)
    assert found["kl_nats"] == {"cat:1x3": 2.0, "gau:1": 0.5}
    assert found["block_used"] == {"cat:1x3": 1.0, "gau:1": 0.5}


def test_last_kl_leaves_out_who_failed_and_what_is_not_reported():
    rows = [{"kl cat:1x3": 1.0}, {"kl cat:1x3": float("nan")}]
    assert last_kl(setup(), rows, failed=[1])["kl_nats"] == {"cat:1x3": 1.0}
    assert last_kl(setup(), rows, failed=[0, 1]) == {"kl_nats": {}, "block_used": {}}
