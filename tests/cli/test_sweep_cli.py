"""A sweep end to end: a grid as one program, its files, resuming, bad input."""

import dataclasses
import functools
import json
import socket

import numpy as np
import pytest
from folders import listing, rows_of
from program import OPTIONS, assert_refused, ended, launch, must_not_start

import structlat_jax as sl
from structlat_jax.cli import changes, commands, sweep
from structlat_jax.config import Config, ConfigError
from structlat_jax.report import record
from structlat_jax.report.run_files import read_run
from structlat_jax.run import lanes, machine, members
from structlat_jax.run.plan import Plan
from structlat_jax.run.portion_state import PortionState
from structlat_jax.train import parallel

GRID = ["--grid", "lr=0.001,0.01", "--grid", "kl_weight=0.003"]
SIZES = [f"--{name}={value}" for name, value in OPTIONS.items() if name != "latent"]
LATENT = f"--latents={OPTIONS['latent']}"
RUNS = [f"cat1x2-gau1_lr-{lr}_kl_weight-0.003" for lr in ("0.001", "0.01")]


@pytest.fixture(scope="module")
def no_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "draw", lambda *_: None)
        yield


@pytest.fixture
def sweep_here(in_process, no_pictures):
    return functools.partial(in_process, commands.sweep)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture
def swept(shared, sweep_here):
    """A finished sweep of two runs."""
    if not (shared / "out").exists():
        done = sweep_here(*SIZES, LATENT, *GRID, "--out", shared / "out")
        assert done.code == 0, done.err
    return shared / "out"


def table(folder):
    return rows_of(folder, "sweep.csv")


@pytest.mark.slow
def test_a_run_of_a_grid_is_what_the_main_job_makes_of_it(swept, in_process, tmp_path):
    out = tmp_path / "alone"
    config = [f"--latent={OPTIONS['latent']}", "--lr=0.01", "--kl-weight=0.003"]
    assert in_process(commands.train, *SIZES, *config, "--out", out).code == 0
    alone, one = read_run(out), read_run(swept / RUNS[1])
    assert one.config == alone.config
    for name, column in alone.metrics.items():
        if name != "seconds":
            np.testing.assert_allclose(one.metrics[name], column, rtol=2e-3, atol=1e-5)
    assert one.results.keys() - {"lanes"} == alone.results.keys()
    assert one.results["lanes"] == 4
    np.testing.assert_array_equal(one.arrays["oracle_test"], alone.arrays["oracle_test"])


def test_every_run_is_a_run_folder(swept):
    names = {*RUNS, "sweep.csv", "sweep_config.json", ".lock"}
    assert {path.name for path in swept.iterdir()} == names
    for run in RUNS:
        agent = sl.load(swept / run)
        assert agent.prior() is not None
        config = json.loads((swept / run / "config.json").read_text())
        assert config["hyper"]["lr"] == float(run.split("lr-")[1].split("_")[0])


def test_runs_of_other_hyper_parameters_differ(swept):
    first, second = (read_run(swept / run) for run in RUNS)
    assert not np.array_equal(first.metrics["q"], second.metrics["q"])


def test_the_table_is_tidy(swept):
    rows = table(swept)
    assert len(rows) == 2 * OPTIONS["seeds"] * OPTIONS["evals"]
    keys = {(row["run"], row["seed"], row["updates"]) for row in rows}
    assert len(keys) == len(rows)
    for row in rows:
        assert row["run"] == f"cat1x2-gau1_lr-{row['lr']}_kl_weight-{row['kl_weight']}"
        run = read_run(swept / row["run"])
        at = (run.metrics["seed"] == int(row["seed"])) & (
            run.metrics["updates"] == int(row["updates"])
        )
        assert float(row["test_return"]) == run.metrics["test_return"][at]


def test_one_program_per_shape(tmp_path):
    base = Plan(Config(), "cpu", 2, 0, 300, 1, 60.0)
    axes = changes.axes(["lr=0.001,0.01", "width=32,64"])
    grid = sweep.Grid(["gau:2", "cat:2x4"], axes)
    made = [members.Member(*one, env=None) for one in grid.runs(tmp_path, base)]
    groups = lanes.groups(made)
    assert [group.lanes for group in groups] == [4, 4, 4, 4]
    side_by_side = lanes.lanes_of(groups[0])
    assert side_by_side.seeds.tolist() == [0, 1, 0, 1]
    assert {row.plan.config.structure.width for row in groups[0].members} == {32}
    np.testing.assert_allclose(side_by_side.hyper.lr, [0.001, 0.001, 0.01, 0.01])
    np.testing.assert_allclose(side_by_side.hyper.tau, 0.005)


class Halt(Exception):
    pass


def test_an_interrupted_sweep_goes_on_where_it_was(swept, sweep_here, tmp_path, monkeypatch):
    out, save = tmp_path / "out", PortionState.save

    def halting(self, step, state, history):
        save(self, step, state, history)
        if step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(PortionState, "save", halting)
    always = "--checkpoint-seconds=0"
    assert sweep_here(*SIZES, LATENT, *GRID, always, "--out", out).code == 130
    assert not (out / "sweep.csv").exists()
    steps = []

    def counting(self, step, state, history):
        steps.append(step)
        save(self, step, state, history)

    monkeypatch.setattr(PortionState, "save", counting)
    done = sweep_here("--resume", "--out", out)
    assert done.code == 0, done.err
    assert steps == [3, 4]
    for one, other in zip(table(out), table(swept), strict=True):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}


def test_resuming_a_finished_sweep_trains_nothing(swept, sweep_here, monkeypatch):
    monkeypatch.setattr(lanes, "run", must_not_start)
    before = {path: content for path, content in listing(swept).items() if path.is_file()}
    assert sweep_here("--resume", "--out", swept).code == 0
    after = {path: content for path, content in listing(swept).items() if path.is_file()}
    assert {p: c[1] for p, c in before.items()} == {p: c[1] for p, c in after.items()}


@pytest.fixture
def infect(monkeypatch):
    """Makes the step sizes of some lanes so large that their numbers overflow."""
    spread = parallel.spread

    def sick(which):
        def spread_with(programs, hyper):
            wide = spread(programs, hyper)
            sizes = np.where(np.isin(np.arange(programs.padded), which), 1e30, wide.lr)
            return dataclasses.replace(wide, lr=sizes, encoder_lr=sizes)

        monkeypatch.setattr(parallel, "spread", spread_with)

    return sick


def test_a_sick_lane_is_named_and_disturbs_no_other(swept, sweep_here, tmp_path, infect):
    infect([1])
    done = sweep_here(*SIZES, LATENT, *GRID, "--out", tmp_path / "out")
    assert done.code == 1
    first, second = (read_run(tmp_path / "out" / run).results for run in RUNS)
    (failed,) = first["failed_seeds"]
    assert failed["seed"] == OPTIONS["seed"] + 1
    assert f"seed {failed['seed']}" in done.err
    assert first["test_return"]["per_seed"][1] is None
    assert second["failed_seeds"] == []
    healthy = read_run(swept / RUNS[1]).results
    ours, its = (run["test_return"]["per_seed"] for run in (second, healthy))
    assert ours == pytest.approx(its, rel=1e-3)


def test_a_sweep_of_which_no_lane_is_left_ends(sweep_here, tmp_path, infect):
    infect(range(4))
    done = sweep_here(*SIZES, LATENT, *GRID, "--out", tmp_path / "out")
    assert done.code == 1
    for name in RUNS:
        run = read_run(tmp_path / "out" / name)
        assert len(run.results["failed_seeds"]) == OPTIONS["seeds"]
        assert run.results["test_return"]["mean"] is None
        assert len(run.metrics["updates"]) < 4 * OPTIONS["seeds"]
    assert table(tmp_path / "out") == []


@pytest.mark.slow
def test_two_processes_get_the_numbers_of_one(swept, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = ["--coordinator", address, "--processes", "2", "--out", tmp_path / "out"]
    started = [
        launch(
            "experiments.sweep", *SIZES, LATENT, *GRID, *both, "--process-id", i, cwd=tmp_path
        )
        for i in range(2)
    ]  # fmt: skip
    first, second = map(ended, started)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert "everything is in" in first.out
    assert "everything is in" not in second.out
    for one, other in zip(table(tmp_path / "out"), table(swept), strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"seconds"}:
            if name in ("run", "latent"):
                assert one[name] == other[name]
            elif one[name]:
                assert float(one[name]) == pytest.approx(float(other[name]), rel=2e-3, abs=1e-5)
    devices = 2 * min(2, machine.cores())
    assert read_run(tmp_path / "out" / RUNS[1]).results["device"] == f"{devices} x cpu"
    assert not (tmp_path / "out" / "portions").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--grid lr=0.5", "--grid"),
        ("--latents gau:3", "--latents"),
        ("--seeds 3", "--seeds"),
        ("--width 5", "--width"),
    ],
)
def test_resume_refuses_another_sweep(swept, sweep_here, arguments, said):
    before = listing(swept)
    assert said in assert_refused(sweep_here("--resume", "--out", swept, *arguments.split()))
    assert listing(swept) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--grid lr", "FIELD=VALUE"),
        ("--grid lr=", "a number"),
        ("--grid colour=red", "FIELD=VALUE"),
        ("--grid lr=0.1,fast", "a number"),
        ("--grid lr=0.1,-1", "lr must be above 0"),
        ("--grid lr=0.1,0.1", "differ"),
        ("--grid lr=1e-3,0.001000000001", "differ"),
        ("--grid lr=0.1 --grid lr=0.2", "twice"),
        ("--grid latent=gau:2", "--latents"),
        ("--grid width=0", "width must be"),
        ("--latents gau:0", "gau:0"),
        ("--latents gau:2;gau:2", "twice"),
        ("--coordinator localhost:1", "go together"),
        ("--coordinator localhost --processes 2 --process-id 0", "HOST:PORT"),
        ("--coordinator localhost:1 --processes 2 --process-id 2", "--process-id"),
        ("--cluster --processes 2", "--cluster"),
        ("--cluster", "cannot be joined"),
    ],
)
def test_wrong_input_is_refused(tmp_path, sweep_here, monkeypatch, arguments, said):
    monkeypatch.setattr(lanes, "run", must_not_start)
    done = sweep_here(*arguments.split(), "--out", tmp_path / "out")
    assert said in assert_refused(done)
    assert list(tmp_path.iterdir()) == []


def test_an_axis_of_truth_values_and_one_of_words():
    found = changes.axes(["prior-factor=true,false", "bridge=printed,corrected"])
    assert found == {"prior_factor": [True, False], "bridge": ["printed", "corrected"]}
    assert len(list(changes.points(found))) == 4
    assert list(changes.points({})) == [{}]
    with pytest.raises(ConfigError, match="true or false"):
        changes.axes(["prior_factor=2"])
