"""Figures of finished runs in environments that know little: what is drawn, and what is said."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawable import walker
from ended import FLAT, dense, ended
from tiny import quick_compile

import structlat_jax.report.figures_style as style
from structlat_jax.agent import make_agent
from structlat_jax.inference.base import Learned
from structlat_jax.report import effect, pictures, record, results
from structlat_jax.report.album import Album
from structlat_jax.report.case import make_cases
from structlat_jax.report.names import latent_slug
from structlat_jax.report.run_files import read_run
from structlat_jax.store.run_folder import CheckpointError, write_config
from structlat_jax.train.learn import init_params

CURVES = {"learning_curves", "adaptation_curves"}
ORACLE = {"oracle_return": lambda task: jnp.float32(-5.0)}


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(effect, "DRAWS", 64)
    monkeypatch.setattr(style, "DPI", 30)
    with quick_compile():
        yield


def written(folder, env, latent, **options):
    """A run folder without pictures, read back."""
    folder.mkdir(parents=True)
    setup, left = ended(env, latent, seeds=2, **options)
    write_config(folder, setup.config)
    results.write_metrics(folder / "metrics.csv", left.rows)
    arrays = record.adaptation_arrays(
        *(env, left.adaptation, left.train_tasks, left.test_tasks, left.floor)
    )
    results.write_adaptation(folder / "adaptation.npz", arrays)
    results.write_results(folder / "results.json", left.results)
    return setup, read_run(folder)


def untrained(setups, run, seed):
    setup = setups[run.path]
    draw = jax.jit(lambda key: Learned(*init_params(setup, key)))
    return make_agent(setup, draw(jax.random.key(seed)))


def drawn(*runs, at_hand=True, load=untrained):
    """An album of cases, each with its environment if it is at hand."""
    setups = {run.path: setup for setup, run in runs}
    cases = make_cases(
        [run for _, run in runs],
        seed=1,
        env_of=lambda run: setups[run.path].env if at_hand else None,
        load=functools.partial(load, setups),
    )
    album = Album()
    pictures.draw(cases, album)
    return album


@pytest.mark.slow
def test_an_environment_without_a_plane(tmp_path):
    runs = [written(tmp_path / name, dense(), name) for name in ("gau:2", "dir:1x3")]
    album = drawn(*runs)
    assert set(album.figures) == {*CURVES, "simplex-dir1x3"}
    assert album.left_out == [
        "the maps of gau:2: its environment has no plane to draw them in.",
        "the maps of dir:1x3: its environment has no plane to draw them in.",
        "simplex of gau:2: no variable of its latent is a mixture of classes.",
        "the traversal map of gau:2: its environment has no plane to draw paths in.",
        "the traversal map of dir:1x3: its environment has no plane to draw paths in.",
    ]
    data = json.loads(album.texts["traversal.json"])
    assert set(data["measures"]) == {"end"}
    whole = data["runs"][0]["parts"][0]
    assert whole["end"]["alone"]["per_seed"] == pytest.approx([1.0, 1.0])
    (table,) = album.tables
    assert "its last observation" in table.title
    album.write(tmp_path / "out")


@pytest.mark.slow
def test_paths_without_goals(tmp_path):
    album = drawn(written(tmp_path / "run", dense(plane=FLAT, **ORACLE), "dir:1x3,gau:1"))
    assert set(album.figures) == {
        *CURVES,
        *("figure2", "figure3-dir1x3-gau1", "simplex-dir1x3-gau1", "traversal-dir1x3-gau1"),
    }
    assert album.left_out == ["figure1 of dir:1x3,gau:1: its tasks have no goals."]
    assert set(json.loads(album.texts["traversal.json"])["measures"]) == {"position", "direction"}


@pytest.mark.slow
def test_environments_are_not_mixed(tmp_path):
    robot = dataclasses.replace(walker(), success=lambda seen, task: seen.reward > 0)
    album = drawn(
        written(tmp_path / "a", dense(), "gau:2"),
        written(tmp_path / "b", robot, "gau:2", low=0.0, high=12.0),
        written(tmp_path / "c", dense(), "gau:1"),
    )
    assert {f"{name}-{env}" for name in CURVES for env in ("dense", "point_robot")} | {
        *("figure1-point_robot", "figure2-point_robot", "figure3-gau2-b", "traversal-gau2-b")
    } == set(album.figures)
    lines = {line.get_label() for line in album.figures["learning_curves-dense"].axes[0].lines}
    assert {"gau:2 (a)", "gau:1"} <= lines
    assert album.figures["learning_curves-dense"].get_suptitle() == "dense"
    assert len(album.tables) == 2


def test_without_its_environment_a_run_has_curves_and_beliefs(tmp_path):
    album = drawn(written(tmp_path / "run", dense(plane=FLAT), "dir:1x3"), at_hand=False)
    assert set(album.figures) == {*CURVES, "simplex-dir1x3"}
    assert album.left_out == [
        "the maps of dir:1x3: its environment is not at hand.",
        "traversal of dir:1x3: its environment is not at hand.",
    ]


def test_a_run_without_networks_has_no_traversal(tmp_path):
    def missing(*_):
        raise FileNotFoundError("there is no checkpoint.")

    album = drawn(written(tmp_path / "run", dense(), "gau:2"), load=missing)
    assert "traversal of gau:2: there is no checkpoint." in album.left_out
    assert not album.texts


@pytest.mark.slow
def test_a_project_function_that_fails_costs_its_maps(tmp_path):
    def fails(obs):
        raise RuntimeError("no such axis")

    setup, run = written(tmp_path / "run", dense(plane=FLAT), "dir:1x3")
    plane = dataclasses.replace(FLAT, project=fails)
    env = dataclasses.replace(setup.env, plane=plane)
    album = drawn((dataclasses.replace(setup, env=env), run))
    assert set(album.figures) == {*CURVES, "simplex-dir1x3"}
    assert any("no such axis" in line for line in album.left_out)


def test_arrays_that_do_not_fit_are_named(tmp_path):
    setup, run = written(tmp_path / "run", dense(plane=FLAT), "gau:2")
    run.arrays["path_test"] = run.arrays["path_test"][..., :2]
    with pytest.raises(CheckpointError, match=r"path_test must end with the axes \[7, 3\]"):
        drawn((setup, run))
    run.arrays["belief_test"] = np.zeros(3)
    with pytest.raises(CheckpointError, match=r"belief_test must end with the axes \[2\]"):
        drawn((setup, run))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dir:2x4,gau:2", "dir2x4-gau2"),
        ("envs/mine.py:make", "envs-mine.pymake"),
        ("a b=c", "a-b-c"),
    ],
)
def test_slug(text, expected):
    assert latent_slug(text) == expected
