"""Wrong input: one sentence on standard error, exit code 2, and nothing written."""

import json

import pytest
from program import start
from tiny import setup

from experiments import job, point_robot
from structlat_jax.config import Config
from structlat_jax.train import parallel


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder, with the things that a user may name by mistake."""
    (tmp_path / "file").write_text("a file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o555)
    (tmp_path / "run").mkdir()
    known = {"schema_version": 1, "preset": "cpu", "seeds": 1, "seed": 0, **Config().to_dict()}
    (tmp_path / "run" / "config.json").write_text(json.dumps(known))
    (tmp_path / "kept").mkdir()
    whole = {**known, "updates": 300, "evals": 1, "checkpoint_seconds": 60.0}
    (tmp_path / "kept" / "config.json").write_text(json.dumps(whole))
    (tmp_path / "kept").chmod(0o555)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "run", must_not_start)
    yield tmp_path
    for name in ("locked", "kept"):
        (tmp_path / name).chmod(0o755)


def must_not_start(*_):
    raise AssertionError("the run was started")


def listing(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *folder.rglob("*"))
    }


def assert_refused(done):
    assert done.code == 2, done
    lines = [line for line in done.err.splitlines() if line.strip()]
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    assert len(lines[0]) > len("error: ") + 10
    assert "Traceback" not in done.out + done.err
    return lines[0]


VALUES = [
    ("--latent dir:2x1", "dir:2x1"),
    ("--latent dir:0x4", "dir:0x4"),
    ("--latent dir:2", "dir:2"),
    ("--latent gau:2x3", "gau:2x3"),
    ("--latent gau:-1", "gau:-1"),
    ("--latent foo:3", "foo:3"),
    ("--latent=", "--latent"),
    ("--latent dir:2x4,", "dir:2x4"),
    ("--seeds 0", "--seeds"),
    ("--seeds x", "x"),
    ("--seed -1", "--seed"),
    ("--updates 0", "--updates"),
    ("--evals 0", "--evals"),
    ("--unknown 3", "--unknown"),
    ("--preset gpu", "--preset"),
    ("--width 0", "--width"),
    ("--width 1.5", "--width"),
    ("--lr -1", "--lr"),
    ("--lr 0", "--lr"),
    ("--lr nan", "--lr"),
    ("--lr inf", "--lr"),
    ("--lr", "--lr"),
    ("--discount 1.5", "--discount"),
    ("--bridge foo", "projected"),
    ("--kl foo", "exact"),
    ("--inference foo", "amortised"),
    ("--hypotheses 100", "--hypotheses must be a power of two from 2 up, not 100"),
    ("--hypotheses 1", "--hypotheses"),
    ("--hypotheses 8.0", "--hypotheses"),
    ("--evidence-weight -1", "--evidence-weight"),
    ("--world-width 0", "--world-width"),
    ("--world-updates 0", "--world-updates"),
    ("--lr-end 1.5", "--lr-end"),
    ("--lr-decay-start -1", "--lr-decay-start"),
    ("--lr-decay-end 7999", "--lr-decay-end must be at least --lr-decay-start (8000), not 7999"),
    ("--lr-decay-start 30001", "--lr-decay-end must be at least --lr-decay-start (30001)"),
    ("--meta-batch 31 --train-tasks 30", "--meta-batch"),
    ("--eval-episodes 5 --eval-prior-episodes 5", "--eval-prior-episodes"),
    ("--context-episodes 2 --context-episodes-min 3", "--context-episodes-min"),
    ("surplus", "surplus"),
]
FOLDERS = [
    ("--out full", "not empty"),
    ("--out full --overwrite", "config.json"),
    ("--out run", "--overwrite"),
    ("--out file", "file"),
    ("--out file/run", "file"),
    ("--out locked", "written"),
    ("--out locked/run", "written"),
    ("--resume", "--out"),
    ("--resume --overwrite --out run", "--overwrite"),
    ("--resume --out full", "config.json"),
    ("--resume --out absent", "absent"),
    ("--resume --out broken", "JSON"),
    ("--resume --out run --width 63", "--width"),
    ("--resume --out kept", "written"),
]


@pytest.mark.parametrize(("arguments", "named"), VALUES + FOLDERS, ids=lambda text: str(text)[:40])
def test_refused(place, here, arguments, named):
    before = listing(place)
    out = [] if "--out" in arguments or "--resume" in arguments else ["--out", "new"]
    line = assert_refused(here(*arguments.split(), *out))
    assert named in line
    assert listing(place) == before


DAMAGE = [{"updates": None}, {"seeds": "two"}, {"seeds": 0}, {"seed": 1.5}, {"evals": None}]


@pytest.mark.parametrize("damage", DAMAGE, ids=str)
def test_resume_of_a_damaged_run_is_refused(place, here, damage):
    """A hand-edited ``config.json``; None leaves the field out."""
    path = place / "run" / "config.json"
    data = {**json.loads(path.read_text()), "updates": 300, "evals": 1, "checkpoint_seconds": 60.0}
    data.update(damage)
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))
    before = listing(place)
    assert_refused(here("--resume", "--out", "run"))
    assert listing(place) == before


def test_the_largest_seed_can_be_run():
    (seed,) = (param for param in point_robot.command.params if param.name == "seed")
    programs = parallel.make_programs(setup(), 1)
    (number,) = parallel.seed_numbers(programs, seed.type.max)
    assert int(number) == seed.type.max


def test_good_input_would_start(place, here):
    with pytest.raises(AssertionError, match="the run was started"):
        here("--out", "new")
    assert (place / "new" / "config.json").is_file()


def test_refused_in_its_own_process(tmp_path):
    line = assert_refused(start("--lr", "nan", "--out", "new", cwd=tmp_path))
    assert line == "error: --lr must be above 0, not nan."
    assert list(tmp_path.iterdir()) == []
