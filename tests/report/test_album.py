"""Figures that are written together, and those that fail alone."""

import pytest

from structlat_jax.report.album import FORMATS, Album
from structlat_jax.report.figures_learning import adaptation_curve
from structlat_jax.store.checkpoint import CheckpointError


def failing(*_):
    raise RuntimeError("a stranger's function\nsays no.")


def test_a_figure_that_fails_costs_a_sentence(tmp_path):
    album = Album()
    album.add("bad", failing, 1)
    album.add("good", adaptation_curve, [[[[1.0, 2.0]]]], 1)
    album.write(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"good.{f}" for f in FORMATS}
    assert album.left_out == ["bad: it cannot be drawn (a stranger's function says no)."]


def test_nothing_is_written_where_a_folder_is_in_the_way(tmp_path):
    (tmp_path / "good.pdf").mkdir()
    album = Album()
    album.add("good", adaptation_curve, [[[[1.0, 2.0]]]], 1)
    with pytest.raises(CheckpointError, match=r"good\.pdf"):
        album.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["good.pdf"]
