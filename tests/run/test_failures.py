"""Which seeds stopped being finite, read from rows of known numbers."""

import numpy as np

from structlat_jax.run import failures


def rows_of(steps, seeds):
    return [{"updates": u, "seed": 4 + i} for u in steps for i in range(seeds)]


def test_only_the_first_time_counts():
    rows, known = rows_of([5, 10, 15], 3), {}
    for step, updates in enumerate(([0, 0, 0], [0, 7, 0], [12, 11, 0])):
        new = failures.mark(rows[3 * step : 3 * step + 3], np.array(updates), known)
        known.update(new)
    assert known == {1: 7, 0: 12}
    assert failures.found(rows, 3) == known
    assert failures.records(rows, 3) == [{"seed": 4, "update": 12}, {"seed": 5, "update": 7}]
    assert [row.get("not_finite_at") for row in rows] == [None] * 4 + [7, None, 12, None, None]


def test_sentence():
    words = failures.sentence([{"seed": 4, "update": 12_000}, {"seed": 5, "update": 7}])
    assert "seed 4 at update 12,000, seed 5 at update 7;" in words


def test_nothing_failed():
    assert failures.found(rows_of([5], 2), 2) == {}
    assert failures.records([], 2) == []
