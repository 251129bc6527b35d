"""A search end to end: its files, resuming, bad input; most trials are made up."""

import functools
import json
import math
import signal

import made_up
import numpy as np
import pytest
from folders import listing, rows_of
from program import OPTIONS, assert_refused

import structlat_jax as sl
from structlat_jax.cli import commands
from structlat_jax.report import album, record
from structlat_jax.report.results import over_seeds
from structlat_jax.report.run_files import read_run
from structlat_jax.run import lanes
from structlat_jax.run.portion_state import PortionState
from structlat_jax.store.run_folder import read_config
from structlat_jax.train import parallel

SIZES = [f"--{name}={value}" for name, value in OPTIONS.items() if name != "latent"]
SIZES += [f"--latents={OPTIONS['latent']}"]
LR = ["--search", "lr=1e-4:1e-2:log"]
SEARCH = [*LR, "--search", "kl_weight=0.001:0.1", "--trials=10", "--batch=4"]
SICK = 2e-3


@pytest.fixture
def tune(in_process, monkeypatch):
    monkeypatch.setattr(record, "draw", lambda *_: None)
    monkeypatch.setattr(album, "FORMATS", ("png",))
    return functools.partial(in_process, commands.tune)


def worth(member):
    """Returns by seed: best at lr=1e-3; one seed, then the other, fails where it is large."""
    lr = member.plan.config.hyper.lr
    here = -abs(math.log10(lr) + 3)
    return [math.nan if lr > SICK else here, math.nan if lr > 1.5 * SICK else here - 1]


@pytest.fixture
def asked(monkeypatch):
    """Groups that were to be trained; the tests' return is the greater, the worse training's is."""

    def said(member):
        here = np.array(worth(member))
        return {"train_return": over_seeds(here), "test_return": over_seeds(-here)}

    return made_up.in_place_of_training(monkeypatch, worth, said)


def searched(tune, out, *more):
    done = tune(*SIZES, *SEARCH, *more, "--out", out)
    assert done.code == 0, done.err
    return done


def trials_of(out):
    return rows_of(out, "tune.csv")


def test_a_search_and_its_files(tune, asked, tmp_path):
    out = tmp_path / "out"
    done = searched(tune, out)
    rows = trials_of(out)
    assert [row["trial"] for row in rows] == [str(i) for i in range(10)]
    assert list(rows[0]) == ["trial", "lr", "kl_weight", "train_return", "seeds", "state"]
    for row in rows:
        folder = out / f"trial-{int(row['trial']):04d}"
        config, _ = read_config(folder)
        assert config.hyper.lr == float(row["lr"])
        finite = [x for x in read_run(folder).results["train_return"]["per_seed"] if x is not None]
        assert int(row["seeds"]) == len(finite)
        assert row["state"] == ("complete" if finite else "failed")
        assert row["train_return"] == (str(np.mean(finite)) if finite else "")
    assert {"complete", "failed"} == {row["state"] for row in rows}
    assert (out / "tune.png").is_file()
    assert "the best of 10 trials; in " in done.out
    best = max((row for row in rows if row["train_return"]), key=lambda r: float(r["train_return"]))
    config, data = read_config(out, "best.json")
    assert str(data["trial"]) == best["trial"]
    assert config == read_config(out / f"trial-{data['trial']:04d}")[0]


def test_the_best_is_where_training_tasks_return_most(tune, asked, tmp_path):
    """Test tasks, which return most where training tasks return least, have no say."""
    searched(tune, tmp_path / "out")
    rows = [row for row in trials_of(tmp_path / "out") if row["seeds"] == "2"]
    distances = [abs(math.log10(float(row["lr"])) + 3) for row in rows]
    best = read_config(tmp_path / "out", "best.json")[0].hyper.lr
    assert abs(math.log10(best) + 3) == min(distances) < max(distances)


def test_the_best_starts_a_run_again(tune, asked, in_process, tmp_path):
    searched(tune, tmp_path / "out")
    done = in_process(commands.config, "--config", tmp_path / "out" / "best.json", "--seeds=9")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert (said["seeds"], said["updates"]) == (9, OPTIONS["updates"])
    assert said["hyper"]["lr"] == read_config(tmp_path / "out", "best.json")[0].hyper.lr


def test_a_batch_is_one_program(tune, asked, tmp_path):
    searched(tune, tmp_path / "out")
    assert [len(group) for group in asked] == [4, 4, 2]


def test_words_and_latents_are_programs_of_their_own(tune, asked, tmp_path):
    words = [
        "--search",
        "choice=greedy,thompson",
        "--latents",
        "gau:2",
        "--trials=16",
        "--batch=16",
    ]
    done = tune(*SIZES, *words, *LR, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    shapes = {(row["choice"], row["latent"]) for row in trials_of(tmp_path / "out")}
    assert len(asked) == len(shapes) == 4
    assert {spec for _, spec in shapes} == {"cat:1x2,gau:1", "gau:2"}


@pytest.mark.slow
def test_a_batch_compiles_once_and_its_worth_is_measured_on_training_tasks(
    tune, tmp_path, monkeypatch
):
    compiled, make = [], parallel.make_programs

    def counting(setup, seeds, *rest, **more):
        compiled.append(seeds)
        return make(setup, seeds, *rest, **more)

    monkeypatch.setattr(parallel, "make_programs", counting)
    out = tmp_path / "out"
    done = tune(*SIZES, *LR, "--trials=2", "--batch=2", "--out", out)
    assert done.code == 0, done.err
    assert compiled == [2 * OPTIONS["seeds"]]
    for row in trials_of(out):
        run = read_run(out / f"trial-{int(row['trial']):04d}")
        ours = run.arrays["returns_train"][..., -1].mean()
        assert float(row["train_return"]) == pytest.approx(ours, abs=1e-6)
    assert sl.load(out / "trial-0001").config.hyper.lr == float(trials_of(out)[1]["lr"])


def test_the_same_command_finds_the_same_and_another_seed_or_sampler_another(tune, asked, tmp_path):
    changes = {"one": [], "same": [], "seed": ["--seed=5"], "sampler": ["--sampler=random"]}
    for name, change in changes.items():
        searched(tune, tmp_path / name, "--trials=16", *change)
    one, same, *others = (trials_of(tmp_path / name) for name in changes)
    assert one == same
    assert one not in others


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("batches", [0, 1, 2])
def test_an_interrupted_search_goes_on_as_it_would_have(
    tune, asked, tmp_path, monkeypatch, number, batches
):
    """Whatever was finished is not trained again, and what was begun is."""
    out, train = tmp_path / "out", lanes.train
    searched(tune, tmp_path / "whole")

    def halting(group, *rest):
        if len(asked) == batches:
            signal.raise_signal(number)
        train(group, *rest)

    asked.clear()
    monkeypatch.setattr(lanes, "train", halting)
    done = tune(*SIZES, *SEARCH, "--out", out)
    assert done.code == 130
    assert f"--resume --out {out}" in done.out
    monkeypatch.setattr(lanes, "train", train)
    done = tune("--resume", "--out", out)
    assert done.code == 0, done.err
    assert [len(group) for group in asked] == [4, 4, 2]
    for name in ("tune.csv", "trials.json", "best.json"):
        assert (out / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_a_batch_that_was_under_way_goes_on_where_it_was(tune, tmp_path, monkeypatch):
    real, save, steps = [*SIZES, *LR, "--trials=2", "--batch=2"], PortionState.save, []

    def halting(self, step, state, history):
        save(self, step, state, history)
        steps.append(step)
        if steps == [1, 2]:
            raise KeyboardInterrupt

    monkeypatch.setattr(PortionState, "save", halting)
    always = "--checkpoint-seconds=0"
    assert tune(*real, always, "--out", tmp_path / "out").code == 130
    assert not (tmp_path / "out" / "tune.csv").exists()
    assert tune("--resume", "--out", tmp_path / "out").code == 0
    assert steps == [1, 2, 3, 4]
    assert tune(*real, "--out", tmp_path / "whole").code == 0
    assert trials_of(tmp_path / "out") == trials_of(tmp_path / "whole")


def test_a_finished_search_goes_on_with_more_trials(tune, asked, tmp_path):
    out = tmp_path / "out"
    searched(tune, tmp_path / "whole", "--trials=8")
    searched(tune, out, "--trials=4")
    asked.clear()
    assert tune("--resume", "--out", out).code == 0
    assert asked == []
    assert tune("--resume", "--trials=8", "--out", out).code == 0
    assert [len(group) for group in asked] == [4]
    assert trials_of(out) == trials_of(tmp_path / "whole")
    assert json.loads((out / "tune_config.json").read_text())["trials"] == 8


def test_a_search_of_which_no_seed_is_left(tune, asked, tmp_path):
    done = tune(*SIZES, "--search", "lr=0.1:0.9", "--trials=3", "--out", tmp_path / "out")
    assert done.code == 1
    assert "no seed of any trial" in done.err
    assert [row["state"] for row in trials_of(tmp_path / "out")] == ["failed"] * 3
    assert not (tmp_path / "out" / "best.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--search lr=0.1:0.2", "--search"),
        ("--batch 3", "--batch"),
        ("--sampler random", "--sampler"),
        ("--seeds 3", "--seeds"),
        ("--lr 0.1", "--lr"),
        ("--trials 9", "at least 10"),
        ("--config x.json", "--config"),
    ],
)
def test_resume_refuses_another_search(tune, asked, tmp_path, arguments, said):
    searched(tune, tmp_path / "out")
    before = listing(tmp_path)
    assert said in assert_refused(tune("--resume", "--out", tmp_path / "out", *arguments.split()))
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[[]]",
        "[",
        "[[1]]",
        '[[{"lr": 0.001}]]',
        '[[{"lr": 0.001, "kl_weight": "x"}]]',
        '[[{"lr": 7.0, "kl_weight": 0.01}]]',
        "null",
    ],
)
def test_trials_that_somebody_changed_are_refused(tune, asked, tmp_path, text):
    out = tmp_path / "out"
    searched(tune, out, "--trials=4")
    (out / "trials.json").write_text(text)
    told = assert_refused(tune("--resume", "--trials=8", "--out", out))
    assert "trials.json" in told or "trial-0000" in told
