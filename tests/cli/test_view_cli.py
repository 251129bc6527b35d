"""The commands that show finished runs: `view` and `film`."""

import sys

import pytest
from drawable import write_run
from PIL import Image
from program import assert_refused

from structlat_jax.cli import finished_commands
from structlat_jax.report import film, film_files


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("shown") / "run", checkpoint=False)


def test_a_page_of_two_runs(run, tmp_path, in_process):
    pytest.importorskip("plotly")
    other = write_run(tmp_path / "other", latent="gau:2", checkpoint=False)
    out = tmp_path / "new" / "view.html"
    done = in_process(finished_commands.view, run, other, "--out", out)
    assert done.code == 0, done.err
    assert f"{out} shows dir:1x3,gau:1, gau:2" in done.out
    text = out.read_text()
    assert text.startswith("<!doctype html>")
    assert "Plotly" in text
    assert out.stat().st_size < 10 * 2**20


def test_a_page_needs_a_library(run, tmp_path, in_process, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    done = in_process(finished_commands.view, run, "--out", tmp_path / "new" / "view.html")
    assert "pip install 'structlat-jax[view]'" in assert_refused(done)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        (finished_commands.view, ["--out", "."], "must be a file, but"),
        (finished_commands.view, ["--env", "nowhere"], "nowhere"),
        (finished_commands.film, ["--out", "film.avi"], "must end in .gif or .mp4, not 'film.avi'"),
        (finished_commands.film, ["--task", "3"], "--task must be from 1 to 2"),
        (finished_commands.film, ["--seed", "2"], "--seed must be from 0 to 1"),
    ],
)
def test_what_is_refused(run, tmp_path, in_process, monkeypatch, command, words, said):
    monkeypatch.chdir(tmp_path)
    assert said in assert_refused(in_process(command, run, *words))
    assert list(tmp_path.iterdir()) == []


def test_no_run_is_no_page(tmp_path, in_process):
    done = in_process(finished_commands.view, tmp_path / "none", "--out", tmp_path / "view.html")
    assert "does not exist" in assert_refused(done)
    assert not (tmp_path / "view.html").exists()


def test_a_film_has_its_frames(run, tmp_path, in_process, monkeypatch):
    monkeypatch.setattr(film, "MOST_FRAMES", 6)
    out = tmp_path / "new" / "film.gif"
    done = in_process(finished_commands.film, run, "--task", 2, "--seed", 1, "--out", out)
    assert done.code == 0, done.err
    assert "shows task 2 of dir:1x3,gau:1 in " in done.out
    with Image.open(out) as image:
        assert 4 <= image.n_frames <= 4 * 3  # of each episode its begin, its end and one more
        assert image.size == (720, 400)
    assert list(out.parent.iterdir()) == [out]


def test_a_video_needs_ffmpeg(run, tmp_path, in_process, monkeypatch):
    monkeypatch.setattr(film_files.shutil, "which", lambda name: None)
    done = in_process(finished_commands.film, run, "--out", tmp_path / "film.mp4")
    assert "ffmpeg" in assert_refused(done)
    assert list(tmp_path.iterdir()) == []
