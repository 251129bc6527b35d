"""The table of many runs: names that programs can type, and the same meaning in every row."""

import re

import numpy as np
import pytest
from tiny import config

from structlat_jax.report import tidy
from structlat_jax.report.finished_run import RunFiles

LATENTS = ["cat:1x3,gau:1", "gau:4", "gau:2,gau:2"]


def run_of(latent, metrics):
    return RunFiles(None, config(latent=latent), {}, {}, metrics)


def metrics(*more):
    """Two seeds, evaluated after 10 and 20 updates of 20, the second one ended after 10."""
    nan = np.nan
    columns = {
        "updates": [5, 5, 10, 10, 20, 20],
        "seed": [3, 4] * 3,
        "test_return": [nan, nan, 1.0, 2.0, 3.0, nan],
        "oracle_return": [nan, nan, 9.0, 9.0, 9.0, 9.0],
        "train_return hypotheses": [nan, nan, 1.5, 2.5, 3.5, 4.5],
        "kl_weight": [0.1, 0.1, 0.2, 0.2, 0.4, nan],
        **dict.fromkeys(more, [0.5] * 6),
    }
    return {name: np.array(values, float) for name, values in columns.items()}


def test_columns_can_be_typed_and_the_last_evaluation_is_marked():
    about = {"run": "x", "latent": LATENTS[0], "kl_weight": 0.4}
    rows = tidy.rows(run_of(LATENTS[0], metrics("kl cat:1x3", "kl gau:1")), about)
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for row in rows for name in row)
    assert [(r["updates"], r["seed"], r["is_last"]) for r in rows] == [
        (10, 3, 0),
        (10, 4, 0),
        (20, 3, 1),
        (20, 4, 1),
    ]
    assert [row["current_kl_weight"] for row in rows] == [0.2, 0.2, 0.4, ""]
    assert {row["kl_weight"] for row in rows} == {0.4}
    assert [row["train_return_hypotheses"] for row in rows] == [1.5, 2.5, 3.5, 4.5]
    assert [row["test_return"] for row in rows] == [1.0, 2.0, 3.0, ""]
    assert len({tuple(row) for row in rows}) == 1  # a seed that has ended has the columns too


@pytest.mark.parametrize(
    ("latent", "blocks"),
    [
        (LATENTS[0], ["cat:1x3", "gau:1"]),
        (LATENTS[1], ["gau:4"]),
        (LATENTS[2], ["gau:2#1", "gau:2#2"]),
    ],
)
def test_blocks_line_up_by_their_place(latent, blocks):
    found = tidy.columns([f"kl {name}" for name in blocks], config(latent=latent))
    assert list(found.values()) == [f"kl_{i}" for i in range(len(blocks))]


def test_names_of_ones_own_are_told_apart():
    found = tidy.columns(["My metric (m)", "my_metric_m", "q"], config())
    assert list(found.values()) == ["my_metric_m", "my_metric_m_2", "q"]
