"""Outcomes cut into runs and joined from shares."""

import numpy as np
import pytest
from tiny import assert_same, setup

from experiments.outcome import Outcome, join, last_kl, part
from structlat_jax.train.evaluate import Adaptation

LANES, STEPS = 5, 3


@pytest.fixture
def whole():
    lanes = np.arange(float(LANES))
    rows = [{"step": step, "lane": lane} for step in range(STEPS) for lane in range(LANES)]
    adaptation = Adaptation(*(lanes[:, None] + i for i in range(6)))
    return Outcome(rows, adaptation, lanes, -lanes, lanes**2, {"w": lanes}, {"a": 1}, False)


def test_a_part_holds_its_lanes(whole):
    found = part(whole, 1, 2)
    assert [(row["step"], row["lane"]) for row in found.rows] == [
        (step, lane) for step in range(STEPS) for lane in (1, 2)
    ]
    assert found.oracle.tolist() == [1.0, 4.0]
    assert found.adaptation.returns.tolist() == [[1.0], [2.0]]
    assert found.results == {}


@pytest.mark.parametrize("sizes", [(5,), (3, 2), (1, 1, 3)])
def test_joining_undoes_cutting(whole, sizes):
    starts = np.cumsum((0, *sizes[:-1]))
    joined = join([part(whole, int(a), n) for a, n in zip(starts, sizes, strict=True)])
    assert joined.rows == whole.rows
    for name in ("adaptation", "train_tasks", "test_tasks", "oracle", "params"):
        assert_same(getattr(joined, name), getattr(whole, name))


def test_last_kl_is_a_mean_over_lanes():
    rows = [{"kl cat:1x3": 1.0, "kl gau:1": 0.0}, {"kl cat:1x3": 3.0, "kl gau:1": 1.0}]
    assert last_kl(setup(), rows) == {"cat:1x3": 2.0, "gau:1": 0.5}
