"""The table of latent spaces end to end: resuming, interruptions, refusals, and one real run."""

import functools
import json
import signal

import made_up
import pytest
from folders import listing, rows_of
from program import OPTIONS, assert_refused, interrupt_at
from tiny import SIZES

from experiments import paper, table1
from structlat_jax import config as configuration
from structlat_jax.config import PRESETS
from structlat_jax.run import lanes
from structlat_jax.store.checkpoint import write_config

SPECS = [OPTIONS["latent"], "gau:1"]
FOLDERS = ("cat1x2-gau1", "gau1")
TINY = [f"--{k}={v}" for k, v in OPTIONS.items() if k not in ("latent", "seed")]
TINY.append(f"--latents={';'.join(SPECS)}")
MADE = [f"--{k.replace('_', '-')}={v}" for k, v in SIZES.items() if k != "latent"]
MADE += ["--seeds=3", "--latents", "gau:2;cat:1x3", "--latents", "gau:5"]


@pytest.fixture
def table_here(in_process):
    """Runs the program in this process."""
    return functools.partial(in_process, table1.command)


@pytest.fixture
def trained(monkeypatch):
    """Rows are made up instead of trained; the groups of those that were asked for."""

    def returns(member):
        return ([4.0, 8.0, 6.0] + [6.0] * member.plan.seeds)[: member.plan.seeds]

    return made_up.in_place_of_training(monkeypatch, returns)


def plans_of(trained):
    """The plans of what was to be trained, by folder."""
    return {member.folder.name: member.plan for group in trained for member in group}


@pytest.fixture
def folder(tmp_path, table_here, trained):
    """A finished table whose numbers were made up."""
    done = table_here(*MADE, "--out", tmp_path / "table")
    assert done.code == 0, done.err
    trained.clear()
    return tmp_path / "table"


def times_of(path):
    return {p: p.stat().st_mtime_ns for p in path.rglob("*") if p.is_file()}


def read(folder, name="table.json"):
    return json.loads((folder / name).read_text())


def latents_of(found):
    return [row["latent"] for row in found["rows"]]


def test_writes_a_plan_a_folder_per_row_and_the_table(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "table_config.json",
        "table.md",
        "table.json",
        "gau2",
        "cat1x3",
        "gau5",
        ".lock",
    }
    assert read(folder, "table_config.json")["latents"] == ["gau:2", "cat:1x3", "gau:5"]
    found = read(folder)
    assert latents_of(found) == ["gau:5", "gau:2", "cat:1x3"]
    assert [row["test_return"]["mean"] for row in found["rows"]] == [6.0] * 3
    assert "| gau:5 | 10.2 | 3 | 6.00 (" in (folder / "table.md").read_text()


def test_defaults_are_the_papers_table(tmp_path, table_here, trained):
    episodes = ("--eval-episodes", 4, "--eval-prior-episodes", 2)  # as made up
    done = table_here(*episodes, "--out", tmp_path / "table")
    assert done.code == 0, done.err
    names = ["gau5", "cat2x4", "cat2x4-gau2", "dir2x4", "dir2x4-gau2"]
    plans = [(n, p.seeds, p.seed, p.config.structure.latent) for n, p in plans_of(trained).items()]
    assert plans == [(n, 10, 0, s) for n, s in zip(names, paper.RETURNS, strict=True)]


def test_resume_of_a_finished_table_only_rebuilds_it(folder, table_here, trained):
    before, text = times_of(folder), (folder / "table.json").read_text()
    (folder / "table.md").unlink()
    done = table_here("--resume", "--out", folder)
    assert (done.code, trained) == (0, [])
    assert "ordering" in done.out
    after = times_of(folder)
    assert {path.name for path in after if after[path] != before[path]} == {
        "table.md",
        "table.json",
    }
    assert (folder / "table.json").read_text() == text


@pytest.mark.parametrize("lost", ["results.json", "config.json"])
def test_resume_runs_what_is_not_finished(folder, table_here, trained, lost):
    """A row without ``config.json`` is as after a kill before anything was written."""
    (folder / "cat1x3" / "results.json").unlink()
    (folder / "cat1x3" / lost).unlink(missing_ok=True)
    before = times_of(folder)
    done = table_here("--resume", "--out", folder, *MADE)  # the same options may be given again
    assert done.code == 0, done.err
    assert list(plans_of(trained)) == ["cat1x3"]
    assert "gau:2: finished before" in done.out
    after = times_of(folder)
    for name in ("gau2", "gau5"):
        assert all(after[path] == before[path] for path in before if path.parent.name == name)


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--width 5", "--width is 4 there and 5 here"),
        ("--seeds 4", "--seeds is 3 there and 4 here"),
        ("--updates 99", f"--updates is {PRESETS['cpu'].updates} there and 99 here"),
        ("--latents gau:5", "--latents is 'gau:2;cat:1x3;gau:5' there and 'gau:5' here"),
    ],
)
def test_resume_refuses_other_settings(folder, table_here, option, named):
    before = listing(folder)
    line = assert_refused(table_here("--resume", "--out", folder, *option.split()))
    assert named in line
    assert listing(folder) == before


def test_resume_in_a_folder_that_cannot_be_written_is_refused(folder, table_here):
    folder.chmod(0o555)
    line = assert_refused(table_here("--resume", "--out", folder))
    folder.chmod(0o755)
    assert "written" in line


def test_a_row_of_another_table_is_refused(folder, table_here):
    made = read(folder / "gau5", "config.json")
    made["structure"]["width"] = 77
    (folder / "gau5" / "config.json").write_text(json.dumps(made))
    line = assert_refused(table_here("--resume", "--out", folder))
    assert "gau5 belongs to another table: width is 77 there and 4 here" in line


DAMAGE = [{"latents": None}, {"latents": []}, {"latents": "gau:5"}, {"latents": [3]}, {"seeds": 0}]
DAMAGE += [{"latents": ["gau:5", "foo:3"]}, {"updates": "many"}, {"schema_version": 9}]


@pytest.mark.parametrize("damage", DAMAGE, ids=str)
def test_a_damaged_plan_is_refused(folder, table_here, damage):
    made = {**read(folder, "table_config.json"), **damage}
    (folder / "table_config.json").write_text(json.dumps(made))
    assert_refused(table_here("--resume", "--out", folder))


BAD = [
    ("--latents foo:3", "--latents: the latent spec has 'foo:3'"),
    ("--latents gau:5;", "--latents: the latent spec is empty"),
    ("--latents gau:5;gau:05", "gau:5 is there twice"),
    ("--latents gau:5 --latents gau:5", "gau:5 is there twice"),
    ("--latent gau:5", "--latent"),
    ("--seeds 0", "--seeds"),
    ("--lr nan", "--lr"),
    ("--meta-batch 31", "--meta-batch"),
    ("--hypotheses 100", "--hypotheses must be a power of two"),
    ("--resume", "--out"),
    ("--resume --overwrite --out run", "--overwrite"),
    ("--resume --out absent", "table_config.json"),
    ("--resume --out run", "table_config.json"),
    ("--overwrite --out run", "table_config.json"),
    ("--out run", "not empty"),
    ("--out run/config.json", "file"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD, ids=lambda text: str(text)[:40])
def test_bad_input_is_refused(tmp_path, monkeypatch, table_here, trained, arguments, named):
    (tmp_path / "run").mkdir()
    write_config(tmp_path / "run", made_up.config())
    monkeypatch.chdir(tmp_path)
    before = listing(tmp_path)
    out = [] if "--out" in arguments or "--resume" in arguments else ["--out", "new"]
    assert named in assert_refused(table_here(*arguments.split(" "), *out))
    assert listing(tmp_path) == before
    assert trained == []


def test_overwrite_replaces_a_table(folder, table_here, trained):
    done = table_here(*MADE, "--seed", 7, "--out", folder, "--overwrite")
    assert done.code == 0, done.err
    assert list(plans_of(trained)) == ["gau2", "cat1x3", "gau5"]
    assert read(folder, "table_config.json")["seed"] == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_outside_of_the_training_loop(tmp_path, table_here, monkeypatch, number):
    """While a program compiles or a picture is drawn."""
    monkeypatch.setattr(lanes, "run", lambda *_: signal.raise_signal(number))
    before = signal.getsignal(number)
    done = table_here(*MADE, "--out", tmp_path / "table")
    assert done.code == 130
    assert f"continue with --resume --out {tmp_path / 'table'}" in " ".join(done.out.split())
    assert "Traceback" not in done.err
    assert signal.getsignal(number) == before


@pytest.mark.slow
def test_interrupted_in_the_second_row_and_resumed(tmp_path, table_here, monkeypatch):
    """Of another shape than the first, so that they do not train together."""
    out = tmp_path / "table"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 30, signal.SIGTERM)  # of 20 per row
        done = table_here(*TINY, "--out", out)
    assert done.code == 130, done.err
    assert "--resume" in done.out
    names = {"table_config.json", *FOLDERS, "portions", ".lock"}
    assert {path.name for path in out.iterdir()} == names
    assert (out / FOLDERS[0] / "results.json").is_file()
    assert not (out / FOLDERS[1] / "results.json").exists()
    before = times_of(out / FOLDERS[0])

    done = table_here("--resume", "--out", out)
    assert done.code == 0, done.err
    assert times_of(out / FOLDERS[0]) == before
    assert "25/40 updates" not in done.out  # what was trained is not trained again
    assert "40/40 updates  shape1 (1 x 2 seeds)" in done.out
    assert {path.name for path in out.iterdir()} == (names | {"table.md", "table.json"}) - {
        "portions"
    }
    updates = [int(row["updates"]) for row in rows_of(out / FOLDERS[1])]
    assert updates == [5, 5, 10, 10, 15, 15, 20, 20]
    found = read(out)
    assert latents_of(found) == SPECS
    assert all(row["seeds"] == 2 and row["not_finite_seeds"] == [] for row in found["rows"])
    oracles = [row["oracle_return"] for row in found["rows"]]
    assert oracles[0] == pytest.approx(oracles[1])  # the same tasks
    for name, row in zip(FOLDERS, found["rows"], strict=True):
        run = read(out / name, "results.json")
        assert row["test_return"]["mean"] == pytest.approx(run["test_return"]["mean"], abs=1e-6)
        assert row["percent_of_oracle"] == pytest.approx(run["percent_of_oracle"], abs=1e-4)


def test_an_interruption_in_the_last_step_of_a_row_ends_the_table(
    tmp_path, table_here, monkeypatch
):
    interrupt_at(monkeypatch, 20)
    done = table_here(*TINY, "--out", tmp_path / "table")
    assert done.code == 130
    for name in FOLDERS:
        assert {path.name for path in (tmp_path / "table" / name).iterdir()} == {"config.json"}
    assert [path.name for path in (tmp_path / "table" / "portions").iterdir()] == ["shape0-0-of-1"]


def test_help_mentions_everything(table_here):
    done = table_here("--help")
    text = " ".join(done.out.split())
    for name in configuration.fields().keys() - {"latent"}:
        assert "--" + name.replace("_", "-") in text
    for name in ("--latents", "--seeds", "--updates", "--out", "--overwrite", "--resume"):
        assert name in text
    assert "--latent " not in text


def test_options_are_those_of_the_main_program():
    from experiments import point_robot

    ours, its = ({p.name for p in c.params} for c in (table1.command, point_robot.command))
    assert ours - its == {"latents"}
    assert its - ours == {"latent", "sinks", "live", "from_run", "anchor_start", "anchor_end"}
