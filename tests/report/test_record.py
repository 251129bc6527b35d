"""What a run leaves in its folder, for environments that know little and much."""

import dataclasses
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from drawable import walker
from ended import FLAT, HORIZON, dense, ended

from structlat_jax import report
from structlat_jax.report import record, results, run_pictures
from structlat_jax.store.run_folder import WriteError

ROOT = Path(record.__file__).resolve().parents[2]
ALWAYS = {"learning_curve.png", "adaptation_curve.png", "belief.png"}
PATHS = {"prior_paths.png", "adaptation_paths.png"}


def pictures(folder):
    return {path.name for path in folder.glob("*.png")}


def write(folder, env, tell=None, **changes):
    """The run folder, and its arrays."""
    folder.mkdir(exist_ok=True)
    said = []
    setup, left = ended(env, **changes)
    record.write_run(folder, setup, left, tell or said.append)
    assert said == []
    assert (folder / "results.json").is_file()
    with np.load(folder / "adaptation.npz") as data:
        return dict(data)


def test_an_environment_that_knows_next_to_nothing(tmp_path):
    arrays = write(tmp_path, dense(factors=None), seeds=2)
    assert pictures(tmp_path) == ALWAYS
    names = {name.removesuffix("_test") for name in arrays if name.endswith("_test")}
    known = {"returns", "length", "path", "z", "belief", "kl", "floor", "label", "reward"}
    assert names == known | {"leads", "leads_weight"}
    np.testing.assert_array_equal(arrays["label_test"], [[0, 1]] * 2)
    assert arrays["returns_train"].shape == (2, 4, 2, 12)
    assert arrays["path_test"].shape == (2, 2, 2, 12, HORIZON + 1, 3)
    np.testing.assert_allclose(arrays["reward_test"].sum(-1), arrays["returns_test"])
    assert arrays["leads_test"].shape == (2, 2, 4, 3)
    assert arrays["leads_weight_test"].shape == (2, 2, 12, 4)
    assert "leads_train" not in arrays


def test_an_agent_that_believes_nothing_has_no_picture_of_beliefs(tmp_path):
    write(tmp_path, dense(), seeds=2, algorithm="rl2", minibatches=1)
    assert pictures(tmp_path) == ALWAYS - {"belief.png"}
    assert "recovery" not in json.loads((tmp_path / "results.json").read_text())


def test_factors_and_the_oracle_are_written(tmp_path):
    env = dense(
        oracle_return=lambda task: -task["mass"],
        success=lambda t, task: t.reward > -1,
        derived=lambda task: {"lightness": 1.0 / task["mass"]},
    )
    arrays = write(tmp_path, env, seeds=2)
    np.testing.assert_allclose(arrays["factor_lightness_test"], [[2.0, 0.5]] * 2)
    assert pictures(tmp_path) == ALWAYS
    np.testing.assert_allclose(arrays["factor_mass_test"], [[0.5, 2.0]] * 2)
    assert arrays["factor_wind_train"].shape == (2, 4, 2)
    np.testing.assert_array_equal(arrays["oracle_test"], -arrays["factor_mass_test"])
    np.testing.assert_array_equal(arrays["label_train"], arrays["factor_mass_train"])
    assert arrays["success_test"].shape == arrays["returns_test"].shape


def test_a_plane_without_goals_has_paths_only(tmp_path):
    arrays = write(tmp_path, dense(plane=FLAT), seeds=1)
    assert pictures(tmp_path) == ALWAYS | PATHS
    assert "goal_test" not in arrays


def test_a_plane_with_goals_has_all_maps(tmp_path):
    arrays = write(tmp_path, walker(), seeds=1, low=0.0, high=12.0)
    assert pictures(tmp_path) == ALWAYS | PATHS | {"task_map.png"}
    np.testing.assert_allclose(np.linalg.norm(arrays["goal_test"], axis=-1), 1.0, rtol=1e-5)


def test_what_a_stranger_cannot_say_of_tasks_costs_sentences(tmp_path):
    def fails(task):
        raise KeyError("mass")

    _, left = ended(dense())
    env = dense(factors=fails, oracle_return=lambda task: jnp.log(task["wind"][0]), label=fails)
    said = []
    arrays = record.adaptation_arrays(
        *(env, left.adaptation, left.train_tasks, left.test_tasks, left.floor, said.append)
    )
    assert [line.split(" left out")[0] for line in said] == [
        "the labels of the tasks are",
        "the oracle is",
        "the factors of the tasks are",
    ]
    assert not any(name.startswith(("oracle", "factor")) for name in arrays)
    np.testing.assert_array_equal(arrays["label_train"], [[0, 1, 2, 3]] * 3)


def test_a_picture_that_fails_costs_a_sentence(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("no\nluck.")

    monkeypatch.setattr(run_pictures, "belief", fails)
    said = []
    setup, left = ended(dense(plane=FLAT))
    env = dense(plane=dataclasses.replace(FLAT, project=fails))
    record.write_run(tmp_path, dataclasses.replace(setup, env=env), left, said.append)
    assert pictures(tmp_path) == ALWAYS - {"belief.png"}
    names = ("belief.png", "prior_paths.png", "adaptation_paths.png")
    assert said == [f"{name} cannot be drawn: no luck." for name in names]
    assert (tmp_path / "results.json").is_file()


def test_a_folder_that_cannot_be_written_leaves_no_results(tmp_path):
    (tmp_path / "belief.png").mkdir()
    setup, left = ended(dense())
    with pytest.raises(WriteError, match=r"belief\.png cannot be written"):
        record.write_run(tmp_path, setup, left)
    assert (tmp_path / "adaptation.npz").is_file()
    assert not (tmp_path / "results.json").exists()


def test_results_come_last(tmp_path, monkeypatch):
    seen = []
    write_results = results.write_results

    def recording(path, data):
        seen.append({p.name for p in path.parent.iterdir()})
        write_results(path, data)

    monkeypatch.setattr(results, "write_results", recording)
    write(tmp_path, dense())
    assert seen == [{"adaptation.npz", *ALWAYS}]


@pytest.mark.parametrize("seed", [0, 2])
def test_a_seed_that_is_not_finite_is_in_no_picture(tmp_path, monkeypatch, seed):
    setup, left = ended(dense())
    left.adaptation.returns[seed] = np.nan
    left.results["failed_seeds"] = [{"seed": seed, "update": 3}]
    shown = []
    monkeypatch.setattr(run_pictures, "adaptation_curve", lambda returns, *_: shown.append(returns))
    said = []
    record.write_run(tmp_path, setup, left, said.append)
    assert shown[0].shape[0] == 2
    assert np.isfinite(shown[0]).all()
    assert pictures(tmp_path) == ALWAYS - {"adaptation_curve.png"}  # the stand-in draws nothing


def test_without_a_finite_seed_there_is_no_picture(tmp_path):
    setup, left = ended(dense())
    left.adaptation.returns[:] = np.nan
    record.write_run(tmp_path, setup, left)
    assert not pictures(tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["env"] == "dense"


ALONE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
{before}
from ended import dense, ended
from structlat_jax.report import record
record.write_run(Path(sys.argv[2]), *ended(dense()), lambda text: print("said:", text))
assert "matplotlib.pyplot" not in sys.modules
"""


def alone(folder, before="", **environment):
    """Writes a run in a process of its own; returns what it said."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE.format(before=before), ROOT / "tests", folder],
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "results.json").is_file()
    return done.stdout


@pytest.mark.slow
def test_a_users_settings_and_backend_do_not_matter(tmp_path):
    settings = tmp_path / "matplotlibrc"
    settings.write_text("text.usetex: True\nfont.family: Nothing\naxes.grid: True\n")
    out = tmp_path / "run"
    out.mkdir()
    said = alone(out, MATPLOTLIBRC=str(settings), MPLBACKEND="module://nowhere")
    assert said == ""
    assert pictures(out) == ALWAYS


@pytest.mark.parametrize("package", ["nowhere", "matplotlib_inline"])
def test_a_backend_that_is_not_installed_does_not_matter(monkeypatch, package):
    """matplotlib has names that it knows, and refuses to be imported where they are missing."""
    name = f"module://{package}.backend_inline"
    monkeypatch.setenv("MPLBACKEND", name)
    importlib.reload(report)
    known = importlib.util.find_spec(package) is not None
    assert os.environ.get("MPLBACKEND") == (name if known else None)
    for other in ("agg", "module://matplotlib.backends.backend_agg"):
        monkeypatch.setenv("MPLBACKEND", other)
        importlib.reload(report)
        assert os.environ["MPLBACKEND"] == other


def test_a_setting_that_matplotlib_refuses_costs_no_results(tmp_path):
    said = alone(tmp_path, MPLBACKEND="nonsense")
    assert said.startswith(
        "said: the pictures are not drawn: Key backend: 'nonsense' is not a valid"
    )
    assert not pictures(tmp_path)


def test_without_matplotlib_there_are_results(tmp_path):
    said = alone(tmp_path, before="sys.modules['matplotlib'] = None")
    assert said.startswith("said: the pictures are not drawn: ")
    assert "matplotlib" in said
    assert not pictures(tmp_path)
