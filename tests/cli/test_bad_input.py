"""Wrong input: one sentence on standard error, exit code 2, and nothing written."""

import json

import pytest
from folders import listing
from program import assert_refused, must_not_start, start
from tiny import setup

from structlat_jax.cli import commands, train
from structlat_jax.config import Config
from structlat_jax.train import parallel


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder, with the things that a user may name by mistake."""
    (tmp_path / "file").write_text("a file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    files = {
        "broken.py": "def",
        "empty.py": "",
        "broken.toml": "a = [",
        "list.json": "[]",
        "other.json": '{"structure": {"colour": "red"}}',
        "wrong.json": '{"structure": {"width": 0}}',
        "good.json": '{"structure": {"width": 8}}',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o555)
    plan = {"seeds": 1, "seed": 0, "updates": 300, "evals": 1, "checkpoint_seconds": 60.0}
    known = {"schema_version": 1, "preset": "cpu", **plan, **Config().to_dict()}
    for name in ("run", "kept"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "config.json").write_text(json.dumps(known))
    (tmp_path / "kept").chmod(0o555)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "run", must_not_start)
    yield tmp_path
    for name in ("locked", "kept"):
        (tmp_path / name).chmod(0o755)


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
    ("--updates 0", "--updates must be a whole number from 1 to 1000000000, not '0'"),
    ("--updates 1.5", "--updates must be a whole number from 1 to 1000000000, not '1.5'"),
    ("--updates nan", "--updates must be a whole number from 1 to 1000000000, not 'nan'"),
    ("--updates 1e400", "--updates must be a whole number from 1 to 1000000000, not '1e400'"),
    ("--updates 2e9", "--updates must be a whole number from 1 to 1000000000, not '2e9'"),
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
    ("--hypotheses 8.5", "--hypotheses"),
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
    ("--env nowhere", "env must be one of point_robot"),
    ("--env file", "env must be one of point_robot"),
    ("--env absent.py", "there is no file absent.py"),
    ("--env absent:make", "absent:make cannot be imported"),
    ("--env broken.py", "broken.py:make cannot be imported: SyntaxError"),
    ("--env empty.py", "empty.py has no make()"),
    ("--env empty.py:other", "empty.py has no other()"),
    ("--env-option goal_radius", "NAME=VALUE"),
    ("--env-option goal_radius=-1", "goal_radius must be above 0"),
    ("--env-option size=3", "has no option 'size'"),
    ("--env-option horizon=3 --env-option horizon=4", "horizon of the environment is there twice"),
    ("--log paper", "tensorboard"),
    ("--config absent.json", "absent.json cannot be read"),
    ("--config file", "file cannot be read"),
    ("--config broken.toml", "broken.toml cannot be read"),
    ("--config list.json", "list.json must hold an object"),
    ("--config other.json", "other.json: there is no field 'colour'"),
    ("--config wrong.json", "width must be at least 1, not 0"),
    ("--config good.json --preset cpu", "--preset"),
    ("--config good.json --lr 0", "--lr"),
]
FOLDERS = [
    ("--out full", "not empty"),
    ("--out full --overwrite", "config.json"),
    ("--out run", "--overwrite"),
    ("--out file", "file"),
    ("--out file/run", "file"),
    ("--out locked", "written"),
    ("--out locked/run", "written"),
    ("--out gs://bucket/run", "--out must be a path of this machine's file system: addresses"),
    ("--out file:///tmp/run", "such as 'file:///tmp/run' are not supported."),
    ("--resume --out s3://bucket/run", "'s3://bucket/run'"),
    ("--config gs://bucket/config.json", "--config must be a path"),
    ("--from gs://bucket/run", "--from must be a path"),
    ("--from run", "run has no checkpoint yet"),
    ("--env gs://bucket/env.py:make", "the file of an environment must be a path"),
    ("--resume --out run --config good.json", "--config"),
    ("--resume --out run --env-option horizon=5", "--env-option"),
    ("--resume --out run --env nowhere", "env must be one of point_robot"),
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
    data = {**json.loads(path.read_text()), **damage}
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))
    before = listing(place)
    line = assert_refused(here("--resume", "--out", "run"))
    assert "run/config.json" in line
    assert next(iter(damage)) in line
    assert listing(place) == before


def test_the_largest_seed_can_be_run():
    (seed,) = (param for param in commands.train.params if param.name == "seed")
    programs = parallel.make_programs(setup(), 1)
    (number,) = parallel.seed_numbers(programs, seed.type.high)
    assert int(number) == seed.type.high


def test_good_input_would_start(place, here):
    with pytest.raises(AssertionError, match="the run was started"):
        here("--out", "new")
    assert (place / "new" / "config.json").is_file()


def test_refused_in_its_own_process(tmp_path):
    line = assert_refused(start("--lr", "nan", "--out", "new", cwd=tmp_path))
    assert line == "error: --lr must be above 0, not nan."
    assert list(tmp_path.iterdir()) == []
