"""Runs that start from the parameters of others."""

import json
import shutil

import jax
import numpy as np
import pytest
from folders import assert_same_run, listing, rows_of
from program import PER_STEP, assert_refused
from test_api import Halt, halting
from tiny import assert_same, line, quick_compile, setup

import structlat_jax as sl
from structlat_jax.errors import InputError
from structlat_jax.inference import chosen
from structlat_jax.run import origins
from structlat_jax.store import checkpoint
from structlat_jax.store.run_folder import CheckpointError

PLAN = {"seeds": 2, "seed": 3, "updates": 2 * PER_STEP, "evals": 1, "checkpoint_seconds": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds a run that others start from, made when it is first asked for."""
    return tmp_path_factory.mktemp("origins")


@pytest.fixture
def first(folder, kept_programs):
    """A run of two seeds, not to be changed."""
    with quick_compile():
        if not (folder / "first").exists():
            sl.train(setup(), **PLAN, out=folder / "first")
        yield folder / "first"


def agents(path, seeds=2, **options):
    return [sl.load(path, seed, env=line(), **options) for seed in range(seeds)]


@pytest.mark.slow
def test_networks_are_those_of_the_last_checkpoint_and_all_else_is_new(first):
    origin = origins.read(first, setup(), 2)
    assert origin.about == {"run": str(first), "updates": PLAN["updates"]}
    fresh = jax.vmap(lambda key: sl.init(setup(), key))(jax.random.split(jax.random.key(0), 2))
    state = origins.begin(setup(), fresh, origin.networks)
    for seed, agent in enumerate(agents(first)):
        assert_same(jax.tree.map(lambda x, s=seed: x[s], state.learned), agent.learned)
    for name in set(state._fields) - {"params", "inference_params"}:
        assert_same(getattr(state, name), getattr(fresh, name))


def test_a_run_from_another_differs_from_a_fresh_one_and_says_so(first, tmp_path):
    run = sl.train(setup(), **PLAN, out=tmp_path / "run", from_run=first)
    told = {"run": str(first), "updates": PLAN["updates"]}
    assert run.results["origin"] == told
    assert json.loads((run.path / "config.json").read_text())["origin"] == told
    assert [row["updates"] for row in rows_of(run.path)] == ["5", "5", "10", "10"]
    before = json.loads((first / "results.json").read_text())
    assert "origin" not in before
    assert run.results["floor_return"] == before["floor_return"]  # of agents that know nothing
    assert not np.array_equal(run.adaptation["z_test"], _array(first, "z_test"))
    assert sl.train(setup(), **PLAN, from_run=first).results["origin"] == told


def _array(run, name):
    with np.load(run / "adaptation.npz") as data:
        return data[name]


def test_it_is_resumed_from_what_it_keeps_whatever_becomes_of_the_other(first, tmp_path):
    whole = sl.train(setup(), **PLAN, out=tmp_path / "whole", from_run=first)
    other = shutil.copytree(first, tmp_path / "other")
    late = {**PLAN, "checkpoint_seconds": 1e6}
    with pytest.raises(Halt):
        sl.train(setup(), **late, out=tmp_path / "run", from_run=other, loggers=[halting(5)])
    shutil.rmtree(other)
    assert not (tmp_path / "run" / "checkpoint").exists()
    with pytest.raises(CheckpointError, match="another from_run"):
        sl.train(setup(), **late, out=tmp_path / "run", resume=True, from_run="elsewhere")
    again = sl.train(setup(), **late, out=tmp_path / "run", resume=True)
    again.results["origin"]["run"] = str(first)
    (again.path / "results.json").write_text(json.dumps({"schema_version": 1, **again.results}))
    assert_same_run(again.path, whole.path)


def test_what_it_started_from_is_missed(first, tmp_path):
    with pytest.raises(Halt):
        sl.train(setup(), **PLAN, out=tmp_path / "run", from_run=first, loggers=[halting(5)])
    shutil.rmtree(tmp_path / "run" / "origin")
    with pytest.raises(CheckpointError, match="started from cannot be used"):
        sl.train(setup(), **PLAN, out=tmp_path / "run", resume=True)


@pytest.mark.slow
def test_seeds_that_start_from_one_or_from_the_first_ones(first, folder):
    whole, two = origins.read(first, setup(), 2).networks, origins.read(first, setup(), 1).networks
    assert_same(two, jax.tree.map(lambda x: x[:1], whole))
    if not (folder / "one").exists():
        sl.train(setup(), **{**PLAN, "seeds": 1}, out=folder / "one")
    three = origins.read(folder / "one", setup(), 3).networks
    for leaf in jax.tree.leaves(three):
        assert leaf.shape[0] == 3
        assert (leaf == leaf[:1]).all()


def test_too_few_seeds_and_other_sizes_are_refused(first, tmp_path):
    with pytest.raises(InputError, match=r"has 2 seeds: .* but not 3"):
        sl.train(setup(), **{**PLAN, "seeds": 3}, out=tmp_path / "run", from_run=first)
    with pytest.raises(InputError, match="latent is cat:1x3,gau:1 there and gau:4 here"):
        sl.train(setup(latent="gau:4"), **PLAN, out=tmp_path / "run", from_run=first)
    with pytest.raises(InputError, match="width is 4 there and 5 here; encoder_depth is 1 there"):
        sl.train(setup(width=5, encoder_depth=2), **PLAN, out=tmp_path / "run", from_run=first)
    with pytest.raises(InputError, match="obs_dim is 1 there and 2 here"):
        sl.train(sl.Config(), "point_robot", **PLAN, out=tmp_path / "run", from_run=first)
    with pytest.raises(FileNotFoundError, match="is not a run folder"):
        sl.train(setup(), **PLAN, out=tmp_path / "run", from_run=tmp_path)
    assert listing(tmp_path).keys() == {tmp_path}


def test_a_seed_that_is_not_finite_is_refused(first, tmp_path):
    run = shutil.copytree(first, tmp_path / "run")
    _, data = checkpoint.read_config(run)
    learned = jax.tree.map(lambda *x: np.stack(x), *(one.learned for one in agents(run)))
    for leaf in jax.tree.leaves(learned):
        leaf[1] = np.nan
    checkpoint.Checkpoints(run, identity=data).save_params(3, learned)
    with pytest.raises(InputError, match="its seed 1 is not finite"):
        origins.read(run, setup(), 2)
    origins.read(run, setup(), 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"inference": "auto"}, marks=pytest.mark.slow),
        {"inference": "amortised"},
        pytest.param({"posterior": "task"}, marks=pytest.mark.slow),
        pytest.param({"posterior": "task", "inference": "decoded"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_what_only_one_of_them_has_is_new_or_left(first, changes):
    other = setup(**changes)
    networks = origins.read(first, other, 2).networks
    fresh = jax.vmap(lambda key: sl.init(other, key))(jax.random.split(jax.random.key(0), 2))
    state = origins.begin(other, fresh, networks)
    assert jax.tree.structure(state) == jax.tree.structure(fresh)
    mine = agents(first)[1]
    assert_same(jax.tree.map(lambda x: x[1], state.params.q), mine.learned.agent.q)
    if "table" in fresh.params._fields:
        assert_same(state.params.table, fresh.params.table)
    if changes["inference" if "inference" in changes else "posterior"] == "auto":
        own = chosen.unsettled(state.inference_params)
        assert_same(jax.tree.map(lambda x: x[1], own), mine.learned.inference)


@pytest.mark.slow
def test_on_the_command_line(finished, tmp_path, here):
    """Under a name that other programs read as markup."""
    run, line_of = tmp_path / "[bold]x[/nope]", ["--from", finished[0]]
    sizes = ["--config", finished[0] / "config.json", "--updates", 5, "--evals", 1]
    done = here(*sizes, *line_of, "--out", run)
    assert done.code == 0, done.err
    assert f"everything is in {run}" in done.out
    assert json.loads((run / "results.json").read_text())["origin"]["updates"] == 20
    assert here("--resume", "--out", run, *line_of).code == 0
    line = assert_refused(here("--resume", "--out", run, "--from", tmp_path))
    assert "--from is" in line
    line = assert_refused(here(*line_of, "--out", tmp_path / "new"))
    assert "width is 4 there and 64 here" in line
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_who_is_told_of_tasks_is_told_of_its_own(tmp_path, kept_programs):
    """Ground truth is what training tasks are known by, and no network."""
    own = setup(algorithm="oracle")
    with quick_compile():
        first = sl.train(own, **{**PLAN, "seeds": 1}, out=tmp_path / "first")
        fresh = jax.vmap(lambda key: sl.init(own, key))(jax.random.split(jax.random.key(9), 1))
    origin = origins.read(first.path, own, 1)
    assert "truth" not in origin.networks
    state = origins.begin(own, fresh, origin.networks)
    assert_same(state.params.truth, fresh.params.truth)
    policy = jax.tree.map(lambda x: x[0], state.params.policy)
    assert_same(policy, first.agent(0).learned.agent.policy)
