"""The figures of finished runs: which are written, what is said, and what is refused."""

import functools
import json
import shutil

import numpy as np
import pytest
from drawable import write_run
from folders import listing
from program import assert_refused

from experiments import figures
from structlat_jax.report import album, effect
from structlat_jax.report.plane import pictures
from structlat_jax.report.run_files import read_run

PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF"
ALWAYS = {"figure1", "figure2", "learning_curves", "adaptation_curves"}


@pytest.fixture
def draw_all(in_process, monkeypatch):
    """Runs the program in this process."""
    monkeypatch.setattr(effect, "DRAWS", 64)
    return functools.partial(in_process, figures.command)


@pytest.fixture
def draw(draw_all, monkeypatch):
    """The same with one format, which takes half of the time."""
    monkeypatch.setattr(album, "FORMATS", ("png",))
    return draw_all


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run folders that differ in their latents."""
    folder = tmp_path_factory.mktemp("runs")
    for latent, name in (("dir:1x3,gau:1", "dg"), ("gau:2", "g"), ("cat:1x2,gau:1", "cg")):
        write_run(folder / name, latent)
    return folder


def names_in(out):
    """Names of the figures, each of which is there in all formats."""
    found = {path.stem for path in out.iterdir()} - {"traversal"}
    expected = {f"{name}.{suffix}" for name in found for suffix in album.FORMATS}
    assert {path.name for path in out.iterdir()} - {"traversal.json"} == expected
    for name in expected:
        assert (out / name).read_bytes().startswith(PNG if name.endswith("png") else PDF)
    return found


def left_out(done):
    return [line for line in done.out.splitlines() if line.startswith("left out: ")]


@pytest.mark.slow
def test_a_folder_of_runs(runs, draw_all, tmp_path):
    done = draw_all(runs, "--out", tmp_path / "new" / "out")
    assert done.code == 0, done.err
    expected = ALWAYS | {
        *("figure3-cat1x2-gau1", "figure3-dir1x3-gau1", "figure3-gau2"),
        *("simplex-cat1x2-gau1", "simplex-dir1x3-gau1"),
        *("traversal-cat1x2-gau1", "traversal-dir1x3-gau1", "traversal-gau2"),
    }
    assert names_in(tmp_path / "new" / "out") == expected
    assert all(name in done.out for name in expected)
    said = left_out(done)
    assert len(said) == 2
    assert "figure2 of cat:1x2,gau:1, gau:2" in said[0]
    assert "simplex of gau:2" in said[1]
    assert "What decides where an episode ends" in done.out
    assert "Traceback" not in done.err
    assert_says_who_decides(json.loads((tmp_path / "new" / "out" / "traversal.json").read_text()))


def assert_says_who_decides(data):
    assert (data["schema_version"], data["draws"]) == (1, 64)
    assert set(data["measures"]) == {"position", "direction"}
    runs = {run["latent"]: run for run in data["runs"]}
    assert set(runs) == {"cat:1x2,gau:1", "dir:1x3,gau:1", "gau:2"}
    parts = {part["name"]: part for part in runs["dir:1x3,gau:1"]["parts"]}
    assert set(parts) == {"dir:1x3", "gau:1"}
    for part in parts.values():
        for measure in data["measures"]:
            assert len(part[measure]["alone"]["per_seed"]) == 2
            assert -0.5 < part[measure]["alone"]["mean"] < 1.5
    whole = runs["gau:2"]["parts"][0]
    assert whole["name"] == "gau:2"
    assert whole["position"]["alone"]["per_seed"] == pytest.approx([1.0, 1.0])


def test_the_papers_best_latent_alone_has_figure3(draw, tmp_path):
    write_run(tmp_path / "best", "dir:2x4,gau:2", seeds=1, checkpoint=False)
    write_run(tmp_path / "gau", "gau:1", seeds=1, checkpoint=False)
    done = draw(tmp_path / "gau", tmp_path / "best", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert {name for name in names_in(tmp_path / "out") if "figure3" in name} == {"figure3"}
    assert any("figure3 of gau:1" in line for line in left_out(done))


def test_runs_of_one_latent_are_told_apart(draw, tmp_path):
    for name in ("a/g", "b/g", "other"):
        write_run(tmp_path / name, "gau:2", checkpoint=False)
    done = draw(tmp_path / "a/g", tmp_path / "b", tmp_path / "other", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    found = {name for name in names_in(tmp_path / "out") if name.startswith("figure3")}
    assert found == {"figure3-gau2-g-1", "figure3-gau2-g-2", "figure3-gau2-other"}
    assert "traversal of gau:2 (g)#1" in done.out


@pytest.mark.slow
def test_what_does_not_apply_is_said(runs, draw, tmp_path):
    write_run(tmp_path / "line", "gau:1", env="elsewhere.py:make", checkpoint=False)
    write_run(tmp_path / "goals", "gau:2,dir:1x2", goal_seed=1, checkpoint=False)
    done = draw(runs / "dg", tmp_path / "line", tmp_path / "goals", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    said = "\n".join(left_out(done))
    assert "maps of gau:1: its environment is not at hand" in said
    assert "traversal of gau:1: its environment is not at hand" in said
    assert "figure1-point_robot of gau:2,dir:1x2: their goals" in said
    assert "traversal of gau:2,dir:1x2" in said
    assert "checkpoint" in said
    assert "traversal-dir1x3-gau1" in names_in(tmp_path / "out")


@pytest.mark.slow
def test_the_seed_chooses_whose_goals_are_drawn(runs, draw, tmp_path, monkeypatch):
    shown = []

    def recording(train, test, plane, starts):
        shown.append((train, test, plane.radius))
        return task_map(train, test, plane, starts)

    task_map = pictures.task_map
    monkeypatch.setattr(pictures, "task_map", recording)
    assert draw(runs / "g", "--out", tmp_path, "--seed", 1).code == 0
    arrays = read_run(runs / "g").arrays
    ((train, test, radius),) = shown
    np.testing.assert_array_equal(train, arrays["goal_train"][1])
    np.testing.assert_array_equal(test, arrays["goal_test"][1])
    assert radius == 0.2


def test_files_are_replaced_and_others_kept(runs, draw, tmp_path):
    (tmp_path / "figure1.png").write_text("old")
    (tmp_path / "thesis.tex").write_text("precious")
    assert draw(runs / "g", "--out", tmp_path).code == 0
    assert (tmp_path / "figure1.png").read_bytes().startswith(PNG)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


@pytest.fixture
def place(runs, tmp_path, monkeypatch):
    """The working folder, with the things that a user may name by mistake."""
    shutil.copytree(runs / "g", tmp_path / "good")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("a file")
    for name, file in (("unfinished", "results.json"), ("lost", "adaptation.npz")):
        shutil.copytree(runs / "g", tmp_path / name)
        (tmp_path / name / file).unlink()
    for name, file in (("torn", "adaptation.npz"), ("wild", "metrics.csv"), ("odd", "config.json")):
        shutil.copytree(runs / "g", tmp_path / name)
        (tmp_path / name / file).write_bytes(b"\x00\xffPK{")
    shutil.copytree(runs / "g", tmp_path / "hollow")
    for path in (tmp_path / "hollow" / "checkpoint").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    (tmp_path / "taken" / "figure1.png").mkdir(parents=True)
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o555)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    (tmp_path / "locked").chmod(0o755)


BAD = [
    ("", "RUNS"),
    ("absent", "absent does not exist"),
    ("empty", "empty"),
    ("file", "is a file"),
    ("good absent", "absent"),
    ("unfinished", "results.json"),
    ("lost", "adaptation.npz"),
    ("torn", "torn/adaptation.npz"),
    ("wild", "wild/metrics.csv"),
    ("odd", "odd/config.json"),
    ("hollow", "hollow"),
    ("good --seed 2", "from 0 to 1"),
    ("good --seed -1", "--seed"),
    ("good --seed x", "x"),
    ("good --seed 0.5", "0.5"),
    ("good --out file", "file"),
    ("good --out file/out", "file/out"),
    ("good --out locked", "locked"),
    ("good --out locked/out", "locked/out"),
    ("good --out taken", "figure1.png"),
    ("good --unknown", "--unknown"),
    ("good --env-option size=3", "has no option 'size'"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD)
def test_refused(place, draw, arguments, named):
    before = listing(place)
    line = assert_refused(draw(*arguments.split()))
    assert named in line
    changed = {path for path, state in listing(place).items() if before.get(path) != state}
    assert changed <= {place / "taken"}  # which held the files for a moment


def test_help(draw):
    done = draw("--help")
    assert done.code == 0
    for word in ("RUNS", "--out", "--seed", "figures"):
        assert word in done.out
